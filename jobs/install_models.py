"""Look into the runtime model repository, seed it where it is empty, and tell the graph what is served.

Belongs here: the job. Does not belong here: promotion.
"""

import dagster as dg

install_models_job = dg.define_asset_job(
    "install_models",
    selection=dg.AssetSelection.groups("registry"),
    description="Fills the runtime model repository at first start and records which versions are served.",
)
