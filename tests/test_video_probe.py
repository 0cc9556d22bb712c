"""What a recording is found to be, and why some are refused."""

from __future__ import annotations

import subprocess
import sys
import traceback
from pathlib import Path

import av
import pytest

from neurovision_assets.surgery.video.probe import VideoLimits, VideoProbe, probe_video
from resources.errors import PermanentFailure, TransientFailure
from simulator.operation import plan_operation
from simulator.video import write_video
from tests import media

SUBJECT = "operation_001-1f3a9c2b"

LARGEST_PICTURE_BYTES = 7680 * 4320 * 3 // 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module")
def plain(folder: Path) -> Path:
    return media.write_clip(folder / "plain.mp4")


def refusal(path: Path, limits: VideoLimits | None = None) -> str:
    with pytest.raises(PermanentFailure) as caught:
        probe_video(path, limits, subject=SUBJECT)
    told = "".join(traceback.format_exception(caught.value))
    assert path.stem not in told, "a file's own name may be a patient's"
    assert caught.value.subject == SUBJECT
    assert caught.value.remedy
    return caught.value.problem


def probe(path: Path) -> VideoProbe:
    return probe_video(path, subject=SUBJECT)


def test_plain_clip(plain: Path) -> None:
    found = probe(plain)
    assert (found.codec, found.profile, found.pixel_format, found.bit_depth) == ("h264", "High", "yuv420p", 8)
    assert (found.width_px, found.height_px, found.rotation_deg, found.pixel_aspect) == (320, 240, 0, 1.0)
    assert (found.frame_rate_mode, found.frame_rate_fps, found.frame_count) == ("constant", 25.0, 50)
    assert (found.first_timestamp_ms, found.duration_ms) == (0, 2000)
    assert found.size_bytes == plain.stat().st_size
    assert found.audio_codec is None
    assert found.warnings == []
    assert VideoProbe.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize(
    ("ending", "codec", "pixel_format", "name", "bits"),
    [
        ("mp4", "libx265", "yuv420p10le", "hevc", 10),
        ("mp4", "libsvtav1", "yuv420p", "av1", 8),
        ("mkv", "libsvtav1", "yuv420p10le", "av1", 10),
        ("webm", "libvpx-vp9", "yuv420p", "vp9", 8),
        ("avi", "mpeg4", "yuv420p", "mpeg4", 8),
        ("mov", "mpeg4", "yuv420p", "mpeg4", 8),
        ("ts", "libx264", "yuv420p", "h264", 8),
        ("mpg", "mpeg2video", "yuv420p", "mpeg2video", 8),
    ],
)
def test_codecs(folder: Path, ending: str, codec: str, pixel_format: str, name: str, bits: int) -> None:
    path = media.write_clip(folder / f"{codec}_{bits}.{ending}", codec=codec, pixel_format=pixel_format)
    found = probe(path)
    assert (found.codec, found.bit_depth, found.frame_count) == (name, bits, 50)
    assert found.duration_ms == pytest.approx(2000, abs=1)
    assert found.frame_rate_mode == "constant"


def test_index_at_the_end_and_at_the_front(folder: Path, plain: Path) -> None:
    front = media.write_clip(folder / "front.mp4", container_options={"movflags": "faststart"})
    assert plain.read_bytes().find(b"moov") > plain.read_bytes().find(b"mdat")
    assert front.read_bytes().find(b"moov") < front.read_bytes().find(b"mdat")
    assert probe(front).duration_ms == probe(plain).duration_ms == 2000


def test_one_frame(folder: Path) -> None:
    found = probe(media.write_clip(folder / "single.mp4", count=1))
    assert (found.frame_count, found.duration_ms, found.frame_rate_mode) == (1, 40, "constant")


def test_sound_is_named(folder: Path) -> None:
    assert probe(media.write_clip(folder / "sounding.mp4", sound=True)).audio_codec == "aac"


@pytest.mark.parametrize("clockwise_deg", [90, 180, 270])
def test_rotation(folder: Path, clockwise_deg: int) -> None:
    found = probe(media.write_clip(folder / f"turned_{clockwise_deg}.mp4", clockwise_deg=clockwise_deg, count=5))
    assert found.rotation_deg == clockwise_deg
    shown = (found.display_width_px, found.display_height_px)
    assert shown == ((320, 240) if clockwise_deg == 180 else (240, 320))


