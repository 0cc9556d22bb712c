"""An event that stands on pictures unlike the models' training pictures is less sure.

Belongs here: lowering scores by novelty. Does not belong here: novelty itself (``features``), the report's verdict.

A detector that is out of its depth sees nothing, and a rule that waits for nothing ("no instrument for ten seconds")
would be as sure as it can be. So the share of unfamiliar pictures in an event's span is taken off its score.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

UNFAMILIAR = 1.0
"""Novelty above which a picture is unlike 99 % of unseen pictures of the training kind."""


def doubt_unfamiliar(
    table: pa.Table, timestamp_ms: npt.NDArray[np.int64], novelty: npt.NDArray[np.float32]
) -> pa.Table:
    """Multiply each score by the share of familiar pictures in the event's span, and say so in ``detail``.

    Args:
        table: `schemas.EVENTS`.
        timestamp_ms: int64 [n], rising.
        novelty: float32 [n]; NaN where a backbone does not tell, which counts as familiar.

    Returns:
        The same rows with ``score`` and ``detail`` changed where a picture is unfamiliar.
    """
    strange = np.concatenate(([0], np.cumsum(novelty > UNFAMILIAR)))
    scores, details = [], []
    for row in table.to_pylist():
        first, after = np.searchsorted(timestamp_ms, (row["start_ms"], row["end_ms"]))
        share = float(strange[after] - strange[first]) / max(1, int(after - first))
        scores.append(row["score"] * (1.0 - share))
        details.append(f"{row['detail']} unfamiliar={share:.2f}" if share else row["detail"])
    columns = {"score": pa.array(scores, pa.float32()), "detail": pa.array(details, pa.string())}
    for name, values in columns.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(name), values)
    return table
