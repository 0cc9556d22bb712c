"""Recordings as hospitals really have them, decoded to the frames that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest

from models.letterbox import FrameGeometry
from neurovision_assets.surgery.frames.config import FramesConfig
from neurovision_assets.surgery.frames.damage import DecodeReport
from neurovision_assets.surgery.frames.decode import FrameDecoder, MediaPart, length_ms
from neurovision_assets.surgery.frames.encode import sample_to_batches
from neurovision_assets.surgery.video.probe import VideoLimits, probe_video
from resources.errors import PermanentFailure
from tests import media

SUBJECT = "operation_001-1f3a9c2b"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@dataclass(frozen=True)
class Taken:
    """A frame table as a test looks at it."""

    table: pa.Table
    geometry: FrameGeometry
    report: DecodeReport

    @property
    def times_ms(self) -> list[int]:
        """Stored times."""
        times: list[int] = self.table["timestamp_ms"].to_pylist()
        return times

    def picture(self, row: int) -> media.Image:
        """A stored frame without its padding."""
        jpeg = np.frombuffer(self.table["jpeg"][row].as_py(), np.uint8)
        frame = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
        assert frame is not None
        assert frame.shape == (self.geometry.height_px, self.geometry.width_px, 3)
        return frame[self.geometry.inner].astype(np.uint8)

    @property
    def numbers(self) -> list[int]:
        """Which source frames the stored ones are, read from the pictures."""
        return [media.read_number(self.picture(row)) for row in range(self.table.num_rows)]


def part(path: Path, offset_ms: int | None = None) -> MediaPart:
    return MediaPart(path, probe_video(path, subject=SUBJECT), offset_ms)


def take(*parts: Path | MediaPart, **settings: Any) -> Taken:
    """The frames of some files; the exact ones, unless the settings say otherwise."""
    files = [each if isinstance(each, MediaPart) else part(each) for each in parts]
    batches = sample_to_batches(files, FramesConfig(**{"sampling": "exact", **settings}), subject=SUBJECT)
    table = pa.Table.from_batches(list(batches), schema=batches.schema)
    assert table["frame_index"].to_pylist() == list(range(table.num_rows))
    taken = Taken(table, batches.geometry, batches.report)
    assert taken.times_ms == sorted(set(taken.times_ms))
    assert taken.report.sampled == table.num_rows
    return taken


def test_ten_seconds_at_25_give_twenty_frames_at_2(folder: Path) -> None:
    taken = take(media.write_clip(folder / "ten_seconds.mp4", count=250))
    assert taken.table.num_rows == 20
    assert taken.numbers == [round(time / 40) for time in taken.times_ms]
    assert all(abs(time - 500 * index) <= 20 for index, time in enumerate(taken.times_ms))
    assert taken.report == DecodeReport(packets=250, decoded=250, sampled=20, duration_ms=10_000)


@pytest.mark.parametrize(
    ("name", "count"),
    [("cholect50_VID70_annotated164_1fps.mp4", 164), ("cholect50_VID74_sec0807-0841_1fps.mp4", 35)],
)
def test_real_clips_of_one_frame_a_second(shared_data: Path, name: str, count: int) -> None:
    taken = take(shared_data / "surgery" / "clips" / name, fps=2.0)
    assert taken.times_ms == [1000 * second for second in range(count)]
    assert taken.picture(0).shape == (360, 640, 3)
    assert not any(taken.table["frozen"].to_pylist())
    assert taken.report.careful_parts == 0


@pytest.mark.parametrize(
    ("ending", "codec", "pixel_format"),
    [
        ("mp4", "libx265", "yuv420p10le"),
        ("mp4", "libsvtav1", "yuv420p"),
        ("webm", "libvpx-vp9", "yuv420p"),
        ("avi", "mpeg4", "yuv420p"),
        ("mpg", "mpeg2video", "yuv420p"),
        ("mkv", "ffv1", "yuv422p10le"),
        ("mkv", "ffv1", "gray"),
        ("mov", "mjpeg", "yuvj420p"),
        ("mkv", "libx264rgb", "rgb24"),
    ],
)
def test_codecs_and_pixel_formats(folder: Path, ending: str, codec: str, pixel_format: str) -> None:
    path = media.write_clip(folder / f"{codec}_{pixel_format}.{ending}", codec=codec, pixel_format=pixel_format)
    taken = take(path)
    assert taken.times_ms == [0, 480, 1000, 1480]
    assert taken.numbers == [0, 12, 25, 37]
    assert (taken.report.lost_packets, taken.report.careful_parts) == (0, 0)


def test_reordered_pictures_in_avi(folder: Path) -> None:
    """AVI has no display times; frames and their times still agree to a picture."""
    taken = take(media.write_clip(folder / "reordered.avi", options={"bf": "3"}, count=100))
    assert taken.table.num_rows == 8
    assert all(abs(number - time / 40) <= 1 for number, time in zip(taken.numbers, taken.times_ms, strict=True))


def test_no_timestamps(folder: Path) -> None:
    taken = take(media.write_clip(folder / "stream.h264", container_format="h264"))
    assert taken.times_ms == [0, 480, 1000, 1480]
    assert taken.numbers == [0, 12, 25, 37]
    assert taken.report.derived_times == 50
    assert taken.table["source_pts"].null_count == 4


def test_one_frame(folder: Path) -> None:
    taken = take(media.write_clip(folder / "single.mp4", count=1))
    assert (taken.times_ms, taken.numbers) == ([0], [0])


def test_variable_rate_keeps_true_times(folder: Path) -> None:
    steps = np.random.default_rng(0).integers(10, 250, 99)
    times = [0, *np.cumsum(steps).tolist()]
    taken = take(media.write_clip(folder / "uneven.mkv", count=100, times_ms=times, options={"bf": "2"}))
    assert set(taken.times_ms) <= set(times)
    assert [times[number] for number in taken.numbers] == taken.times_ms
    assert taken.table["source_pts"].to_pylist() == taken.times_ms
    for instant in range(0, times[-1], 500):
        assert min(abs(time - instant) for time in taken.times_ms) == min(abs(time - instant) for time in times)


def test_a_clock_that_does_not_start_at_zero(folder: Path) -> None:
    taken = take(media.write_clip(folder / "late.ts"))
    assert part(folder / "late.ts").probe.first_timestamp_ms == 80
    assert taken.times_ms == [0, 480, 1000, 1480]


def test_a_clock_that_starts_anew(folder: Path) -> None:
    piece = media.write_clip(folder / "piece.ts", count=75).read_bytes()
    path = folder / "joined.ts"
    path.write_bytes(piece + piece)
    taken = take(path)
    assert taken.table.num_rows == 12
    assert taken.numbers == [round(time / 40) % 75 for time in taken.times_ms]
    assert taken.report.duration_ms == 6000


@pytest.mark.parametrize("clockwise_deg", [0, 90, 180, 270])
def test_rotation_is_applied(folder: Path, clockwise_deg: int) -> None:
    taken = take(media.write_clip(folder / f"turned_{clockwise_deg}.mp4", clockwise_deg=clockwise_deg))
    assert taken.numbers == [0, 12, 25, 37], "the number can be read only the right way up"
    upright = (240, 320) if clockwise_deg in (90, 270) else (320, 240)
    assert (taken.geometry.source_width_px, taken.geometry.source_height_px) == upright
    assert taken.geometry.rotation_deg == clockwise_deg


@pytest.mark.parametrize(("codec", "ending"), [("libvpx-vp9", "webm"), ("ffv1", "mkv")])
def test_odd_size(folder: Path, codec: str, ending: str) -> None:
    taken = take(media.write_clip(folder / f"odd.{ending}", codec=codec, size=(641, 479)))
    assert taken.numbers == [0, 12, 25, 37]
    box = taken.geometry.to_source_box([0, 0, 640, 480])
    assert box.tolist() == [0, 0, 641, 479]


DAMAGED = [("libx264", "mp4"), ("libx265", "mp4"), ("libsvtav1", "mp4"), ("libvpx-vp9", "webm"), ("mpeg4", "mp4")]


@pytest.mark.parametrize(("codec", "ending"), DAMAGED)
def test_damage_in_the_middle(folder: Path, codec: str, ending: str) -> None:
    """Ten of 250 pictures are noise: what can be decoded is, what is lost is counted, later times stay true."""
    keyframes = {"x265-params": "log-level=0:keyint=25"} if codec == "libx265" else {"g": "25"}
    whole = media.write_clip(folder / f"whole_{codec}.{ending}", codec=codec, count=250, options=keyframes)
    taken = take(media.damage(whole, folder / f"damaged_{codec}.{ending}", 100, 110))
    report = taken.report
    assert report.packets == 250
    assert 1 <= report.lost_packets <= 60
    assert report.lost_ms == report.lost_packets * 40
    assert report.duration_ms == 10_000
    assert report.careful_parts == 1
    assert any("could not be decoded" in warning for warning in report.warnings)
    good = [
        (number, time) for number, time in zip(taken.numbers, taken.times_ms, strict=True) if time < 3900 or time > 7500
    ]
    assert len(good) >= 12
    assert all(number == round(time / 40) for number, time in good)


def test_damage_at_the_start_keeps_later_times_true(folder: Path) -> None:
    whole = media.write_clip(folder / "whole_start.mp4", count=100, options={"g": "25"})
    taken = take(media.damage(whole, folder / "damaged_start.mp4", 0, 10))
    assert taken.times_ms[0] == 1000
    assert taken.numbers == [round(time / 40) for time in taken.times_ms]
    assert taken.report.lost_packets == 25


def test_a_cut_file_gives_what_it_has(folder: Path) -> None:
    whole = media.write_clip(folder / "front.mp4", count=100, container_options={"movflags": "faststart"})
    taken = take(media.cut(whole, folder / "cut.mp4", 0.6))
    assert 2 <= taken.table.num_rows < 8
    assert taken.numbers == [round(time / 40) for time in taken.times_ms]


def test_nothing_decodable(folder: Path) -> None:
    whole = media.write_clip(folder / "good.mp4")
    good = part(whole)
    noise = media.damage(whole, folder / "noise.mp4", 0, 50)
    with pytest.raises(PermanentFailure, match="None of its pictures") as caught:
        take(MediaPart(noise, good.probe))
    assert caught.value.subject == SUBJECT


def test_a_picture_that_grows_beyond_the_limit(folder: Path) -> None:
    """The limit holds for every picture, not only for the first one's header."""
    path = joined(folder / "growing.h264", [(64, 48), (640, 480)])
    limits = VideoLimits(max_pixels=64 * 48)
    files = [MediaPart(path, probe_video(path, limits, subject=SUBJECT))]
    batches = sample_to_batches(files, subject=SUBJECT, limits=limits)
    table = pa.Table.from_batches(list(batches))
    assert table.num_rows == 4
    assert 50 <= batches.report.lost_packets <= 52, "all of the large ones, and what the decoder held back before"


