"""Probabilities of phases to a row a frame, and to segments.

Belongs here: the call of the segmenter, the two tables, the joining of flicker. Does not belong here: names and
compatibility (`taxonomy`), what a phase out of order means (`events`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from neurovision_assets.schemas import PHASE_SEGMENTS, PHASES
from neurovision_assets.surgery.phases.config import PhasesConfig
from neurovision_assets.surgery.phases.taxonomy import Taxonomy
from neurovision_assets.surgery.timeline import Times, last_end_ms, runs
from resources.errors import PermanentFailure
from resources.inference.client import InferenceResource

Probabilities = npt.NDArray[np.float32]
"""float32 [n, phases], every row sums to one."""

SUM_TOLERANCE = 1e-2
"""How far the sum of a row may be from one: half precision rounds, logits and scores are far off."""


def predict(features: npt.NDArray[np.float32], inference: InferenceResource, config: PhasesConfig) -> Probabilities:
    """Phase probabilities of a whole operation in one request.

    Args:
        features: float32 [n, 2048], n at least 1, in order of time.
        inference: where the segmenter is.
        config: which segmenter.

    Raises:
        PermanentFailure: the answers are no probabilities.
    """
    answer = inference.infer_phase_segmentation(features, config.model)
    sums = answer.sum(axis=1)
    if not (np.isfinite(answer).all() and answer.min() >= -SUM_TOLERANCE and np.abs(sums - 1).max() <= SUM_TOLERANCE):
        raise PermanentFailure(
            f"The segmenter's answers are no probabilities: rows sum to {sums.min():.3g} to {sums.max():.3g}.",
            subject=inference.pin(config.model).identity.label,
            remedy="Export the network with its softmax.",
        )
    probabilities: Probabilities = np.clip(answer, 0.0, 1.0)
    return probabilities


def phases_table(
    frame_index: npt.NDArray[np.int32], timestamp_ms: Times, probabilities: Probabilities, taxonomy: Taxonomy
) -> pa.Table:
    """One row a frame, the model's own answer without any smoothing; `schemas.PHASES`."""
    best = probabilities.argmax(axis=1)
    count, width = probabilities.shape
    offsets = pa.array(np.arange(count + 1, dtype=np.int32) * width)
    columns = [
        pa.array(frame_index, pa.int32()),
        pa.array(timestamp_ms, pa.int64()),
        pa.array(np.array(taxonomy.names, dtype=object)[best], pa.string()),
        pa.array(probabilities[np.arange(count), best]),
        pa.ListArray.from_arrays(offsets, pa.array(probabilities.reshape(-1))),
    ]
    return pa.Table.from_arrays(columns, schema=PHASES.arrow_schema)


def phase_segments_table(
    timestamp_ms: Times, probabilities: Probabilities, taxonomy: Taxonomy, duration_ms: int, config: PhasesConfig
) -> pa.Table:
    """Segments without gaps: each ends where the next one begins; `schemas.PHASE_SEGMENTS`.

    The last one ends one frame interval after its last frame, no later than the video. Segments below
    `config.min_segment_ms` are joined (`join_short`); a joined segment's confidence is the mean probability of its own
    phase over all its frames, so that what was swallowed lowers it.
    """
    times = np.append(timestamp_ms, last_end_ms(timestamp_ms, duration_ms))
    first, phase = join_short(times, probabilities, config.min_segment_ms)
    after = np.append(first[1:], len(timestamp_ms))
    start, end = times[first], times[after]
    columns = [
        pa.array(np.arange(len(first)), pa.int32()),
        pa.array(np.array(taxonomy.names, dtype=object)[phase], pa.string()),
        pa.array(start),
        pa.array(end),
        pa.array(end - start),
        pa.array(_mean_probability(probabilities, first, after, phase), pa.float32()),
    ]
    return pa.Table.from_arrays(columns, schema=PHASE_SEGMENTS.arrow_schema)


def join_short(
    times_ms: Times, probabilities: Probabilities, min_segment_ms: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Segments of the most probable phase; the shortest is joined to a neighbour until none is too short.

    A short segment goes to the neighbour whose phase is the more probable in its frames. A video that is shorter than
    the limit keeps one segment.

    Args:
        times_ms: int64 [n + 1], when frames begin, and the end.
        probabilities: float32 [n, phases].
        min_segment_ms: least length of a segment.

    Returns:
        First frame and phase of each segment, int64 [k] each; neighbours differ in their phase.
    """
    best = probabilities.argmax(axis=1)
    first, _ = runs(best)
    phase = best[first]
    sums = np.concatenate((np.zeros((1, probabilities.shape[1])), np.cumsum(probabilities, axis=0, dtype=np.float64)))
    while len(first) > 1:
        bounds = np.append(first, len(best))
        lengths = np.diff(times_ms[bounds])
        shortest = int(lengths.argmin())
        if lengths[shortest] >= min_segment_ms:
            break
        inside = sums[bounds[shortest + 1]] - sums[bounds[shortest]]
        neighbours = [place for place in (shortest - 1, shortest + 1) if 0 <= place < len(phase)]
        phase[shortest] = phase[max(neighbours, key=lambda place: inside[phase[place]])]
        kept, _ = runs(phase)
        first, phase = first[kept], phase[kept]
    return first, phase


def _mean_probability(
    probabilities: Probabilities,
    first: npt.NDArray[np.int64],
    after: npt.NDArray[np.int64],
    phase: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Mean probability of each segment's phase over its frames, [k]."""
    own = probabilities[np.arange(len(probabilities)), np.repeat(phase, after - first)].astype(np.float64)
    means: npt.NDArray[np.float64] = np.add.reduceat(own, first) / (after - first)
    return np.minimum(means, 1.0)
