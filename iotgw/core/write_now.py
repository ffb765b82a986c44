"""Writing at once. Twisted's `write` leaves the data to the reactor's next turn, and has the kernel told before and
after that there is something to write; for small requests that wait for their answers that is half their cost."""

from __future__ import annotations

from twisted.internet.interfaces import ITransport
from twisted.internet.tcp import Connection


def write(transport: ITransport, data: bytes) -> None:
    """Write ``data``: to the kernel what it takes, the rest by ``transport`` as ever.

    Only a bare TCP connection with nothing left to send is short-cut; TLS and everything else goes its way.
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
        if isinstance(sent, int) and sent > 0:  # otherwise it is lost: let the transport find that out
            data = data[sent:]
    transport.write(data)