def joined(path: Path, sizes: Sequence[tuple[int, int]]) -> Path:
    """A raw stream whose picture size changes."""
    pieces = [
        media.write_clip(path.with_suffix(f".{index}.h264"), size=size, container_format="h264")
        for index, size in enumerate(sizes)
    ]
    path.write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    return path


def test_a_size_that_changes_in_the_middle(folder: Path) -> None:
    taken = take(joined(folder / "changing.h264", [(320, 240), (640, 360)]))
    assert taken.table.num_rows == 8
    assert (taken.geometry.source_width_px, taken.geometry.source_height_px) == (320, 240)
    assert taken.report.size_changes == 1
    assert any("size changes" in warning for warning in taken.report.warnings)
    later = taken.picture(6)
    assert later[:50].max() < 20, "the wider picture is fitted with bars into the first one's place"
    assert media.read_number(later[60:420]) == 25


def test_parts_lie_on_one_clock(folder: Path) -> None:
    first = media.write_clip(folder / "first.mp4", count=55)
    second = media.write_clip(folder / "second.ts", count=50, codec="libx264")
    taken = take(first, second)
    assert taken.times_ms == [0, 480, 1000, 1480, 2000, 2480, 3000, 3480, 4000]
    assert taken.table["part_index"].to_pylist() == [0] * 5 + [1] * 4
    assert taken.numbers[5:] == [(time - 2200) // 40 for time in taken.times_ms[5:]]
    assert taken.report.duration_ms == 4200


def test_parts_with_a_pause_between(folder: Path) -> None:
    clip = media.write_clip(folder / "again.mp4")
    files = [part(clip), part(clip, offset_ms=60_000), part(clip, offset_ms=0)]
    taken = take(*files)
    assert taken.times_ms[5:9] == [60_000, 60_480, 61_000, 61_480]
    assert taken.times_ms[9] >= 62_000, "a later part never goes back in time"
    assert length_ms(files) == 64_000


def test_parts_of_other_turns(folder: Path) -> None:
    first = media.write_clip(folder / "upright.mp4")
    second = media.write_clip(folder / "sideways.mp4", clockwise_deg=90)
    taken = take(first, second)
    later = taken.picture(5)
    middle = later[:, later.shape[1] * 7 // 32 : later.shape[1] * 25 // 32]
    assert media.read_number(middle) == 12


def test_a_time_limit_ends_it(folder: Path) -> None:
    files = [part(media.write_clip(folder / "slow.mp4"))]
    decoder = FrameDecoder(files, fps=2.0, subject=SUBJECT, time_limit_ms=0)
    with pytest.raises(PermanentFailure, match="took longer"):
        list(decoder)


def test_without_parts() -> None:
    with pytest.raises(ValueError, match="at least one part"):
        FrameDecoder([], fps=2.0, subject=SUBJECT)
