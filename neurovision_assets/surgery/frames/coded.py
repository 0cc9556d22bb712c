"""What a coded picture is to the other pictures of its file, told from its headers without decoding it.

Belongs here: the NAL units of H.264 and HEVC, codecs whose every picture stands alone. Does not belong here: which
pictures are wanted (`needed.py`).

Only what the standards promise counts. Fields, scalable and multi-layer streams, unknown units and units that do not
fill their packet give no answer, and a picture without an answer is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from neurovision_assets.surgery.frames.parameter_sets import Unreadable, h264_has_frames_only, hevc_has_one_sublayer

if TYPE_CHECKING:
    from av.video.stream import VideoStream

START_CODE = b"\0\0\1"
FORBIDDEN_ZERO_BIT = 0x80

SPS_COUNT_AT_H264, SPS_COUNT_MASK_H264 = 5, 31
ARRAYS_AT_HEVC = 22
LENGTH_SIZE_AT = {"h264": 4, "hevc": 21}
"""Where the configuration records of MP4 and Matroska tell their sizes (ISO/IEC 14496-15, 5.3.3.1 and 8.3.3.1)."""

H264_SLICE, H264_IDR_SLICE, H264_SPS = 1, 5, 7
H264_PARAMETER_SETS = frozenset({7, 8, 13})
H264_WITHOUT_PICTURE = frozenset({6, 9, 10, 11, 12})
"""SEI, delimiter, ends, filler (ITU-T H.264, table 7-1)."""

HEVC_SPS = 33
HEVC_SUBLAYER_NON_REFERENCE = frozenset({0, 2, 4, 6, 8})
HEVC_IDR = frozenset({19, 20})
HEVC_SLICES = frozenset({*range(10), *range(16, 22)})
HEVC_PARAMETER_SETS = frozenset({32, 33, 34})
HEVC_WITHOUT_PICTURE = frozenset(range(35, 41))
"""Delimiter, ends, filler, SEI (ITU-T H.265, table 7-1)."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A coded picture among the others.

    Attributes:
        is_disposable: no other picture is predicted from it, and it carries no headers.
        is_restart: nothing from it on is predicted from what was before it (IDR).
        has_parameters: it carries headers that later pictures may need.
    """

    is_disposable: bool
    is_restart: bool
    has_parameters: bool


ALONE = Coded(is_disposable=True, is_restart=True, has_parameters=False)

Reader = Callable[[bytes], Coded | None]
"""Says what a packet's picture is; None where that is not certain."""


def coded_reader(stream: VideoStream) -> Reader | None:
    """The reader for a track; None where nothing certain can be said about its pictures."""
    context = stream.codec_context
    if context.codec.intra_only:
        return lambda _: ALONE
    headers, name = bytes(context.extradata or b""), str(context.codec.canonical_name)
    if name not in LENGTH_SIZE_AT or not headers:
        return None
    try:
        return _H264(headers) if name == "h264" else _Hevc(headers)
    except (Unreadable, IndexError):
        return None


class _H264:
    """Reads packets of H.264 (ITU-T H.264, 7.3.1)."""

    def __init__(self, headers: bytes) -> None:
        self._length_size = _length_size(headers, "h264")
        if self._length_size:
            count = headers[SPS_COUNT_AT_H264] & SPS_COUNT_MASK_H264
            units, _ = _counted(headers, SPS_COUNT_AT_H264 + 1, count)
        else:
            units = _units(headers, 0)
        self._sequence_sets = {unit for unit in units if unit[0] & 31 == H264_SPS}
        if not self._sequence_sets or not all(map(h264_has_frames_only, self._sequence_sets)):
            raise Unreadable

    def __call__(self, packet: bytes) -> Coded | None:
        """What the picture of a packet is."""
        slices, has_parameters = [], False
        for unit in _units(packet, self._length_size):
            kind = unit[0] & 31 if unit and unit[0] < FORBIDDEN_ZERO_BIT else None
            if kind in (H264_SLICE, H264_IDR_SLICE):
                slices.append(unit[0])
            elif kind in H264_PARAMETER_SETS and (kind != H264_SPS or unit in self._sequence_sets):
                has_parameters = True
            elif kind not in H264_WITHOUT_PICTURE:
                return None
        if not slices:
            return None
        return Coded(
            is_disposable=not has_parameters and all(header >> 5 == 0 for header in slices),
            is_restart=all(header & 31 == H264_IDR_SLICE for header in slices),
            has_parameters=has_parameters,
        )


