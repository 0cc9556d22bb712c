"""The asset ``surgery/instruments``: which instrument where, and for how long.

Belongs here: the recipe. Does not belong here: detection, tracking, uses (their own files).
"""

from neurovision_assets.artifacts import MAIN_TABLE
from neurovision_assets.schemas import DETECTIONS as CONTRACT
from neurovision_assets.schemas import INSTRUMENT_USES
from neurovision_assets.stage.recipe import stage_recipe
from neurovision_assets.stage.work import Outcome, Work
from neurovision_assets.surgery.frames.asset import geometry_of, pictures_of
from neurovision_assets.surgery.instruments.config import InstrumentsConfig
from neurovision_assets.surgery.instruments.detect import detect, detections_table
from neurovision_assets.surgery.instruments.track import track
from neurovision_assets.surgery.instruments.usage import instrument_uses_table
from neurovision_assets.surgery.pipeline import FRAMES, INSTRUMENTS, SURGERY
from neurovision_assets.surgery.previews import timeline_preview
from neurovision_assets.surgery.timeline import frame_interval_ms

USES_PART = "uses.parquet"


@stage_recipe(SURGERY, INSTRUMENTS.name)
def instruments(work: Work[InstrumentsConfig]) -> Outcome:
    """Boxes of the seven Cholec80 instruments in frame and source pixels, tracks across frames, and uses."""
    times = work.table(FRAMES.name, columns=["frame_index", "timestamp_ms"])
    frame_index, timestamp_ms = times["frame_index"].to_numpy(), times["timestamp_ms"].to_numpy()
    duration_ms = work.facts(FRAMES.name)["duration_ms"]
    labels = work.model_spec(work.config.model).labels
    detections = detect(pictures_of(work), work.inference, work.config, geometry_of(work))
    tracks = track(detections, frame_interval_ms(timestamp_ms, duration_ms), work.config)
    uses = instrument_uses_table(detections, frame_index, timestamp_ms, duration_ms, labels, work.config)
    work.write(MAIN_TABLE, CONTRACT, detections_table(detections, tracks, labels))
    work.write(USES_PART, INSTRUMENT_USES, uses)
    bands = list(zip(*(uses[name].to_pylist() for name in ("instrument", "start_ms", "end_ms")), strict=True))
    return Outcome(
        counts={
            "rows": len(detections),
            "instruments": len(set(uses["instrument"].to_pylist())),
            "uses": uses.num_rows,
        },
        preview=timeline_preview(bands, [], duration_ms, kind="instrument"),
    )
