"""The contracts of every table in the graph.

Belongs here: columns, units, bounds. Does not belong here: how a contract is checked (``tables``). A change raises the
table's version, which makes stored tables stale.
"""

from __future__ import annotations

import pyarrow as pa

from neurovision_assets.tables import ColumnContract, TableContract

FEATURE_WIDTH = 2048
EVENT_KINDS = (
    "bleeding",
    "smoke",
    "clip-applied",
    "instrument-exchange",
    "idle",
    "phase-out-of-order",
    "unusually-long-phase",
    "out-of-body",
)

_FRAME_INDEX = ColumnContract("frame_index", pa.int32(), "Number of the stored frame, from 0.", minimum=0)
_TIMESTAMP = ColumnContract(
    "timestamp_ms", pa.int64(), "True time of the frame on the operation's clock, milliseconds.", minimum=0
)
_FRAME_TIMES = (_FRAME_INDEX, _TIMESTAMP)
_SPAN = (
    ColumnContract("start_ms", pa.int64(), "First moment, milliseconds on the operation's clock.", minimum=0),
    ColumnContract("end_ms", pa.int64(), "End, exclusive, milliseconds on the operation's clock.", minimum=0),
    ColumnContract("duration_ms", pa.int64(), "end_ms − start_ms.", minimum=0),
)


def _score(name: str, description: str) -> ColumnContract:
    return ColumnContract(name, pa.float32(), description, minimum=0, maximum=1)


def _box(prefix: str, picture: str) -> tuple[ColumnContract, ...]:
    return tuple(
        ColumnContract(f"{prefix}{side}_px", pa.float32(), f"Box, {side.replace('_', ' ')}, pixels of the {picture}.")
        for side in ("x_min", "y_min", "x_max", "y_max")
    )


FRAMES = TableContract(
    "frames",
    1,
    (
        ColumnContract("frame_index", pa.int32(), "Number of the stored frame, from 0.", minimum=0, unique=True),
        _TIMESTAMP,
        ColumnContract(
            "source_pts",
            pa.int64(),
            "Presentation timestamp in the file, in its time base; none where it has none.",
            nullable=True,
        ),
        ColumnContract("part_index", pa.int16(), "Which file of the operation, from 0.", minimum=0),
        ColumnContract("jpeg", pa.binary(), "The picture as JPEG, aspect kept, padded to the frame's size."),
        ColumnContract("sharpness", pa.float32(), "Variance of the Laplacian.", minimum=0),
        ColumnContract("brightness", pa.float32(), "Mean luma, 0–255.", minimum=0, maximum=255),
        ColumnContract("saturation", pa.float32(), "Mean saturation, 0–255.", minimum=0, maximum=255),
        ColumnContract(
            "difference", pa.float32(), "Mean change from the stored frame before, 0–255.", minimum=0, nullable=True
        ),
        ColumnContract("frozen", pa.bool_(), "The picture stands still although time goes on."),
    ),
)
FEATURES = TableContract(
    "features",
    1,
    (
        *_FRAME_TIMES,
        ColumnContract("features", pa.list_(pa.float32(), FEATURE_WIDTH), "Feature vector of unit length."),
        ColumnContract(
            "novelty",
            pa.float32(),
            "How unlike the training pictures: 1.0 is the 99th percentile of unseen pictures of their kind.",
            minimum=0,
            nullable=True,
        ),
    ),
)
PHASES = TableContract(
    "phases",
    1,
    (
        *_FRAME_TIMES,
        ColumnContract("phase", pa.string(), "The most probable phase."),
        _score("confidence", "Its calibrated probability."),
        ColumnContract("probabilities", pa.list_(pa.float32()), "Probability of every phase, in the taxonomy's order."),
    ),
)
PHASE_SEGMENTS = TableContract(
    "phase_segments",
    1,
    (
        ColumnContract("segment_index", pa.int32(), "Number of the segment, from 0.", minimum=0, unique=True),
        ColumnContract("phase", pa.string(), "The phase."),
        *_SPAN,
        _score("mean_confidence", "Mean calibrated probability of the phase over the segment's frames."),
    ),
)
DETECTIONS = TableContract(
    "detections",
    1,
    (
        *_FRAME_TIMES,
        ColumnContract("instrument", pa.string(), "Class of the instrument."),
        ColumnContract("class_id", pa.int16(), "Its number in the model's labels.", minimum=0),
        _score("score", "The detector's score; only scores strictly above the threshold are kept."),
        ColumnContract("track_id", pa.int32(), "Same number, same instrument in view.", minimum=0),
        *_box("", "frame"),
        *_box("source_", "source picture"),
    ),
)
INSTRUMENT_USES = TableContract(
    "instrument_uses",
    1,
    (
        ColumnContract("instrument", pa.string(), "Class of the instrument."),
        ColumnContract("use_index", pa.int32(), "Number of this use of the class, from 0.", minimum=0),
        *_SPAN,
        _score("mean_score", "Mean detection score over the use."),
        ColumnContract("frame_count", pa.int32(), "Frames in which it was seen.", minimum=1),
    ),
)
ANATOMY = TableContract(
    "anatomy",
    1,
    (
        *_FRAME_TIMES,
        ColumnContract("structure", pa.string(), "Class of the tissue."),
        ColumnContract("class_id", pa.int16(), "Its number in the model's labels.", minimum=1),
        ColumnContract("area_px", pa.int64(), "Area, pixels of the frame.", minimum=1),
        _score("area_fraction", "Share of the picture without padding."),
        _score("confidence", "Mean probability of the class inside the mask."),
        ColumnContract("rle", pa.string(), "COCO compressed run lengths of the mask in the frame."),
        ColumnContract("source_area_px", pa.int64(), "Area, pixels of the source picture.", minimum=1),
        ColumnContract("source_rle", pa.string(), "COCO compressed run lengths in the source picture."),
    ),
)
EVENTS = TableContract(
    "events",
    1,
    (
        ColumnContract("event_index", pa.int32(), "Number of the event, from 0.", minimum=0, unique=True),
        ColumnContract("kind", pa.string(), "What happened.", allowed=EVENT_KINDS),
        *_SPAN,
        _score("score", "How sure the rule is."),
        ColumnContract("rule", pa.string(), "Name of the rule that found it."),
        ColumnContract("rule_version", pa.string(), "Version of the rule set."),
        ColumnContract("detail", pa.string(), "What the rule saw, in figures."),
        ColumnContract("evidence_frames", pa.list_(pa.int32()), "frame_index of the pictures that show it."),
    ),
)
