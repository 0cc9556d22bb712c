"""The contracts of the tables that dbt reads: the platform's records as rows.

Belongs here: columns and their meaning. Does not belong here: where rows come from (``videos``, ``contents``,
``releases``). Nothing in them names a person: no pseudonym, no surgeon, no title, no file's name, no failure's text (a
fault's may quote one). Times are UTC without a zone, because DuckDB needs an extension for zones.
"""

from __future__ import annotations

from typing import Final

import dagster as dg
import pyarrow as pa

from neurovision_assets.staleness import Staleness
from neurovision_assets.tables import ColumnContract, TableContract

SCHEMA: Final = "sources"
"""Of the warehouse, and first part of the tables' asset keys."""
MOMENT: Final = pa.timestamp("us")
CAUSES: Final = tuple(state.value for state in Staleness if state is not Staleness.UP_TO_DATE)
RELEASE_STATES: Final = ("served", "kept", "candidate", "refused")
SCORE_SOURCES: Final = ("evaluation", "card")


def _text(
    name: str, description: str, *, nullable: bool = False, allowed: tuple[str, ...] | None = None
) -> ColumnContract:
    return ColumnContract(name, pa.string(), description, nullable=nullable, allowed=allowed)


def _moment(name: str, description: str, *, nullable: bool = False) -> ColumnContract:
    return ColumnContract(name, MOMENT, description, nullable=nullable)


_VIDEO = _text("video_id", "The video.")
_ASSET = _text("asset", "Asset key of the stage.")
_DATA_VERSION = _text("data_version", "Hash of the content that the row was read from.")
_MODEL = _text("model", "Name in the model repository.")
_DIGEST = _text("digest", "SHA-256 of the model file.")

UPLOADS: Final = TableContract(
    "uploads",
    1,
    (
        ColumnContract("video_id", pa.string(), "The video.", unique=True),
        _text(
            "operation_type", "Kind of operation, as the sidecar spells it; none where it is not said.", nullable=True
        ),
        _text("department", "Where; none where it is not said.", nullable=True),
        _text("profile", "Analysis profile that the video is judged by."),
        ColumnContract("is_judged", pa.bool_(), "Whether that profile can be used now."),
        _moment("uploaded_at", "When it was registered, UTC."),
        ColumnContract("size_bytes", pa.int64(), "Size of all files.", minimum=0),
    ),
)
PROFILE_STAGES: Final = TableContract(
    "profile_stages",
    1,
    (
        _text("profile", "Analysis profile."),
        _ASSET,
        ColumnContract("place", pa.int32(), "Order in which the data flows, from 0.", minimum=0),
        ColumnContract("is_required", pa.bool_(), "Whether the report fails without it."),
    ),
)
RESULTS: Final = TableContract(
    "results",
    1,
    (
        _VIDEO,
        _ASSET,
        _text("data_version", "Hash of the result's content."),
        _text("profile", "Profile that it was made under."),
        _text("config_hash", "Hash of that whole profile."),
        _text("code_version", "Version of the stage's code."),
        _text("run_id", "The caller's id of the run, else Dagster's."),
        _text("device", "Where it was computed."),
        _moment("started_at", "UTC."),
        _moment("finished_at", "UTC."),
        ColumnContract("duration_ms", pa.int64(), "Wall time of the computation.", minimum=0),
    ),
)
MODEL_USES: Final = TableContract(
    "model_uses",
    1,
    (
        _VIDEO,
        _ASSET,
        _MODEL,
        ColumnContract("version", pa.int32(), "Version folder that was used.", minimum=1),
        _text("release", "Semantic version."),
        _DIGEST,
        _text("engine", "What computed it."),
        _text("precision", "Of its inputs."),
    ),
)
FAILURES: Final = TableContract(
    "failures",
    1,
    (
        _VIDEO,
        _ASSET,
        _text("kind", "Permanent, transient, configuration or unexpected."),
        _text("cause", "Asset key of the stage that failed first."),
        _moment("failed_at", "UTC."),
    ),
)
STALE_PAIRS: Final = TableContract(
    "stale_pairs",
    1,
    (
        _VIDEO,
        _ASSET,
        _text("cause", "The nearest reason.", allowed=CAUSES),
        _text("because", "Where the staleness began; several places are divided by semicolons."),
    ),
)
PHASE_SEGMENTS: Final = TableContract(
    "phase_segments",
    1,
    (
        _VIDEO,
        _DATA_VERSION,
        ColumnContract("segment_index", pa.int32(), "Number of the segment, from 0.", minimum=0),
        _text("phase", "The phase."),
        ColumnContract("start_ms", pa.int64(), "First moment on the operation's clock.", minimum=0),
        ColumnContract("end_ms", pa.int64(), "End, exclusive.", minimum=0),
        ColumnContract("mean_confidence", pa.float64(), "Mean calibrated probability.", minimum=0, maximum=1),
    ),
)
CONFIDENCES: Final = TableContract(
    "confidences",
    1,
    (
        _VIDEO,
        _ASSET,
        _DATA_VERSION,
        ColumnContract("predictions", pa.int64(), "Rows of the stage's table.", minimum=0),
        ColumnContract(
            "mean_confidence",
            pa.float64(),
            "Mean over the rows; none without rows.",
            minimum=0,
            maximum=1,
            nullable=True,
        ),
    ),
)
MODEL_RELEASES: Final = TableContract(
    "model_releases",
    1,
    (
        _MODEL,
        _DIGEST,
        _text("release", "Semantic version; none before a candidate is registered.", nullable=True),
        _text("state", "What became of it.", allowed=RELEASE_STATES),
        _text("origin", "`code`, or `training`.", allowed=("code", "training")),
        _text("refused_because", "Reason of the gate; none where it was not refused.", nullable=True),
        _text("data_revision", "DVC revision of its training data; none where it is not known.", nullable=True),
        _moment("made_at", "When it was trained, UTC; none for models that came with the code.", nullable=True),
    ),
)
MODEL_SCORES: Final = TableContract(
    "model_scores",
    1,
    (
        _MODEL,
        _DIGEST,
        _text("source", "`evaluation` on held-out videos by the gate, or the model's `card`.", allowed=SCORE_SOURCES),
        _text("scored_on", "Revision of the held-out data, or the card's set and group of figures."),
        _text("protocol", "Name and version of the protocol that the figure was counted by."),
        _text("figure", "Name of the figure; figures of a class stand behind a slash."),
        ColumnContract("value", pa.float64(), "The figure.", nullable=True),
    ),
)
ALL: Final = (
    UPLOADS,
    PROFILE_STAGES,
    RESULTS,
    MODEL_USES,
    FAILURES,
    STALE_PAIRS,
    PHASE_SEGMENTS,
    CONFIDENCES,
    MODEL_RELEASES,
    MODEL_SCORES,
)


def source_key(contract: TableContract) -> dg.AssetKey:
    """Dagster's key of a table that dbt reads."""
    return dg.AssetKey([SCHEMA, contract.name])