def test_odd_size(folder: Path) -> None:
    found = probe(media.write_clip(folder / "odd.webm", codec="libvpx-vp9", size=(641, 479), count=5))
    assert (found.width_px, found.height_px) == (641, 479)


def test_variable_rate(folder: Path) -> None:
    times = [0, 20, 80, 100, 180, 300, 320, 400, 420, 500]
    found = probe(media.write_clip(folder / "uneven.mkv", count=10, times_ms=times, options={"bf": "2"}))
    assert found.frame_rate_mode == "variable"
    assert found.frame_count == 10
    assert found.duration_ms == 500 + 60, "the last picture stands for the usual interval"
    assert found.frame_rate_fps == pytest.approx(10 / 0.56, rel=0.01)


def test_dropped_frames_are_a_gap_of_a_constant_rate(folder: Path) -> None:
    times = [index * 40 + (3000 if index >= 150 else 0) for index in range(300)]
    found = probe(media.write_clip(folder / "paused.mp4", count=300, times_ms=times, size=(64, 48)))
    assert found.frame_rate_mode == "constant"
    assert found.duration_ms == 15000
    assert any("3.0 s without pictures" in warning for warning in found.warnings)


def test_a_clock_that_starts_anew(folder: Path) -> None:
    piece = media.write_clip(folder / "piece.ts", count=75).read_bytes()
    path = folder / "joined.ts"
    path.write_bytes(piece + piece)
    found = probe(path)
    assert (found.frame_count, found.duration_ms, found.frame_rate_fps) == (150, 6000, 25.0)
    assert any("starts anew in 1 place" in warning for warning in found.warnings)


def test_two_frames_far_apart(folder: Path) -> None:
    found = probe(media.write_clip(folder / "rare.mkv", count=2, times_ms=[0, 36_000_000]))
    assert found.frame_rate_fps == pytest.approx(1 / 36_000)


def test_no_timestamps(folder: Path) -> None:
    found = probe(media.write_clip(folder / "stream.h264", container_format="h264"))
    assert found.first_timestamp_ms is None
    assert (found.frame_count, found.duration_ms, found.frame_rate_fps) == (50, 2000, 25.0)
    assert any("50 of 50 pictures carry no timestamp" in warning for warning in found.warnings)


def test_damaged_start_does_not_hide_the_rest(folder: Path) -> None:
    whole = media.write_clip(folder / "whole.mp4", options={"g": "10"})
    found = probe(media.damage(whole, folder / "damaged_start.mp4", 0, 10))
    assert (found.frame_count, found.duration_ms) == (50, 2000)


def test_a_cut_file_with_its_index_at_the_front_is_told(folder: Path) -> None:
    front = media.write_clip(folder / "front_whole.mp4", container_options={"movflags": "faststart"})
    found = probe(media.cut(front, folder / "front_cut.mp4", 0.6))
    assert 0 < found.frame_count < 50
    assert any("announces 50 pictures" in warning for warning in found.warnings)


def test_empty_file(folder: Path) -> None:
    path = folder / "Ivanov_empty.mp4"
    path.touch()
    assert "zero bytes" in refusal(path)


def test_text_named_mp4(folder: Path) -> None:
    path = folder / "Ivanov_text.mp4"
    path.write_text("Operation of 12 March, see the other disc.\n" * 50)
    assert "not a video" in refusal(path)


def test_playlist_named_mp4_opens_no_other_file(folder: Path, plain: Path) -> None:
    path = folder / "Ivanov_list.mp4"
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{plain}\n#EXT-X-ENDLIST\n")
    assert "not a video" in refusal(path)


def test_picture_named_mp4(folder: Path) -> None:
    from neurovision_assets.surgery.frames.encode import encode_jpeg

    path = folder / "Ivanov_photo.mp4"
    path.write_bytes(encode_jpeg(media.numbered(1, 64, 64), 90))
    assert "not a video" in refusal(path)


def test_cut_file_without_index(folder: Path, plain: Path) -> None:
    assert "no index" in refusal(media.cut(plain, folder / "Ivanov_cut.mp4", 0.6))


