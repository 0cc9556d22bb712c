"""Sampling `near`: what is left out of decoding changes no stored picture and moves none by more than one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from neurovision_assets.surgery.frames.damage import DecodeReport
from neurovision_assets.surgery.frames.decode import FrameDecoder, KeptFrame, MediaPart
from neurovision_assets.surgery.video.probe import probe_video
from tests import media

COUNT = 250
HARMED_BYTES = 10
"""At the end of a picture's last slice."""
SOUND_BYTES = 10
"""At the beginning of that slice: its header stays readable."""
PSNR_LIMIT_DB = 40.0

Picture = npt.NDArray[Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


def x264(**options: str) -> tuple[str, dict[str, str]]:
    own = ":".join(f"{name.replace('_', '-')}={value}" for name, value in options.items())
    return "libx264", {"x264-params": f"scenecut=0:{own}"}


def x265(**options: str) -> tuple[str, dict[str, str]]:
    own = ":".join(f"{name.replace('_', '-')}={value}" for name, value in options.items())
    return "libx265", {"x265-params": f"log-level=0:scenecut=0:{own}"}


SPARING: dict[str, tuple[str, dict[str, str]]] = {
    "flat.mp4": x264(bframes="3", b_adapt="0", b_pyramid="none"),
    "pyramid.mp4": x264(bframes="3", b_adapt="0", b_pyramid="normal"),
    "deep.mkv": x264(bframes="8", b_adapt="0", b_pyramid="normal", keyint="60"),
    "open.mp4": x264(bframes="3", b_adapt="0", open_gop="1", keyint="25"),
    "transport.ts": x264(bframes="3", b_adapt="0", keyint="30"),
    "sliced.mp4": x264(bframes="2", b_adapt="0", slices="4"),
    "no_b.mp4": x264(bframes="0", keyint="33"),
    "intra.mp4": x264(keyint="1"),
    "hevc.mp4": x265(bframes="4", b_adapt="0", keyint="50"),
    "hevc_closed.mkv": x265(bframes="3", b_adapt="0", keyint="20", open_gop="0"),
    "hevc_flat.ts": x265(bframes="3", b_adapt="0", b_pyramid="0", keyint="50"),
    "stills.mov": ("mjpeg", {}),
    "stills.avi": ("mjpeg", {}),
}
"""Files of which something can be left out."""

UNCERTAIN: dict[str, tuple[str, dict[str, str]]] = {
    "fields.mp4": ("libx264", {"flags": "+ildct+ilme", "bf": "2"}),
    "layers.mp4": x265(bframes="4", b_adapt="0", temporal_layers="3"),
    "reordered.avi": x264(bframes="3", b_adapt="0"),
    "stream.h264": x264(bframes="0"),
    "vp9.webm": ("libvpx-vp9", {}),
    "av1.mp4": ("libsvtav1", {}),
    "mpeg4.mp4": ("mpeg4", {"bf": "2"}),
}
"""Files of which nothing is known for certain."""


def clip(folder: Path, name: str, **settings: Any) -> Path:
    """One of the files, written once."""
    path = folder / name
    if not path.exists():
        codec, options = (SPARING | UNCERTAIN)[name]
        pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        media.write_clip(path, codec=codec, options=options, count=COUNT, pixel_format=pixel_format, **settings)
    return path


def kept(*paths: Path, sampling: Any, fps: float = 2.0) -> tuple[list[KeptFrame], DecodeReport]:
    """What is stored of some files."""
    parts = [MediaPart(path, probe_video(path, subject="x")) for path in paths]
    decoder = FrameDecoder(parts, fps=fps, sampling=sampling, subject="x")
    return list(decoder), decoder.report


def all_pictures(path: Path) -> tuple[dict[int, Picture], Fraction]:
    """Every picture of a file by its timestamp, and the seconds of a tick, from FFmpeg alone."""
    with av.open(str(path)) as container:
        time_base = container.streams.video[0].time_base
        assert time_base is not None
        found = {frame.pts: frame.to_ndarray() for frame in container.decode(video=0) if frame.pts is not None}
        return found, time_base


def psnr_db(a: Picture, b: Picture) -> float:
    """Peak signal-to-noise ratio of two pictures of 8 bits a component."""
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))


