"""The few facts of a stream's parameter sets that decide whether pictures may be left out.

Belongs here: sequence parameter sets of H.264 and HEVC, bit by bit. Does not belong here: slices (`coded.py`).
"""

from __future__ import annotations

EMULATION_PREVENTION = b"\0\0\3"

H264_PROFILES_WITH_CHROMA_FORMAT = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
"""Their sequence parameter sets tell the chroma format and scaling lists (ITU-T H.264, 7.3.2.1.1)."""

CHROMA_444 = 3
MAX_CODE_ZEROS = 32
MAX_ORDER_CYCLE = 255


class Unreadable(ValueError):
    """A parameter set ends too soon, or holds what is not read here."""


class _Bits:
    """The bits of a parameter set, without the bytes that keep start codes out of it."""

    def __init__(self, unit: bytes) -> None:
        raw = unit.replace(EMULATION_PREVENTION, b"\0\0")
        self._value, self._left = int.from_bytes(raw, "big"), 8 * len(raw)

    def take(self, count: int) -> int:
        """The next bits as a number."""
        self._left -= count
        if self._left < 0:
            raise Unreadable
        return self._value >> self._left & ((1 << count) - 1)

    def code(self) -> int:
        """The next Exp-Golomb code, ue(v); of a signed one (ITU-T H.264, 9.1) this tells only where it ends."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > MAX_CODE_ZEROS:
                raise Unreadable
        return (1 << zeros) - 1 + self.take(zeros)


def h264_has_frames_only(unit: bytes) -> bool:
    """Whether a sequence parameter set promises pictures that are whole frames, never fields.

    Args:
        unit: the NAL unit with its header byte.

    Raises:
        Unreadable: it is broken, or brings scaling lists of its own.
    """
    bits = _Bits(unit[1:])
    profile = bits.take(8)
    bits.take(16)
    bits.code()
    if profile in H264_PROFILES_WITH_CHROMA_FORMAT:
        _pass_chroma_format(bits)
    bits.code()
    _pass_order_count(bits)
    bits.code()
    bits.take(1)
    bits.code()
    bits.code()
    return bool(bits.take(1))


def _pass_chroma_format(bits: _Bits) -> None:
    if bits.code() == CHROMA_444:
        bits.take(1)
    bits.code()
    bits.code()
    bits.take(1)
    if bits.take(1):
        raise Unreadable


def _pass_order_count(bits: _Bits) -> None:
    order = bits.code()
    if order == 0:
        bits.code()
    elif order == 1:
        bits.take(1)
        bits.code()
        bits.code()
        cycle = bits.code()
        if cycle > MAX_ORDER_CYCLE:
            raise Unreadable
        for _ in range(cycle):
            bits.code()


def hevc_has_one_sublayer(unit: bytes) -> bool:
    """Whether a sequence parameter set promises that no picture belongs to a temporal sub-layer above the lowest.

    Args:
        unit: the NAL unit with its header of two bytes.

    Raises:
        Unreadable: it is broken.
    """
    bits = _Bits(unit[2:])
    bits.take(4)
    return bits.take(3) == 0
