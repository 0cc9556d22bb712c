"""``make rollback MODEL=…``: serve the model before this one again.

Belongs here: the command line. Does not belong here: the step (``neurovision_assets/training/promotion/rollback``), the
plan of what is stale after it (``plans``).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from commands.plans import answer_change
from commands.process import quiet_libraries
from neurovision_assets.training.kinds import kind_of
from neurovision_assets.training.promotion.rollback import roll_back
from resources.errors import NeuroVisionError
from resources.inference.client import InferenceResource
from resources.model_registry import ModelRegistry
from resources.settings import load_settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Roll back and say what is served now.

    Returns:
        0, or 1 when it is not done; one line on standard error says why.
    """
    parser = argparse.ArgumentParser(prog="make rollback", description="Serve an earlier version of a model again.")
    parser.add_argument("model", help="phase_segmenter, instrument_detector or anatomy_segmenter")
    parser.add_argument("--version", type=int, help="number in the model repository; the one before without it")
    chosen = parser.parse_args(arguments)
    try:
        settings = load_settings()
        kind = kind_of(chosen.model)
        served = InferenceResource.of(settings).models
        now = roll_back(kind, served, ModelRegistry.of(settings), chosen.version)
        print(f"served: {now.label}, version {now.version} (sha256 {now.digest[:12]})")
        answer_change(settings)
    except NeuroVisionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    quiet_libraries()
    sys.exit(main())