def assert_near(path: Path, fps: float) -> tuple[list[int], DecodeReport]:
    """Each stored picture is the full decoder's, at most one from the exact one; gives out how far each is."""
    exact, exact_report = kept(path, sampling="exact", fps=fps)
    near, report = kept(path, sampling="near", fps=fps)
    whole, time_base = all_pictures(path)
    place = {pts: index for index, pts in enumerate(sorted(whole))}
    assert len(near) == len(exact)
    steps = []
    for one, other in zip(exact, near, strict=True):
        assert one.source_pts is not None
        assert other.source_pts is not None
        assert psnr_db(other.picture.to_ndarray(), whole[other.source_pts]) >= PSNR_LIMIT_DB
        steps.append(place[other.source_pts] - place[one.source_pts])
        assert other.time_us == int((other.source_pts - min(whole)) * time_base * 1_000_000)
    assert set(steps) <= {-1, 0, 1}
    assert report.decoded + report.left_out == report.packets == exact_report.packets
    same = {"decoded": 0, "left_out": 0}
    assert report.model_copy(update=same) == exact_report.model_copy(update=same)
    assert exact_report.left_out == 0
    return steps, report


@pytest.mark.parametrize("fps", [0.5, 2.0, 9.0])
@pytest.mark.parametrize("name", SPARING)
def test_right_pictures_at_most_one_away(folder: Path, name: str, fps: float) -> None:
    steps, report = assert_near(clip(folder, name), fps)
    assert report.left_out > (0 if name == "no_b.mp4" else 0.3 * COUNT)
    if name in ("no_b.mp4", "intra.mp4", "stills.mov", "stills.avi"):
        assert set(steps) == {0}, "every picture is decoded anyhow, or none is more costly than the other"


def test_pyramids_are_met_beside_the_exact_picture(folder: Path) -> None:
    steps, report = assert_near(clip(folder, "pyramid.mp4"), 2.0)
    assert any(steps)
    assert report.left_out == pytest.approx(COUNT / 2, abs=3), "every second picture of a pyramid is disposable"


def test_a_disposable_picture_among_its_like_is_decoded(folder: Path) -> None:
    """P b b b P: nothing else lies beside the middle one."""
    near, _ = kept(clip(folder, "flat.mp4"), sampling="near", fps=2.0)
    assert {frame.picture.pict_type for frame in near} >= {av.video.frame.PictureType.B}


@pytest.mark.parametrize("name", UNCERTAIN)
def test_what_is_not_certain_is_decoded(folder: Path, name: str) -> None:
    path = clip(folder, name)
    exact, _ = kept(path, sampling="exact")
    near, report = kept(path, sampling="near")
    assert [frame.time_us for frame in near] == [frame.time_us for frame in exact]
    assert (report.left_out, report.decoded) == (0, COUNT)


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_variable_rate(folder: Path, ending: str) -> None:
    steps = np.random.default_rng(0).integers(10, 250, COUNT - 1)
    times = [0, *np.cumsum(steps).tolist()]
    path = clip_of(folder / f"uneven.{ending}", times)
    for fps in (0.5, 2.0, 9.0):
        _, report = assert_near(path, fps)
        assert report.left_out > 0.1 * COUNT


def clip_of(path: Path, times_ms: Sequence[int]) -> Path:
    codec, options = SPARING["pyramid.mp4"]
    return media.write_clip(path, codec=codec, options=options, count=len(times_ms), times_ms=times_ms)


def test_nothing_far_in_time_stands_in(folder: Path) -> None:
    """A picture each 40 ms and a pause of 230 ms around each instant: the one across the pause is not near."""
    times, now = [], 0
    while now < 10_000:
        times.append(now)
        now += 230 if now % 500 >= 460 or now % 500 < 20 else 40
    path = clip_of(folder / "pauses.mp4", times)
    exact, _ = kept(path, sampling="exact")
    near, _ = kept(path, sampling="near")
    usual_us = 1_000_000 / probe_video(path, subject="x").frame_rate_fps
    assert all(abs(a.time_us - b.time_us) <= 1.5 * usual_us for a, b in zip(exact, near, strict=True))


def test_times_that_were_made_up(folder: Path) -> None:
    """AVI knows no display times; copied to MP4 by somebody, the made-up ones look like true ones."""
    path = folder / "once_avi.mp4"
    with av.open(str(clip(folder, "reordered.avi"))) as source, av.open(str(path), "w") as target:
        track = source.streams.video[0]
        copy = target.add_stream_from_template(track)
        for packet in source.demux(track):
            if packet.size:
                packet.stream = copy
                target.mux(packet)
    _, report = kept(path, sampling="near")
    assert report.decoded >= COUNT - 2


