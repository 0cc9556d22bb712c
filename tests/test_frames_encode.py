"""Rows of the frame table: order, JPEG, progress, memory, and the same again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from neurovision_assets.surgery.frames.config import FramesConfig
from neurovision_assets.surgery.frames.decode import MediaPart
from neurovision_assets.surgery.frames.encode import FRAME_SCHEMA, FrameBatches, encode_jpeg, sample_to_batches
from neurovision_assets.surgery.video.probe import probe_video
from tests import media

MEBIBYTE = 1 << 20

GROWTH_PER_FRAME_BYTES = 20_000
"""The most that peak memory may grow with each stored frame (requirement of the main job)."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module")
def clip(folder: Path) -> Path:
    return media.write_clip(folder / "clip.mp4", count=500)


def batches_of(path: Path, config: FramesConfig | None = None, told: list[float] | None = None) -> FrameBatches:
    parts = [MediaPart(path, probe_video(path, subject="x"))]
    return sample_to_batches(parts, config, subject="x", on_progress=None if told is None else told.append)


def test_defaults() -> None:
    config = FramesConfig()
    assert (config.fps, config.width_px, config.height_px, config.jpeg_quality) == (2.0, 640, 480, 95)
    for wrong in ({"fps": 0}, {"jpeg_quality": 101}, {"width_px": 0}, {"quality": 95}):
        with pytest.raises(ValidationError):
            FramesConfig.model_validate(wrong)


def test_batches(clip: Path) -> None:
    found = batches_of(clip, FramesConfig(batch_rows=16))
    with pytest.raises(RuntimeError, match="after the first batch"):
        _ = found.geometry
    batches = list(found)
    assert [batch.num_rows for batch in batches] == [16, 16, 8]
    assert all(batch.schema == FRAME_SCHEMA for batch in batches)
    table = pa.Table.from_batches(batches)
    table.validate(full=True)
    assert table["frame_index"].to_pylist() == list(range(40))
    assert table["difference"].null_count == 1
    assert table["difference"][0].as_py() is None


def test_frames_are_jpeg_of_the_asked_size_and_quality(clip: Path) -> None:
    sizes = []
    for quality in (60, 95):
        config = FramesConfig(width_px=320, height_px=256, jpeg_quality=quality)
        jpeg = next(iter(batches_of(clip, config)))["jpeg"][0].as_py()
        assert jpeg.startswith(b"\xff\xd8\xff")
        assert jpeg.endswith(b"\xff\xd9")
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        assert picture.shape == (256, 320, 3)
        assert luminance_steps(jpeg) == standard_luminance_steps(quality)
        sizes.append(len(jpeg))
    assert sizes[0] < sizes[1]


def luminance_steps(jpeg: bytes) -> bytes:
    """The first quantisation table of a JPEG file (ITU-T T.81, DQT)."""
    table = jpeg.index(b"\xff\xdb") + 5
    return jpeg[table : table + 64]


def standard_luminance_steps(quality: int) -> bytes:
    """What libjpeg makes of its first two steps (16, 11) at a quality, found by compressing anew."""
    return luminance_steps(encode_jpeg(media.numbered(0, 64, 64), quality))


def test_quality_95_is_libjpeg_s(clip: Path) -> None:
    """16 and 11, the first steps of the standard table (T.81, Annex K), scaled by 200 - 2 * 95 per cent."""
    jpeg = next(iter(batches_of(clip)))["jpeg"][0].as_py()
    assert luminance_steps(jpeg)[:2] == bytes([2, 1])


def test_progress_rises_to_one(clip: Path) -> None:
    told: list[float] = []
    list(batches_of(clip, told=told))
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert 10 <= len(told) <= 101
    assert all(0 <= share <= 1 for share in told)


def test_a_frozen_picture_is_told(folder: Path) -> None:
    def still_after_four_seconds(index: int, width: int, height: int) -> media.Image:
        return media.numbered(min(index, 100), width, height)

    path = media.write_clip(folder / "frozen.mp4", count=200, picture=still_after_four_seconds)
    frozen = pa.Table.from_batches(list(batches_of(path, FramesConfig(sampling="exact"))))["frozen"].to_pylist()
    assert frozen == [False] * 9 + [True] * 7


def test_the_same_again_whatever_the_threads(clip: Path) -> None:
    tables = [
        pa.Table.from_batches(list(batches_of(clip, FramesConfig(encode_threads=threads)))) for threads in (1, 2, 7)
    ]
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_damage_gives_the_same_again(folder: Path, codec: str) -> None:
    """Patched-up pictures of a damaged recording must not depend on how threads happened to run."""
    whole = media.write_clip(folder / f"whole_{codec}.mp4", codec=codec, count=250)
    path = folder / f"damaged_{codec}.mp4"
    content = bytearray(whole.read_bytes())
    for position, size in media.packet_places(whole)[60:120]:
        for place in range(position + min(30, size - 1), position + size, 97):
            content[place] ^= 0xFF
    path.write_bytes(content)
    tables = [pa.Table.from_batches(list(batches_of(path, FramesConfig(fps=25)))) for _ in range(4)]
    assert all(table.equals(tables[0]) for table in tables[1:])


def test_a_reader_that_stops_early_leaves_no_threads(clip: Path) -> None:
    import threading

    before = threading.active_count()
    reading = iter(batches_of(clip, FramesConfig(batch_rows=2)))
    next(reading)
    reading.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


PEAK = """
import resource, sys
from pathlib import Path
from neurovision_assets.surgery.frames.encode import sample_to_batches
from neurovision_assets.surgery.frames.decode import MediaPart
from neurovision_assets.surgery.video.probe import probe_video
path = Path(sys.argv[1])
rows = sum(b.num_rows for b in sample_to_batches([MediaPart(path, probe_video(path, subject="x"))], subject="x"))
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def peak(path: Path) -> tuple[int, int]:
    """Stored frames, and peak memory in bytes, of a process that takes the frames of a file."""
    answer = subprocess.run([sys.executable, "-c", PEAK, str(path)], capture_output=True, check=True, text=True)
    rows, peak_bytes = answer.stdout.split()
    return int(rows), int(peak_bytes)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(folder: Path) -> None:
    """Two minutes and an hour, the same packets repeated."""
    minute = media.write_clip(folder / "minute.mp4", count=600, fps=10, size=(160, 120))
    short = peak(media.repeat(minute, folder / "short.mp4", 2))
    long = peak(media.repeat(minute, folder / "long.mp4", 60))
    assert (short[0], long[0]) == (240, 7200)
    assert long[1] - short[1] < 20 * MEBIBYTE < GROWTH_PER_FRAME_BYTES * (long[0] - short[0])
