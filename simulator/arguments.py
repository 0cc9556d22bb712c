"""The arguments of `python -m simulator`, each refused where no set can be made of it.

Belongs here: names, bounds, what is said of a wrong one. Does not belong here: making anything (`dataset`).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from simulator.operation import LONGEST_OPERATION_S, SHORTEST_OPERATION_S
from simulator.render import SMALLEST_PX
from simulator.video import require_encoder

LARGEST_PX = 8192
"""By hand: the next power of two over the 7680 of 8K (SMPTE ST 2036-1)."""
FASTEST_FPS = 1000.0
"""Truth is in whole milliseconds: of faster pictures two would have the same time."""
WORST_CRF = 63
"""Of AV1 and VP9."""
WORST_CRF_OF = {"libx264": 51, "libx265": 51}
"""Of H.264 and H.265: x264 takes more without a word, and means 51."""


def parse_arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line's arguments; ends with status 2 and says why where one of them is wrong."""
    count, seed, crf = whole(1), whole(0), whole(0, WORST_CRF)
    duration_s, truth_fps = number(SHORTEST_OPERATION_S, LONGEST_OPERATION_S), number(0.0, FASTEST_FPS)
    parser = argparse.ArgumentParser(prog="python -m simulator", description="Simulate operations with their truth.")
    parser.add_argument("--count", type=count, default=1, help="number of operations (default 1)")
    parser.add_argument("--seed", type=seed, default=0, help="seed of the first; the next ones count up (default 0)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to; one that was begun goes on")
    parser.add_argument("--duration-s", type=duration_s, default=240.0, help="length of each in seconds (default 240)")
    parser.add_argument("--fps", type=rate_fps, default=25.0, help="a second, as 30000/1001 (default 25)")
    parser.add_argument("--size", type=size_px, default=None, help="as 640x480, even (default: the hospital's own)")
    parser.add_argument("--codec", type=codec, default="libx264", help="FFmpeg encoder: libx264, libx265, libsvtav1 …")
    parser.add_argument("--crf", type=crf, default=None, help="encoder quality (default: usual for the codec)")
    parser.add_argument("--vfr", action="store_true", help="variable frame rate: leave out some frames")
    parser.add_argument(
        "--truth-fps", type=truth_fps, default=1.0, help="boxes and masks a second, 0 for none (default 1)"
    )
    parser.add_argument("--truth-only", action="store_true", help="no videos")
    parser.add_argument("--no-layouts", action="store_true", help="truth in our tables only")
    asked = parser.parse_args(words)
    worst = WORST_CRF_OF.get(asked.codec, WORST_CRF)
    if asked.crf is not None and asked.crf > worst:
        parser.error(f"argument --crf: {asked.crf} is out of bounds for {asked.codec}; give 0 to {worst}")
    return asked


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """Give what reads a whole number of at least `least`, and at most `most` where there is such a bound."""
    bounds = f"{least} or more" if most is None else f"{least} to {most}"

    def read(word: str) -> int:
        try:
            value = int(word)
        except ValueError:
            raise argparse.ArgumentTypeError(f"'{word}' is no whole number; give {bounds}") from None
        if value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"{word} is out of bounds; give {bounds}")
        return value

    return read


def number(least: float, most: float, parse: Callable[[str], float] = float) -> Callable[[str], float]:
    """Give what reads a finite number from `least` to `most`."""

    def read(word: str) -> float:
        try:
            value = parse(word)
        except (ValueError, ArithmeticError):
            value = math.nan
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"'{word}' is no number from {least:g} to {most:g}; give one")
        return value

    return read


def quotient(word: str) -> float:
    """Read 30000/1001, or a number alone."""
    over, _, under = word.partition("/")
    return float(over) / float(under or 1)


def rate_fps(word: str) -> float:
    """Frames per second, more than 0; a fraction too, as the 30000/1001 of NTSC."""
    value = number(0.0, FASTEST_FPS, quotient)(word)
    if value == 0:
        raise argparse.ArgumentTypeError("a video has pictures; give more than 0 a second")
    return value


def size_px(word: str) -> tuple[int, int]:
    """Width and height from `640x480`; even, since chroma has half of the samples each way (4:2:0)."""
    sides = [int(side) if side.isdecimal() else 0 for side in word.split("x")]
    if len(sides) != 2 or any(side % 2 or not SMALLEST_PX <= side <= LARGEST_PX for side in sides):
        bounds = f"two even numbers from {SMALLEST_PX} to {LARGEST_PX}"
        raise argparse.ArgumentTypeError(f"'{word}' is no size; give {bounds}, as 640x480")
    return sides[0], sides[1]


def codec(word: str) -> str:
    """The name of a video encoder of this FFmpeg."""
    try:
        require_encoder(word)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return word
