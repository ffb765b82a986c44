"""What an OPC UA server may send at once. asyncua has no limit of its own: it keeps a chunk of any size until it is whole, and any number of them."""

from __future__ import annotations

from typing import Any

from asyncua import Client, ua
from asyncua.client.ua_client import UaClient, UASocketProtocol
from asyncua.common.connection import TransportLimits
from asyncua.common.shortcuts import Shortcuts
from asyncua.common.subscription import Subscription

LARGEST_CHUNK = 1 << 20
"""Bytes of a chunk; servers have 64 kB."""
LARGEST_MESSAGE = 32 << 20
"""Bytes of a message, which is in chunks of 8 kB at least (OPC 10000-6 §6.7.2.1)."""
MOST_CHUNKS = LARGEST_MESSAGE >> 13


class OurLimits(TransportLimits):
    """Limits that hold whatever the server says of its own."""

    def __init__(self) -> None:
        super().__init__(LARGEST_CHUNK, 65_535, MOST_CHUNKS, LARGEST_MESSAGE)

    def update_client_limits(self, msg: ua.Acknowledge) -> None:
        """Take over how much the server takes."""
        super().update_client_limits(msg)
        self.max_recv_buffer = LARGEST_CHUNK
        self.max_chunk_count, self.max_message_size = MOST_CHUNKS, LARGEST_MESSAGE


class BoundedProtocol(UASocketProtocol):
    """A connection that ends when a chunk says that it is too large. A chunk begins with a type of four characters and its size in four
    bytes (OPC 10000-6 §7.1.2.2)."""

    receive_buffer: bytes | None

    def data_received(self, data: bytes) -> None:
        """Read bytes of the server."""
        super().data_received(data)
        begun = self.receive_buffer
        if begun is not None and int.from_bytes(begun[4:8], "little") > LARGEST_CHUNK:
            self.receive_buffer = None
            self.disconnect_socket()


class _Transport(UaClient):
    """Makes such connections."""

    def _make_protocol(self) -> UASocketProtocol:
        self.protocol = BoundedProtocol(self._timeout, self.security_policy, OurLimits())
        self.protocol.pre_request_hook = self._pre_request_hook
        self.protocol.on_connection_lost = self._on_transport_lost
        self.protocol.is_session_closing = self._is_session_closing
        return self.protocol


class BoundedClient(Client):
    """asyncua's client over such connections."""

    def __init__(self, url: str, timeout: float, **more: Any) -> None:
        super().__init__(url, timeout, **more)
        self.uaclient = _Transport(timeout)
        self.uaclient.pre_request_hook = self._wait_until_ready
        self.nodes = Shortcuts(self.uaclient.session)

    async def add(self, subscription: Subscription) -> None:
        """Make this subscription at the server, as `create_subscription` does with one of asyncua's own."""
        revised = self.get_subscription_revised_params(subscription.parameters, await subscription.init())
        if revised is not None:
            await subscription.update(revised)
        self._subscriptions.append(subscription)
