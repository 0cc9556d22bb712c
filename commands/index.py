"""``make index``: make the provenance index again from the records in the store.

Belongs here: the command. Does not belong here: what is in the index (``neurovision_assets.provenance_index``).
"""

from __future__ import annotations

import sys

from neurovision_assets.provenance_index import rebuild_index
from neurovision_assets.surgery.pipeline import SURGERY
from resources.database.engine import Database
from resources.errors import NeuroVisionError
from resources.object_store import ObjectStore
from resources.settings import load_settings


def main() -> int:
    """Print how many results there are; 1 where store or database cannot be used."""
    try:
        settings = load_settings()
        database, store = Database.of(settings), ObjectStore.of(settings)
        count = rebuild_index(database, store, [stage.asset for stage in SURGERY.stages])
    except NeuroVisionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{count} results are in the index")
    return 0


if __name__ == "__main__":
    sys.exit(main())
