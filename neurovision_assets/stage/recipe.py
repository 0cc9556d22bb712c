"""A stage's declaration together with the function that computes it.

Belongs here: the decorator that rooms put on their recipe. Does not belong here: Dagster (``asset``), runs (``step``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from neurovision_assets.stage.pipeline import Pipeline
from neurovision_assets.stage.spec import StageSpec
from neurovision_assets.stage.work import Outcome, Work

Recipe = Callable[[Work[Any]], Outcome]


@dataclass(frozen=True)
class Stage:
    """One stage that can be run.

    Attributes:
        pipeline: the domain.
        spec: what it declares about itself.
        recipe: from a video's inputs to its parts; the docstring becomes the asset's description.
    """

    pipeline: Pipeline
    spec: StageSpec
    recipe: Recipe


def stage_recipe(pipeline: Pipeline, name: str) -> Callable[[Recipe], Stage]:
    """Make a function ``(Work) -> Outcome`` the recipe of a stage.

    Args:
        pipeline: the domain.
        name: the stage.
    """
    return lambda recipe: Stage(pipeline, pipeline[name], recipe)
