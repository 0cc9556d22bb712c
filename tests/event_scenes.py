"""Scenes of two minutes for the tests of event rules.

Belongs here: what several test files build scenes from. Does not belong here: expectations.
"""

from __future__ import annotations

import numpy as np

from neurovision_assets.surgery.events.spans import Clock
from tests.rooms import INTERVAL_MS, frame_times

FRAMES = 240


def clock(frames: int = FRAMES) -> Clock:
    """A clock of so many frames, two a second."""
    return Clock.of(*frame_times(frames), frames * INTERVAL_MS)


def raised(first: int, after: int, value: float, ground: float = 0.0) -> np.ndarray:
    """A signal at its ground, raised to a value from `first` until before `after`."""
    signal = np.full(FRAMES, ground)
    signal[first:after] = value
    return signal
