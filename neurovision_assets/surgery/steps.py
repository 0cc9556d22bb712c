"""The stages of surgery as steps of a run.

Belongs here: which stages share a step. Does not belong here: the stages, what else exists (``definitions``).
"""

from neurovision_assets.stage.asset import step_asset
from neurovision_assets.surgery.anatomy.asset import anatomy
from neurovision_assets.surgery.events.asset import events
from neurovision_assets.surgery.features.asset import features
from neurovision_assets.surgery.frames.asset import frames
from neurovision_assets.surgery.instruments.asset import instruments
from neurovision_assets.surgery.phases.asset import phases
from neurovision_assets.surgery.report.asset import report
from neurovision_assets.surgery.video.asset import video

STEPS = [
    step_asset("video", video),
    step_asset("frames", frames),
    step_asset("predictions", features, phases, instruments, anatomy),  # pictures are decoded once for all of them
    step_asset("events", events),
    step_asset("report", report),
]
