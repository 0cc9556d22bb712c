"""PNG files that are there, or an error: OpenCV's own writing of files says nothing of a full disk.

Belongs here: bytes of a picture and their file. Does not belong here: what is drawn.
"""

from __future__ import annotations

from pathlib import Path

import cv2

from simulator.view import Picture


def write_png(path: Path, picture: Picture) -> None:
    """Write an RGB picture [h,w,3] or class ids [h,w]; raises OSError where the file cannot be written."""
    channels = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) if picture.ndim == 3 else picture
    path.write_bytes(cv2.imencode(".png", channels)[1].tobytes())
