"""The data of training: pictures, annotations, validation, splits, as one version.

Belongs here: the job's name and selection. Does not belong here: the assets; training, which takes them along.
"""

import dagster as dg

from neurovision_assets.training.dataset.told import PREFIX

MAKE_DATASET = "make_dataset"

dataset_job = dg.define_asset_job(
    MAKE_DATASET,
    selection=dg.AssetSelection.assets(*([*PREFIX, name] for name in ("frames", "annotations", "splits"))),
    description="A new version of the data: everything imported and corrected, merged, validated, divided.",
)
