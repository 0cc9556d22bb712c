"""The asset ``surgery/features``: a vector a stored picture.

Belongs here: the recipe. Does not belong here: what a backbone must be like (``compute``).
"""

from neurovision_assets.artifacts import MAIN_TABLE
from neurovision_assets.schemas import FEATURES as CONTRACT
from neurovision_assets.stage.recipe import stage_recipe
from neurovision_assets.stage.work import Outcome, Work
from neurovision_assets.surgery.features.compute import features_tables
from neurovision_assets.surgery.features.config import FeaturesConfig
from neurovision_assets.surgery.frames.asset import pictures_of
from neurovision_assets.surgery.pipeline import FEATURES, SURGERY


@stage_recipe(SURGERY, FEATURES.name)
def features(work: Work[FeaturesConfig]) -> Outcome:
    """What the backbone sees in every picture, 2048 figures of unit length, and how unfamiliar the picture is."""
    rows = 0
    for table in features_tables(pictures_of(work), work.inference, work.config):
        work.write(MAIN_TABLE, CONTRACT, table)
        rows += table.num_rows
    return Outcome(counts={"rows": rows})
