"""The copy without metadata: nothing that names a person in it, every coded picture untouched (NV-168)."""

from __future__ import annotations

import hashlib
import traceback
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from neurovision_assets.surgery.video.payload import Layout, PayloadDigest
from neurovision_assets.surgery.video.probe import probe_video
from neurovision_assets.surgery.video.remux import RemuxResult, remux
from resources.errors import PermanentFailure, TransientFailure
from tests import media

SUBJECT = "operation_001-1f3a9c2b"

TAGS = {
    "title": "Ivanov Ivan 1961-04-12",
    "comment": "ward 7",
    "creation_time": "2024-03-12T09:00:00.000000Z",
    "location": "+55.7558+037.6173/",
    "handler_name": "STORZ 20011-IVANOV",
    "encoder": "AIDA 1.2",
}
SECRETS = (b"Ivanov", b"IVANOV", b"ward 7", b"+55.7558", b"AIDA", b"2024-03")

STRUCTURE = {"major_brand", "minor_version", "compatible_brands", "language", "vendor_id", "duration", "encoder"}
"""Entries that FFmpeg shows as tags but that are the container's own structure, the same for every recording."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("copies")


def copy_of(source: Path, folder: Path, *, keep_audio: bool = False) -> tuple[Path, RemuxResult]:
    target = folder / f"copy of {source.name}"
    return target, remux(source, target, keep_audio=keep_audio, subject=SUBJECT)


def payloads(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def times_ms(path: Path) -> list[int | None]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        base = stream.time_base
        assert base is not None
        return [None if p.pts is None else round(p.pts * base * 1000) for p in container.demux(stream) if p.size]


def tags_of(path: Path) -> dict[str, str]:
    with av.open(str(path)) as container:
        found = dict(container.metadata)
        for stream in container.streams:
            found.update(stream.metadata)
        assert container.chapters() == []
    return {name: text for name, text in found.items() if name.lower() not in STRUCTURE}


CLIPS = [
    ("h264.mp4", "libx264", "yuv420p", "mp4"),
    ("h264.mkv", "libx264", "yuv420p", "mp4"),
    ("hevc.mp4", "libx265", "yuv420p10le", "mp4"),
    ("hevc.mkv", "libx265", "yuv420p10le", "mp4"),
    ("av1.mp4", "libsvtav1", "yuv420p", "mp4"),
    ("vp9.webm", "libvpx-vp9", "yuv420p", "mp4"),
    ("mpeg4.mp4", "mpeg4", "yuv420p", "mp4"),
    ("mpeg4.avi", "mpeg4", "yuv420p", "avi"),
    ("h264.avi", "libx264", "yuv420p", "avi"),
    ("h264.h264", "libx264", "yuv420p", "h264"),
    ("mpeg2.mpg", "mpeg2video", "yuv420p", "mp4"),
    ("ffv1.mkv", "ffv1", "yuv420p", "matroska"),
]


@pytest.mark.parametrize(("name", "codec", "pixel_format", "container"), CLIPS)
def test_copies(folder: Path, name: str, codec: str, pixel_format: str, container: str) -> None:
    source = media.write_clip(folder / name, codec=codec, pixel_format=pixel_format, tags=TAGS)
    copy, result = copy_of(source, folder)
    assert result.container == container
    assert payloads(copy) == payloads(source)
    assert result.video_sha256 == hashlib.sha256(b"".join(payloads(source))).hexdigest()
    assert result.video_packets == 50
    assert result.size_bytes == copy.stat().st_size
    assert times_ms(copy) == times_ms(source)
    assert tags_of(copy) == {}
    assert not any(secret in copy.read_bytes() for secret in SECRETS)
    before, after = (probe_video(path, subject=SUBJECT) for path in (source, copy))
    changed = {"container", "size_bytes"}
    assert after.model_dump(exclude=changed) == before.model_dump(exclude=changed)


def test_the_clips_do_hold_secrets(folder: Path) -> None:
    """The test above would pass on files without tags; these have some."""
    source = media.write_clip(folder / "tagged.mp4", tags=TAGS)
    assert sum(secret in source.read_bytes() for secret in SECRETS) >= 3
    assert tags_of(source)


def test_same_input_gives_the_same_bytes(folder: Path) -> None:
    for name in ("again.mp4", "again.mkv"):
        codec = "libx264" if name.endswith("mp4") else "ffv1"
        source = media.write_clip(folder / name, codec=codec)
        first, second = copy_of(source, folder)[0].read_bytes(), copy_of(source, folder)[0].read_bytes()
        assert first == second


@pytest.mark.parametrize("clockwise_deg", [90, 180, 270])
def test_rotation_survives(folder: Path, clockwise_deg: int) -> None:
    source = media.write_clip(folder / f"turned_{clockwise_deg}.mp4", clockwise_deg=clockwise_deg, count=5)
    copy, _ = copy_of(source, folder)
    assert probe_video(copy, subject=SUBJECT).rotation_deg == clockwise_deg


def test_start_codes_become_lengths_and_nothing_else(folder: Path) -> None:
    """MPEG-TS to MP4: what stands between the NAL units changes, the units do not."""
    source = media.write_clip(folder / "stream.ts", tags=TAGS)
    copy, result = copy_of(source, folder)
    assert result.container == "mp4"
    assert times_ms(copy) == times_ms(source)
    assert [read_back(copy, index) for index in (0, 20, 49)] == [0, 20, 49]


def test_digests_see_through_framing_and_nothing_else() -> None:
    framed = b"\0\0\0\1" + b"unit one" + b"\0\0\1" + b"unit two"
    prefixed = (8).to_bytes(4) + b"unit one" + (8).to_bytes(4) + b"unit two"
    other = (8).to_bytes(4) + b"unit one" + (8).to_bytes(4) + b"unit twx"

    def digest(layout: Layout, payload: bytes) -> str:
        found = PayloadDigest(layout)
        found.update(av.Packet(payload))
        return found.hexdigest()

    assert digest(Layout.START_CODES, framed) == digest(Layout.LENGTHS, prefixed)
    assert digest(Layout.START_CODES, framed) != digest(Layout.LENGTHS, other)
    assert digest(Layout.OPAQUE, framed) != digest(Layout.OPAQUE, prefixed)


def read_back(path: Path, index: int) -> int:
    with av.open(str(path)) as container:
        pictures = list(container.decode(video=0))
    return media.read_number(pictures[index].to_ndarray(format="bgr24").astype(np.uint8))


def test_sound_is_dropped_or_kept(folder: Path) -> None:
    source = media.write_clip(folder / "voice.mp4", sound=True, tags=TAGS)
    silent, dropped = copy_of(source, folder)
    assert dropped.audio_codec is None
    with av.open(str(silent)) as container:
        assert len(container.streams) == 1
    sounding, kept = copy_of(source, folder, keep_audio=True)
    assert kept.audio_codec == "aac"
    assert kept.video_sha256 == dropped.video_sha256
    with av.open(str(sounding)) as container:
        assert len(container.streams.audio) == 1
        assert sum(packet.size for packet in container.demux(audio=0)) > 1000
    assert tags_of(sounding) == {}


def test_subtitles_and_chapters_are_dropped(folder: Path) -> None:
    spoken = folder / "spoken.srt"
    spoken.write_text("1\n00:00:00,000 --> 00:00:01,000\nIvanov speaks\n")
    mute, source = media.write_clip(folder / "mute.mkv"), folder / "talking.mkv"
    with av.open(str(mute)) as pictures, av.open(str(spoken)) as words, av.open(str(source), "w") as writing:
        writing.set_chapters(
            [{"id": 1, "start": 0, "end": 1000, "time_base": Fraction(1, 1000), "metadata": {"title": "Ivanov"}}]
        )
        streams = [pictures.streams.video[0], words.streams.subtitles[0]]
        copies = [writing.add_stream_from_template(stream, opaque=True) for stream in streams]
        for reading, stream, copy_stream in zip((pictures, words), streams, copies, strict=True):
            for packet in reading.demux(stream):
                if packet.size:
                    packet.stream = copy_stream
                    writing.mux(packet)
    assert source.read_bytes().count(b"Ivanov") == 2
    copy, _ = copy_of(source, folder)
    assert b"Ivanov" not in copy.read_bytes()
    with av.open(str(copy)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        assert container.chapters() == []


@pytest.mark.parametrize(("name", "codec"), [("d.mp4", "libx264"), ("d.mkv", "libx265"), ("d.webm", "libvpx-vp9")])
def test_damaged_packets_are_carried(folder: Path, name: str, codec: str) -> None:
    source = media.damage(media.write_clip(folder / name, codec=codec), folder / f"damaged_{name}", 20, 30)
    copy, result = copy_of(source, folder)
    assert payloads(copy) == payloads(source)
    assert result.video_packets == len(payloads(source))


def test_a_cut_recording_is_carried_as_far_as_it_goes(folder: Path) -> None:
    whole = media.write_clip(folder / "whole.mp4", container_options={"movflags": "faststart"})
    source = media.cut(whole, folder / "cut.mp4", 0.7)
    copy, result = copy_of(source, folder)
    assert 0 < result.video_packets < 50
    assert probe_video(copy, subject=SUBJECT).frame_count == result.video_packets


def test_variable_rate_keeps_its_times(folder: Path) -> None:
    times = [0, 20, 80, 100, 180, 300, 320, 400, 420, 500]
    source = media.write_clip(folder / "uneven.mkv", count=10, times_ms=times, options={"bf": "2"})
    copy, _ = copy_of(source, folder)
    assert times_ms(copy) == times_ms(source)
    assert sorted(time for time in times_ms(copy) if time is not None) == times


def test_a_clock_that_starts_anew_goes_on(folder: Path) -> None:
    piece = media.write_clip(folder / "piece.ts", count=75).read_bytes()
    source = folder / "joined.ts"
    source.write_bytes(piece + piece)
    copy, _ = copy_of(source, folder)
    times = sorted(time for time in times_ms(copy) if time is not None)
    assert [later - sooner for sooner, later in pairwise(times)] == [40] * 149


def test_a_target_that_cannot_be_written(folder: Path) -> None:
    source = media.write_clip(folder / "Ivanov.mp4", count=5)
    with pytest.raises(TransientFailure) as caught:
        remux(source, folder / "absent" / "copy.mp4", keep_audio=False, subject=SUBJECT)
    assert "Ivanov" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_told_and_may_be_tried_again(folder: Path) -> None:
    source = media.write_clip(folder / "large.mp4", size=(640, 480))
    target = folder / "full.mp4"
    target.symlink_to("/dev/full")
    with pytest.raises(TransientFailure, match="disk is full"):
        remux(source, target, keep_audio=False, subject=SUBJECT)


def test_no_half_copy_stays_behind(folder: Path) -> None:
    source = media.cut(media.write_clip(folder / "short.mp4"), folder / "headless.mp4", 0.5)
    target = folder / "never.mp4"
    with pytest.raises(PermanentFailure, match="no index"):
        remux(source, target, keep_audio=False, subject=SUBJECT)
    assert not target.exists()


def test_real_clips(shared_data: Path, folder: Path) -> None:
    for source in sorted((shared_data / "surgery" / "clips").glob("*.mp4")):
        copy, _ = copy_of(source, folder)
        assert payloads(copy) == payloads(source)
        assert tags_of(copy) == {}