def test_parts_on_one_clock(folder: Path) -> None:
    first, second = clip(folder, "pyramid.mp4"), clip(folder, "transport.ts")
    exact, exact_report = kept(first, second, sampling="exact")
    near, report = kept(first, second, sampling="near")
    assert [frame.part_index for frame in near] == [frame.part_index for frame in exact]
    assert all(abs(a.time_us - b.time_us) <= 40_000 for a, b in zip(exact, near, strict=True))
    assert report.duration_ms == exact_report.duration_ms == 20_000


@pytest.mark.parametrize("name", ["pyramid.mp4", "open.mp4", "hevc.mp4", "no_b.mp4", "stills.mov"])
def test_damage_is_counted_and_keeps_the_other_pictures(folder: Path, name: str) -> None:
    whole = clip(folder, name)
    damaged = media.damage(whole, folder / f"damaged_{name}", 100, 120)
    _, exact_report = kept(damaged, sampling="exact")
    before, _ = kept(whole, sampling="near")
    near, report = kept(damaged, sampling="near")
    assert report == exact_report.model_copy(update={"sampled": report.sampled})
    assert (report.careful_parts, report.left_out) == (1, 0)
    early = [frame.source_pts for frame in before if frame.time_us < 3_000_000]
    assert [frame.source_pts for frame in near][: len(early)] == early
    pictures, _ = all_pictures(whole)
    for frame in near[: len(early)]:
        assert frame.source_pts is not None
        assert psnr_db(frame.picture.to_ndarray(), pictures[frame.source_pts]) >= PSNR_LIMIT_DB


def last_unit_bytes(payload: bytes) -> int:
    """Length of the last NAL unit of an MP4 packet, whose units have their length in four bytes before them."""
    position = length = 0
    while position < len(payload):
        length = int.from_bytes(payload[position : position + 4])
        position += 4 + length
    return length


@pytest.mark.parametrize("name", ["pyramid.mp4", "hevc.mp4"])
def test_damage_to_what_is_left_out_harms_nothing(folder: Path, name: str) -> None:
    """The last bytes of disposable pictures that nobody wants are noise."""
    whole = clip(folder, name)
    wanted = {frame.source_pts for frame in kept(whole, sampling="near")[0]}
    content = bytearray(whole.read_bytes())
    harmed = 0
    with av.open(str(whole)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    for (position, size), packet in zip(media.packet_places(whole), packets, strict=True):
        payload = bytes(packet)
        is_h264_non_reference = name == "pyramid.mp4" and payload[4] == 1  # nal_ref_idc 0, a slice
        has_room = last_unit_bytes(payload) >= HARMED_BYTES + SOUND_BYTES
        if (packet.is_disposable or is_h264_non_reference) and packet.pts not in wanted and has_room:
            content[position + size - HARMED_BYTES : position + size] = bytes(HARMED_BYTES)
            harmed += 1
    path = folder / f"harmed_{name}"
    path.write_bytes(content)
    assert harmed > 20
    near, report = kept(path, sampling="near")
    assert {frame.source_pts for frame in near} == wanted
    assert (report.lost_packets, report.careful_parts) == (0, 0)
    assert kept(path, sampling="exact")[1].careful_parts == 1


HASH = """
import hashlib, os, sys
from pathlib import Path
os.sched_setaffinity(0, list(os.sched_getaffinity(0))[: int(sys.argv[2])])
from neurovision_assets.surgery.frames.encode import sample_to_batches
from neurovision_assets.surgery.frames.decode import MediaPart
from neurovision_assets.surgery.video.probe import probe_video
path = Path(sys.argv[1])
rows = [b.to_pylist() for b in sample_to_batches([MediaPart(path, probe_video(path, subject="x"))], subject="x")]
print(hashlib.sha256(repr(rows).encode()).hexdigest())
"""


@pytest.mark.parametrize("name", ["pyramid.mp4", "hevc.mp4"])
def test_the_same_again_whatever_the_cores_and_what_lay_in_memory(folder: Path, name: str) -> None:
    """Threads notice damage sooner or later, the allocator fills what it gives out; the stored frames are the same."""
    path = media.damage(clip(folder, name), folder / f"again_{name}", 100, 103)
    found = {
        subprocess.run(
            [sys.executable, "-c", HASH, str(path), cores],
            env=os.environ | {"MALLOC_PERTURB_": filling},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for cores, filling in (("1", "0"), ("2", "85"), ("64", "170"))
    }
    assert len(found) == 1
