"""Which packets must be decoded: the choice against the order of display, and what headers tell."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurovision_assets.surgery.frames import needed
from neurovision_assets.surgery.frames.coded import Coded, coded_reader
from neurovision_assets.surgery.frames.needed import Grid, Need
from neurovision_assets.surgery.frames.parameter_sets import Unreadable, h264_has_frames_only, hevc_has_one_sublayer
from neurovision_assets.surgery.frames.sampling import Timed, sample
from tests import media

MILLISECONDS = Fraction(1, 1000)
INTERVAL_MS = 40

KINDS = {
    b"b": Coded(is_disposable=True, is_restart=False, has_parameters=False),
    b"P": Coded(is_disposable=False, is_restart=False, has_parameters=False),
    b"I": Coded(is_disposable=False, is_restart=True, has_parameters=False),
    b"S": Coded(is_disposable=False, is_restart=True, has_parameters=True),
}


@dataclass(frozen=True)
class Picture:
    """A coded picture of an invented file."""

    kind: bytes
    time_ms: int


def decided(pictures: list[Picture], fps: float) -> list[bool]:
    """Whether each picture, in the file's order, is needed."""
    need = Need(KINDS.get, Grid(fps, 0, 1000 * INTERVAL_MS), MILLISECONDS, reorders=True)
    given_out: list[tuple[int | None, bool]] = []
    for order, picture in enumerate(pictures):
        packet = av.Packet(picture.kind)
        # As a muxer does: decode times rise by little and stay below every later display time.
        packet.pts, packet.dts = picture.time_ms, min(p.time_ms for p in pictures[order:]) - len(pictures) + order
        given_out += [(known.pts, is_needed) for known, is_needed in need.add(packet)]
    given_out += [(known.pts, is_needed) for known, is_needed in need.finish()]
    assert [pts for pts, _ in given_out] == [picture.time_ms for picture in pictures], "each once, in the file's order"
    return [is_needed for _, is_needed in given_out]


@st.composite
def files(draw: st.DrawFn) -> list[Picture]:
    """Groups of a reference and the disposable pictures shown before it, at uneven times."""
    pictures, now = [], 0
    for index in range(draw(st.integers(1, 25))):
        kind = b"I" if index == 0 else draw(st.sampled_from([b"P", b"P", b"P", b"I", b"S"]))
        before = 0 if kind != b"P" else draw(st.integers(0, 4))
        times = []
        for _ in range(before + 1):
            now += draw(st.sampled_from([INTERVAL_MS, INTERVAL_MS, INTERVAL_MS, 7, 300]))
            times.append(now)
        pictures += [Picture(kind, times[-1]), *(Picture(b"b", time) for time in times[:-1])]
    first = min(picture.time_ms for picture in pictures)
    return [Picture(picture.kind, picture.time_ms - first) for picture in pictures]


