"""The plan of surgery's stages as an asset.

Belongs here: which domain is planned. Does not belong here: planning (``reprocessing``).
"""

from neurovision_assets.reprocessing.asset import plan_asset
from neurovision_assets.surgery.changes import COMPARED
from neurovision_assets.surgery.pipeline import SURGERY
from neurovision_assets.surgery.steps import STEPS

plan = plan_asset(SURGERY, STEPS, COMPARED)
