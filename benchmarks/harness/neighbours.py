"""Targets that one doesn't want to have beside one's own, in a process of their own.

    python benchmarks/harness/neighbours.py KIND

``slow`` answers each HTTP request after half a second, ``slowmqtt`` acknowledges each PUBLISH so late;
``sip`` reads its socket a few bytes at a time, ``hang`` takes connections and never reads at all. Prints the
port that it listens on.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import sys

LATE = 0.5
"""Seconds until an answer."""
SIP = 64
"""Bytes that are read every tenth of a second."""
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


async def body_of(reader: asyncio.StreamReader) -> None:
    """Read a request to its end."""
    head = await reader.readuntil(b"\r\n\r\n")
    found = re.search(rb"(?i)content-length: *(\d+)", head)
    await reader.readexactly(int(found[1]) if found else 0)


async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """HTTP, half a second late."""
    while True:
        await body_of(reader)
        await asyncio.sleep(LATE)
        writer.write(ANSWER)


async def slowmqtt(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """MQTT 3.1.1, half a second late."""
    later = asyncio.get_running_loop().call_later
    while True:
        (first,) = await reader.readexactly(1)
        size = shift = 0
        while True:
            (byte,) = await reader.readexactly(1)
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        packet = await reader.readexactly(size)
        if first == 0x10:
            writer.write(b"\x20\x02\x00\x00")
        elif first == 0xC0:
            writer.write(b"\xd0\x00")
        elif first >> 4 == 3:
            place = 2 + int.from_bytes(packet[:2], "big")
            later(LATE, writer.write, b"\x40\x02" + packet[place : place + 2])


async def sip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads, but hardly."""
    while await reader.read(SIP):
        await asyncio.sleep(0.1)


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Does nothing at all."""
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(3600)


async def main(kind: str) -> None:
    """Serve until killed."""
    serve = {"slow": slow, "slowmqtt": slowmqtt, "sip": sip, "hang": hang}[kind]
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listener.bind(("127.0.0.1", 0))

    async def until_lost(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await serve(reader, writer)

    server = await asyncio.start_server(until_lost, sock=listener, limit=1024 if kind == "sip" else 1 << 16)
    print(listener.getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
