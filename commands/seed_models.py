"""Fill the model repository with the bundled models where they are missing: Triton does not start on an empty one.

Belongs here: asking for it by itself, before there is a run. Does not belong here: how it is filled
(``resources.inference``); every run does the same at its first look.
"""

from __future__ import annotations

import sys

from resources.errors import NeuroVisionError
from resources.inference.client import InferenceResource
from resources.settings import load_settings


def main() -> int:
    """Print which models there are; 1 where the repository cannot be used."""
    try:
        names = InferenceResource.of(load_settings()).models.names()
    except NeuroVisionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"models:      {', '.join(names)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