def test_sound_only(folder: Path) -> None:
    assert "sound only" in refusal(media.write_sound_only(folder / "Ivanov_voice.mp4"))
    assert "sound only" in refusal(media.write_song_with_cover(folder / "Ivanov_song.m4a"))


def test_unknown_codec(folder: Path, plain: Path) -> None:
    assert "codec is unknown" in refusal(media.replace_bytes(plain, folder / "Ivanov_codec.mp4", b"avc1", b"zzz9"))


def test_nothing_decodable(folder: Path, plain: Path) -> None:
    assert "None of its 50 pictures" in refusal(media.damage(plain, folder / "Ivanov_noise.mp4", 0, 50))


def test_longer_than_allowed(plain: Path) -> None:
    assert "the limit is" in refusal(plain, VideoLimits(max_duration_ms=1999))


def test_storage_that_fails_is_not_the_recording_s_fault(folder: Path) -> None:
    with pytest.raises(TransientFailure) as caught:
        probe_video(folder, subject=SUBJECT)
    assert str(folder) not in str(caught.value)


@pytest.mark.parametrize(
    ("ending", "codec"), [("mp4", "libx264"), ("ts", "libx264"), ("mp4", "libsvtav1"), ("avi", "mpeg4")]
)
def test_8k_header_on_a_tiny_file(folder: Path, ending: str, codec: str) -> None:
    path = media.write_oversized(folder / f"Ivanov_huge_{codec}.{ending}", codec=codec)
    assert path.stat().st_size < 1_000_000
    assert "more than the limit of" in refusal(path)
    assert growth_when_probed(path) < LARGEST_PICTURE_BYTES / 2, "a picture was allocated"


def growth_when_probed(path: Path) -> int:
    """Peak memory that refusing a file takes, bytes, in a process of its own (a peak never falls)."""
    code = (
        "import resource, sys, av, numpy; from pathlib import Path\n"
        "from neurovision_assets.surgery.video.probe import probe_video, PermanentFailure\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "before = peak()\n"
        "try: probe_video(Path(sys.argv[1]), subject='x')\n"
        "except PermanentFailure: print(peak() - before)\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def test_header_that_understates_the_size(folder: Path) -> None:
    """The container says 320 x 240, the coded stream 8K: what the decoder would allocate counts."""
    honest = media.write_oversized(folder / "huge.mp4")
    content = bytearray(honest.read_bytes())
    entry = content.find(b"avc1", content.find(b"stsd"))
    content[entry + 28 : entry + 32] = (320).to_bytes(2) + (240).to_bytes(2)
    path = folder / "Ivanov_liar.mp4"
    path.write_bytes(content)
    assert "more than the limit of" in refusal(path)


@pytest.mark.parametrize(
    ("name", "count", "duration_ms"),
    [
        ("cholect50_VID70_annotated164_1fps.mp4", 164, 164_000),
        ("cholect50_VID74_sec0807-0841_1fps.mp4", 35, 35_000),
    ],
)
def test_real_clips(shared_data: Path, name: str, count: int, duration_ms: int) -> None:
    found = probe(shared_data / "surgery" / "clips" / name)
    assert (found.frame_count, found.duration_ms, found.frame_rate_fps) == (count, duration_ms, 1.0)
    assert (found.width_px, found.height_px, found.frame_rate_mode) == (640, 360, "constant")


def test_a_file_that_was_cut_off_tells_what_its_header_promised(tmp_path: Path):
    whole, front, cut = (tmp_path / name for name in ("whole.mp4", "front.mp4", "cut.mp4"))
    write_video(plan_operation(3, 20.0), whole, fps=5.0)
    with av.open(str(whole)) as reading, av.open(str(front), "w", options={"movflags": "faststart"}) as writing:
        track = writing.add_stream_from_template(reading.streams.video[0])
        for packet in reading.demux(video=0):
            if packet.dts is not None:
                packet.stream = track
                writing.mux(packet)
    cut.write_bytes(front.read_bytes()[: front.stat().st_size // 2])

    assert probe_video(front, subject="whole").missing_ms == 0
    probe = probe_video(cut, subject="cut")
    assert probe.missing_ms + probe.duration_ms == pytest.approx(20_000, abs=500)
    assert probe.missing_ms > 5_000
    assert any("cut off" in warning for warning in probe.warnings)
