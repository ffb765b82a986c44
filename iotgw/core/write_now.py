"""Writes at once. Twisted's `write` leaves the data to the reactor's next turn, with an epoll call before and
after it. For small requests that wait for their responses that is half of the cost."""

from __future__ import annotations

from twisted.internet.interfaces import ITransport
from twisted.internet.tcp import Connection


def write(transport: ITransport, data: bytes) -> None:
    """Write ``data``: to the kernel what it takes, the rest by ``transport`` as ever.

    Only a plain TCP connection with an empty buffer is written to directly; TLS and everything else use
    ``transport``.
    """
    if (
        isinstance(transport, Connection)
        and transport.connected
        and not (
            transport.TLS or transport.disconnecting or transport.dataBuffer or transport._tempDataBuffer
        )
    ):
        sent = transport.writeSomeData(data)
        if sent == len(data):
            return
        if (
            isinstance(sent, int) and sent > 0
        ):  # otherwise the connection is lost, as the transport will find out
            data = data[sent:]
    transport.write(data)
