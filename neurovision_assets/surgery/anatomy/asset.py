"""The asset ``surgery/anatomy``: which tissue where.

Belongs here: the recipe. Does not belong here: masks and their encoding (``masks``, ``rle``).
"""

from neurovision_assets.artifacts import MAIN_TABLE
from neurovision_assets.schemas import ANATOMY as CONTRACT
from neurovision_assets.stage.recipe import stage_recipe
from neurovision_assets.stage.work import Outcome, Work
from neurovision_assets.surgery.anatomy.config import AnatomyConfig
from neurovision_assets.surgery.anatomy.masks import anatomy_tables
from neurovision_assets.surgery.frames.asset import geometry_of, pictures_of
from neurovision_assets.surgery.pipeline import ANATOMY, SURGERY


@stage_recipe(SURGERY, ANATOMY.name)
def anatomy(work: Work[AnatomyConfig]) -> Outcome:
    """Masks of eight classes of tissue in every picture, as COCO run lengths in frame and source pixels."""
    rows, seen = 0, set()
    for table in anatomy_tables(pictures_of(work), work.inference, work.config, geometry_of(work)):
        work.write(MAIN_TABLE, CONTRACT, table)
        rows += table.num_rows
        seen.update(table["structure"].to_pylist())
    return Outcome(counts={"rows": rows, "structures": len(seen), "names": ", ".join(sorted(seen))})
