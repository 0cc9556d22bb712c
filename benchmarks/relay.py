"""A way for some TCP ports of this machine into a network namespace that has no other: sockets in a folder.

Belongs here: carrying bytes. ``python -m benchmarks.relay outside|inside FOLDER PORT…`` runs until it is ended.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
HOST = "127.0.0.1"
CHUNK_BYTES = 2**18
CARRYING: set[asyncio.Task[None]] = set()
"""asyncio itself holds a connection's task weakly once both ends are gone."""


async def main(side: str, folder: Path, ports: list[int]) -> None:
    """Carry connections of each port between the two sides, which meet at a socket file a port.

    Args:
        side: ``outside``, where the servers listen, or ``inside``, where they are to be reached.
        folder: of the socket files.
        ports: of the servers; they are the same inside.
    """
    for port in ports:
        meeting = folder / f"{port}.sock"
        if side == "outside":
            await asyncio.start_unix_server(partial(_carry, partial(asyncio.open_connection, HOST, port)), meeting)
        else:
            await asyncio.start_server(partial(_carry, partial(asyncio.open_unix_connection, meeting)), HOST, port)
    print("ready", flush=True)
    await asyncio.Event().wait()


async def _carry(connect: Connect, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        far_reader, far_writer = await connect()
    except OSError:  # the server is down: here, too, the connection ends
        writer.close()
        return
    pumps = {asyncio.ensure_future(_pump(reader, far_writer)), asyncio.ensure_future(_pump(far_reader, writer))}
    CARRYING.update(pumps)
    await asyncio.wait(pumps)
    CARRYING.difference_update(pumps)
    writer.close()
    far_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry one direction to its end; where a side breaks off, so does the other."""
    try:
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), [int(port) for port in sys.argv[3:]]))