@given(pictures=files(), fps=st.sampled_from([0.5, 2.0, 5.0, 25.0]))
def test_the_choice(pictures: list[Picture], fps: float) -> None:
    is_needed = decided(pictures, fps)
    times = sorted(picture.time_ms for picture in pictures)
    shown = {picture.time_ms for picture, needs in zip(pictures, is_needed, strict=True) if needs}
    until_us = 1000 * times[-1] + 500 * INTERVAL_MS
    exact, near = (
        [frame.time_us // 1000 for frame in sample((Timed(1000 * time, None) for time in all_of), fps, until_us)]
        for all_of in (times, sorted(shown))
    )
    assert len(near) == len(exact)
    for one, other in zip(exact, near, strict=True):
        assert abs(times.index(one) - times.index(other)) <= 1, "at most one picture away"
        assert abs(one - other) <= 1.5 * INTERVAL_MS or one == other
    instants_and_last = {*exact, times[-1]}
    last_restart = 0
    for order, (picture, needs) in enumerate(zip(pictures, is_needed, strict=True)):
        if KINDS[picture.kind].is_restart:
            last_restart = order
        if needs:
            before = [p.kind == b"b" or n for p, n in zip(pictures, is_needed, strict=True)][last_restart:order]
            assert all(before), "what it may be predicted from"
        if needs and picture.kind == b"b":
            assert picture.time_ms in instants_and_last, "no disposable picture for nothing"
        if picture.kind == b"S":
            assert needs, "headers that later pictures may need"


def test_what_lies_before_a_restart_is_left_out() -> None:
    """The last picture is always needed: where the recording ends is not known before all is decoded."""
    pictures = [Picture(kind, INTERVAL_MS * index) for index, kind in enumerate(3 * [b"I", *[b"P"] * 24])]
    assert decided(pictures, 1.0) == 2 * ([True] + [False] * 24) + [True] * 25
    assert decided(pictures, 2.0) == 2 * ([True] * 13 + [False] * 12) + [True] * 25


def test_doubt_ends_all_choice() -> None:
    pictures = [Picture(kind, INTERVAL_MS * index) for index, kind in enumerate([b"I", *[b"P"] * 8, b"?", *[b"P"] * 8])]
    assert all(decided(pictures, 0.5))


@pytest.mark.parametrize("times_ms", [(0, 40, 80, 80, 160, 200), (0, 40, 80, 60, 120, 160)])
def test_times_that_cannot_be_true(times_ms: tuple[int, ...]) -> None:
    """One time twice, and a picture that is shown before one that was due already."""
    need = Need(KINDS.get, Grid(1.0, 0, 1000 * INTERVAL_MS), MILLISECONDS, reorders=True)
    given_out = []
    for time_ms in times_ms:
        packet = av.Packet(b"P" if time_ms else b"I")
        packet.pts, packet.dts = time_ms, time_ms
        given_out += [(known.pts, is_needed) for known, is_needed in need.add(packet)]
    given_out += [(known.pts, is_needed) for known, is_needed in need.finish()]
    assert given_out == [(time_ms, True) for time_ms in times_ms]


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needed, "MAX_WAITING_BYTES", 10)
    need = Need(KINDS.get, Grid(0.01, 0, 1000 * INTERVAL_MS), MILLISECONDS, reorders=False)
    waiting = 0
    for order in range(1000):
        packet = av.Packet(b"P" if order else b"I")
        packet.pts = packet.dts = INTERVAL_MS * order
        waiting += 1 - sum(1 for _ in need.add(packet))
        assert waiting <= 10


def reader_and_packets(path: Path) -> tuple[Any, list[bytes]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [bytes(packet) for packet in container.demux(stream) if packet.size]
        return coded_reader(stream), packets


@pytest.mark.parametrize("ending", ["mp4", "ts"])
def test_units_that_are_not_certain(tmp_path: Path, ending: str) -> None:
    """Single units of an H.264 packet, framed as in MP4 and as in MPEG transport."""
    path = media.write_clip(tmp_path / f"clip.{ending}", count=5)
    reader, packets = reader_and_packets(path)
    assert reader(packets[0]).is_restart

    def framed(*units: bytes) -> bytes:
        if ending == "ts":
            return b"".join(b"\0\0\1" + unit for unit in units)
        return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)

    plain = reader(framed(b"\x01\x9a\x22"))
    assert (plain.is_disposable, plain.is_restart) == (True, False)
    assert not any(reader(framed(header + b"\x9a\x22")).is_disposable for header in (b"\x21", b"\x41", b"\x61"))
    assert not reader(framed(b"\x01\x9a\x22", b"\x41\x9a\x22")).is_disposable, "one slice of two is enough"
    assert not reader(framed(b"\x68\xee", b"\x01\x9a\x22")).is_disposable, "it brings headers"
    for unit in (b"\x14\x9a", b"\x6e\x9a", b"\x02\x9a", b"\x81\x9a", b"\x67\x64\x00", b"\x18\x01"):
        assert reader(framed(b"\x01\x9a\x22", unit)) is None, "layers, partitions, a broken or new header"
    assert reader(framed(b"\x06\x05")) is None, "no picture"
    assert reader(b"") is None
    if ending == "mp4":
        assert reader(framed(b"\x01\x9a\x22") + b"\0\0\0\xff\x01") is None, "a unit beyond the packet"


def test_broken_headers_are_unreadable() -> None:
    for unit in (b"", b"\x67", b"\x67\x64\x00\x1f", b"\x67" + bytes(40)):
        with pytest.raises(Unreadable):
            h264_has_frames_only(unit)
    with pytest.raises(Unreadable):
        hevc_has_one_sublayer(b"\x42\x01")
    assert hevc_has_one_sublayer(b"\x42\x01\x01")
    assert not hevc_has_one_sublayer(b"\x42\x01\x05")
