"""Starting encoders without what they do to their caller.

Belongs here: side effects of encoders. Does not belong here: their options (`video`).
"""

from __future__ import annotations

import os
from typing import Any


def start_encoding(container: Any) -> None:
    """Open the encoders now instead of at the first picture, and keep the scheduling of this thread as it was.

    SVT-AV1, started by root, puts its caller under real-time scheduling (`SCHED_FIFO`, priority 99), which every later
    thread and child inherits. Two of them that wait by spinning (PyTorch's OpenMP does) then hold both cores of a
    small machine for ever, and the one that they wait for never runs.

    Args:
        container: PyAV's output container, its streams all added and set.

    Raises:
        av.error.FFmpegError: An encoder does not take this size or these options.
    """
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        container.start_encoding()
    finally:
        os.sched_setscheduler(0, policy, parameters)
