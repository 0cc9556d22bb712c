"""The contracts of a data set's tables.

Belongs here: columns, units, bounds, the words that annotations use. Does not belong here: what annotations must make
together (``training/validation``), reading and writing (``folder``).

A table may be missing where a set has no annotations of its kind. Times are on the operation's clock, boxes and masks
in pixels of its source picture. ``author`` is a set's name, a model's label or a person's pseudonym; ``annotated_at``
is absent where nobody wrote it down, and counts as earlier than any time.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from models.labels import ANATOMY, INSTRUMENTS, PHASES
from neurovision_assets.schemas import EVENT_KINDS
from neurovision_assets.tables import ColumnContract, TableContract

__all__ = ["ANATOMY", "EVENT_KINDS", "INSTRUMENTS", "PHASES"]

THROUGHOUT: Final = "throughout"
MOMENTS: Final = "moments"
BOXES_KIND: Final = "boxes"
PRESENCE_KIND: Final = "presence"
SPLIT_NAMES: Final = ("train", "val", "test")

_OPERATION = ColumnContract("operation", pa.string(), "Name of the operation, unique in the version.")
_TIMESTAMP = ColumnContract("timestamp_ms", pa.int64(), "Moment on the operation's clock, milliseconds.", minimum=0)
_SPAN = (
    ColumnContract("start_ms", pa.int64(), "First moment, milliseconds on the operation's clock.", minimum=0),
    ColumnContract("end_ms", pa.int64(), "End, exclusive, milliseconds on the operation's clock.", minimum=0),
)
_AUTHOR = (
    ColumnContract("author", pa.string(), "Who says so: a set, a model or a person's pseudonym."),
    ColumnContract(
        "annotated_at", pa.timestamp("ms", tz="UTC"), "When it was said; none where unknown.", nullable=True
    ),
)

OPERATIONS: Final = TableContract(
    "operations",
    1,
    (
        ColumnContract("operation", pa.string(), "Name of the operation, unique in the version.", unique=True),
        ColumnContract("patient", pa.string(), "The patient's pseudonym, the same in every set that has the patient."),
        ColumnContract("surgeon", pa.string(), "Who operated, a pseudonym."),
        ColumnContract("hospital", pa.string(), "Where."),
        ColumnContract("operation_type", pa.string(), "What was operated."),
        ColumnContract("source", pa.string(), "The imported set that it comes from."),
        ColumnContract("duration_ms", pa.int64(), "Length, milliseconds.", minimum=1),
        ColumnContract("width_px", pa.int32(), "Width of the source picture; none without pictures.", 1, nullable=True),
        ColumnContract("height_px", pa.int32(), "Its height.", 1, nullable=True),
        ColumnContract("fps", pa.float64(), "Source pictures a second; none without a video.", 0, nullable=True),
        ColumnContract("video", pa.string(), "The video in the data sets' repository, empty without one."),
        ColumnContract(
            "labelled",
            pa.string(),
            "Whether phases are known throughout, or at single moments only.",
            allowed=(THROUGHOUT, MOMENTS),
        ),
    ),
)
PHASE_SPANS: Final = TableContract(
    "phases", 1, (_OPERATION, *_SPAN, ColumnContract("phase", pa.string(), "The phase."), *_AUTHOR)
)
EVENT_SPANS: Final = TableContract(
    "events", 1, (_OPERATION, *_SPAN, ColumnContract("kind", pa.string(), "What happened."), *_AUTHOR)
)
BOXES: Final = TableContract(
    "boxes",
    1,
    (
        _OPERATION,
        _TIMESTAMP,
        ColumnContract("instrument", pa.string(), "Class of the instrument."),
        *(
            ColumnContract(f"{side}_px", pa.float32(), f"Box, {side.replace('_', ' ')}, pixels of the source picture.")
            for side in ("x_min", "y_min", "x_max", "y_max")
        ),
        *_AUTHOR,
    ),
)
PRESENCE: Final = TableContract(
    "presence", 1, (_OPERATION, _TIMESTAMP, ColumnContract("instrument", pa.string(), "An instrument that is seen."))
)
SEEN_MOMENTS: Final = TableContract(
    "moments",
    1,
    (
        _OPERATION,
        _TIMESTAMP,
        ColumnContract(
            "kind",
            pa.string(),
            "What was looked for; a moment without a row of that kind shows none.",
            allowed=(BOXES_KIND, PRESENCE_KIND),
        ),
        *_AUTHOR,
    ),
)
MASKS: Final = TableContract(
    "masks", 1, (_OPERATION, _TIMESTAMP, ColumnContract("png", pa.binary(), "PNG, one byte a pixel: class."), *_AUTHOR)
)
FRAMES: Final = TableContract(
    "frames", 1, (_OPERATION, _TIMESTAMP, ColumnContract("jpeg", pa.binary(), "The stored picture as JPEG."))
)
PICTURES: Final = TableContract(
    "pictures", 1, (_OPERATION, _TIMESTAMP, ColumnContract("picture", pa.binary(), "The picture's file, as it came."))
)
SPLITS: Final = TableContract(
    "splits",
    1,
    (
        ColumnContract("operation", pa.string(), "Name of the operation."),
        ColumnContract("split", pa.string(), "Which part it belongs to.", allowed=SPLIT_NAMES),
    ),
)

ANNOTATIONS: Final = (PHASE_SPANS, EVENT_SPANS, BOXES, PRESENCE, SEEN_MOMENTS, MASKS)
"""The tables of annotations; each has a column ``operation``."""
