"""An OPC UA server that sends without end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from asyncua import ua
from asyncua.common.connection import MessageChunk, TransportLimits
from asyncua.crypto.security_policies import SecurityPolicyNone
from asyncua.ua.ua_binary import uatcp_to_binary

from iotgw.connect.opcua_limits import LARGEST_CHUNK, LARGEST_MESSAGE, BoundedClient

PIECE = bytes(64 << 10)


def boundless() -> bytes:
    """A server's word that it has no limits."""
    said = ua.Acknowledge()
    said.ReceiveBufferSize = said.SendBufferSize = 0xFFFFFFFF
    return uatcp_to_binary(ua.MessageType.Acknowledge, said)


async def sent_to(talk: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> int:
    """How many bytes a client takes of a server that says hello and then talks until it is left."""
    count, is_left = 0, asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        await reader.read(8192)
        write = writer.write

        def counted(data: bytes) -> None:
            nonlocal count
            count += len(data)
            write(data)

        writer.write = counted  # type: ignore[method-assign]
        try:
            await talk(writer)
        except OSError:
            is_left.set()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = BoundedClient(f"opc.tcp://127.0.0.1:{port}", 120.0)
    await client.connect_socket()
    await client.send_hello()
    await is_left.wait()
    client.disconnect_socket()
    server.close()
    return count


async def without_end(writer: asyncio.StreamWriter) -> None:
    writer.write(boundless() + b"MSGF" + (1 << 30).to_bytes(4, "little"))
    while True:
        writer.write(PIECE)
        await writer.drain()


async def in_chunks(writer: asyncio.StreamWriter) -> None:
    limits = TransportLimits(1 << 16, 1 << 16, 0, 0)
    body = bytes(2 * LARGEST_MESSAGE)
    chunks = MessageChunk.message_to_chunks(
        SecurityPolicyNone(), body, limits.max_send_buffer, message_type=ua.MessageType.SecureMessage
    )
    writer.write(boundless())
    for number, chunk in enumerate(chunks):
        chunk.SequenceHeader.SequenceNumber = number + 1
        writer.write(chunk.to_binary())
        await writer.drain()
    while True:
        writer.write(PIECE)
        await writer.drain()


@pytest.mark.parametrize(
    ("talk", "most"), [(without_end, 8 * LARGEST_CHUNK), (in_chunks, LARGEST_MESSAGE + 8 * LARGEST_CHUNK)]
)
def test_a_server_is_left_that_sends_more_than_a_message_has(
    talk: Callable[[asyncio.StreamWriter], Awaitable[None]], most: int
) -> None:
    assert asyncio.run(sent_to(talk)) <= most
