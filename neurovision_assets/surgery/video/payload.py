"""Whether two files hold the same coded pictures, byte for byte.

Belongs here: digests of packet payloads, and of NAL units where a container only changes what stands between them.
Does not belong here: reading files, decoding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

START_CODE = b"\x00\x00\x01"

CONFIGURATION_VERSION = 1
"""First byte of a configuration record (ISO/IEC 14496-15); headers with start codes begin with zeros."""

LENGTH_BYTES = 4
"""Length prefixes that FFmpeg writes."""


class Layout(Enum):
    """What stands in a packet's payload."""

    OPAQUE = "opaque"
    START_CODES = "start codes"
    LENGTHS = "length prefixes"


def layout_of(stream: VideoStream) -> Layout:
    """How NAL units are told apart in a stream's packets; opaque for codecs without them."""
    if stream.codec_context.codec.canonical_name not in ("h264", "hevc"):
        return Layout.OPAQUE
    extradata = stream.codec_context.extradata or b"\0"
    return Layout.LENGTHS if extradata[0] == CONFIGURATION_VERSION else Layout.START_CODES


class PayloadDigest:
    """SHA-256 over payloads: as they are (opaque), or over their NAL units without what stands between them.

    A recording that moves from MPEG-TS to MP4 changes start codes to length prefixes and nothing else.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._sha256 = hashlib.sha256()

    def update(self, packet: Packet[Any]) -> None:
        """Take the next packet."""
        if self._layout is Layout.OPAQUE:
            self._sha256.update(packet)
            return
        payload = bytes(packet)
        units = _between_start_codes(payload) if self._layout is Layout.START_CODES else _after_lengths(payload)
        for unit in units:
            # Zeros behind a unit are padding; muxers drop them.
            self._sha256.update(unit.rstrip(b"\0"))

    def hexdigest(self) -> str:
        """The digest so far, hexadecimal."""
        return self._sha256.hexdigest()


def _between_start_codes(payload: bytes) -> Iterator[bytes]:
    # Bytes before the first start code belong to no unit.
    yield from payload.split(START_CODE)[1:]


def _after_lengths(payload: bytes) -> Iterator[bytes]:
    position = 0
    while position + LENGTH_BYTES <= len(payload):
        length = int.from_bytes(payload[position : position + LENGTH_BYTES])
        position += LENGTH_BYTES
        yield payload[position : position + length]
        position += length
