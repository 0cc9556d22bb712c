"""What the commands make plans with.

Belongs here: the planner of this deployment. Does not belong here: the terminal (``plans``), planning
(``neurovision_assets.reprocessing.planner``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from neurovision_assets.definitions import build_resources
from neurovision_assets.reprocessing.planner import Planner
from neurovision_assets.surgery.changes import COMPARED
from neurovision_assets.surgery.pipeline import SURGERY
from neurovision_assets.surgery.steps import STEPS
from resources.settings import Settings


@contextmanager
def planner_of(settings: Settings) -> Iterator[Planner]:
    """The planner of a deployment; what is served is looked at anew."""
    with dg.DagsterInstance.get() as instance:
        yield Planner(SURGERY, STEPS, COMPARED, build_resources(settings), instance)
