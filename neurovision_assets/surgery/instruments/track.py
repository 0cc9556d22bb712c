"""The same instrument in frame after frame.

Belongs here: linking boxes over time. Does not belong here: boxes (`detect`), uses of a class (`usage`).

Tracking by detection as in SORT (Bewley et al., ICIP 2016), with two changes for pictures half a second apart, where
instruments jump by their own size and boxes of one instrument often do not overlap. Likeness is the Distance-IoU (Zheng
et al., AAAI 2020), which falls smoothly with the distance of centres when IoU is zero. And there is no Kalman filter:
half a second on, a hand's velocity says nothing about its next place, while a still instrument is where it was.
ByteTrack's second round with low scores (Zhang et al., ECCV 2022) is left out, because scores below the threshold are
not kept (NV-110).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neurovision_assets.surgery.instruments.assign import assign
from neurovision_assets.surgery.instruments.config import InstrumentsConfig
from neurovision_assets.surgery.instruments.detect import Detections
from neurovision_assets.surgery.timeline import LONGEST_HOLD, runs

Boxes = npt.NDArray[np.float64]
"""float64 [n, 4], x_min, y_min, x_max, y_max."""


@dataclass
class _Track:
    track_id: int
    class_id: int
    box_px: Boxes
    seen_ms: int


def track(detections: Detections, frame_interval_ms: int, config: InstrumentsConfig) -> npt.NDArray[np.int32]:
    """Number the instruments.

    A detection continues an instrument of the same class that was seen at most `config.track_gap_ms` before (two frames
    where they are further apart); of all ways to link a frame, the one with the greatest sum of likeness is taken.

    Args:
        detections: boxes in order of time.
        frame_interval_ms: usual time between two frames.
        config: gap and least likeness.

    Returns:
        Track of every detection, int32 [k]: 0, 1, 2, … in order of first appearance, never twice in a frame.
    """
    longest_gap_ms = max(config.track_gap_ms, round(LONGEST_HOLD * frame_interval_ms))
    numbers = np.empty(len(detections), dtype=np.int32)
    tracks: list[_Track] = []
    born = 0
    for first, after in zip(*runs(detections.frame_index), strict=True):
        now_ms = int(detections.timestamp_ms[first])
        tracks = [known for known in tracks if now_ms - known.seen_ms <= longest_gap_ms]
        boxes, classes = detections.box_px[first:after], detections.class_id[first:after]
        linked = _link(tracks, boxes, classes, config.track_similarity)
        for place, (box, class_id) in enumerate(zip(boxes, classes, strict=True)):
            known = linked.get(place)
            if known is None:
                known = _Track(born, int(class_id), box, now_ms)
                tracks.append(known)
                born += 1
            known.box_px, known.seen_ms = box, now_ms
            numbers[first + place] = known.track_id
    return numbers


def distance_iou(first: Boxes, second: Boxes) -> npt.NDArray[np.float64]:
    """Distance-IoU of every pair: IoU minus the squared distance of centres over the squared enclosing diagonal.

    Args:
        first: [n, 4].
        second: [m, 4].

    Returns:
        float64 [n, m] in −1..1; 1 for equal boxes.
    """
    a, b = first[:, np.newaxis], second[np.newaxis]
    overlap = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(axis=-1)
    union = (a[..., 2:] - a[..., :2]).prod(axis=-1) + (b[..., 2:] - b[..., :2]).prod(axis=-1) - overlap
    enclosing = np.maximum(a[..., 2:], b[..., 2:]) - np.minimum(a[..., :2], b[..., :2])
    apart = (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2
    tiny = np.finfo(np.float64).tiny
    likeness: npt.NDArray[np.float64] = overlap / np.maximum(union, tiny) - (apart**2).sum(axis=-1) / np.maximum(
        (enclosing**2).sum(axis=-1), tiny
    )
    return likeness


def _link(tracks: list[_Track], boxes: Boxes, classes: npt.NDArray[np.int16], least: float) -> dict[int, _Track]:
    """Track of each detection of one frame that continues one."""
    if not tracks:
        return {}
    likeness = distance_iou(np.stack([known.box_px for known in tracks]), boxes)
    same = np.array([known.class_id for known in tracks])[:, np.newaxis] == classes
    gain = np.where(same & (likeness >= least), likeness - least + np.finfo(np.float64).eps, 0.0)
    return {place: tracks[row] for row, place in assign(gain)}