class _Hevc:
    """Reads packets of HEVC (ITU-T H.265, 7.3.1)."""

    def __init__(self, headers: bytes) -> None:
        self._length_size = _length_size(headers, "hevc")
        units = _hevc_arrays(headers) if self._length_size else _units(headers, 0)
        self._sequence_sets = {unit for unit in units if unit[0] >> 1 & 63 == HEVC_SPS}
        if not self._sequence_sets or not all(map(hevc_has_one_sublayer, self._sequence_sets)):
            raise Unreadable

    def __call__(self, packet: bytes) -> Coded | None:
        """What the picture of a packet is."""
        slices, has_parameters = [], False
        for unit in _units(packet, self._length_size):
            kind = _hevc_base_layer_kind(unit)
            if kind in HEVC_SLICES:
                slices.append(kind)
            elif kind in HEVC_PARAMETER_SETS and (kind != HEVC_SPS or unit in self._sequence_sets):
                has_parameters = True
            elif kind not in HEVC_WITHOUT_PICTURE:
                return None
        if not slices:
            return None
        return Coded(
            is_disposable=not has_parameters and all(kind in HEVC_SUBLAYER_NON_REFERENCE for kind in slices),
            is_restart=all(kind in HEVC_IDR for kind in slices),
            has_parameters=has_parameters,
        )


def _hevc_base_layer_kind(unit: bytes) -> int | None:
    """A unit's type; None outside of the only layer and sub-layer that were promised."""
    is_base = len(unit) > 1 and unit[0] < FORBIDDEN_ZERO_BIT and not unit[0] & 1 and unit[1] == 1
    return unit[0] >> 1 if is_base else None


def _length_size(headers: bytes, name: str) -> int:
    """Bytes of the length in front of each unit; 0 where units begin with start codes."""
    return (headers[LENGTH_SIZE_AT[name]] & 3) + 1 if headers[0] == 1 else 0


def _units(packet: bytes, length_size: int) -> list[bytes]:
    """The NAL units of a packet; one empty unit, which nothing takes for valid, where they do not fill it."""
    if not length_size:
        # A unit ends before the zero bytes of the next start code; none ends in a zero byte itself.
        return [unit.rstrip(b"\0") for unit in packet.split(START_CODE)[1:]]
    return list(_prefixed(packet, length_size))


def _prefixed(packet: bytes, length_size: int) -> Iterator[bytes]:
    at = 0
    while at < len(packet):
        start = at + length_size
        at = start + int.from_bytes(packet[at:start], "big")
        yield packet[start:at] if at <= len(packet) else b""


def _counted(headers: bytes, at: int, count: int) -> tuple[list[bytes], int]:
    """Units with lengths of two bytes, and where they end."""
    units = []
    for _ in range(count):
        end = at + 2 + int.from_bytes(headers[at : at + 2], "big")
        units.append(headers[at + 2 : end])
        at = end
    return units, at


def _hevc_arrays(headers: bytes) -> list[bytes]:
    """All parameter sets of a configuration record."""
    found, at = [], ARRAYS_AT_HEVC + 1
    for _ in range(headers[ARRAYS_AT_HEVC]):
        units, at = _counted(headers, at + 3, int.from_bytes(headers[at + 1 : at + 3], "big"))
        found += units
    return found
