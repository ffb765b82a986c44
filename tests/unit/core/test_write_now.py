"""Writing at once, to real connections."""

import socket

from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport

from iotgw.core.write_now import write


class Collects(Protocol):
    def __init__(self):
        self.data = []
        self.closed = Deferred()

    def dataReceived(self, data):
        self.data.append(data)

    def connectionLost(self, reason):
        self.closed.callback(b"".join(self.data))


async def connected():
    """A client's protocol, and the server's end."""
    served = Collects()
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(
        Factory.forProtocol(lambda: served)
    )
    client = await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port), Collects())
    await port.stopListening()
    return client, served


@ensureDeferred
async def test_what_is_small_has_left_before_the_call_returns():
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = await connectProtocol(TCP4ClientEndpoint(reactor, *server.getsockname()), Collects())
        peer, _ = server.accept()
        with peer:
            peer.settimeout(120)
            write(client.transport, b"now")
            assert peer.recv(10) == b"now"  # the reactor has had no turn
        await client.closed


@ensureDeferred
async def test_all_arrives_in_order_whatever_the_kernel_takes():
    client, served = await connected()
    parts = [b"small", bytes(range(256)) * 40_000, b"after", b"", b"the large one"]
    for part in parts:
        write(client.transport, part)
    client.transport.loseConnection()
    assert await served.closed == b"".join(parts)


@ensureDeferred
async def test_a_connection_that_is_gone_says_so_by_itself():
    client, served = await connected()
    served.transport.abortConnection()
    for _ in range(3):
        write(client.transport, b"into the void")
    assert await client.closed == b""


def test_what_is_no_bare_connection_is_written_to_as_ever():
    transport = StringTransport()
    write(transport, b"data")
    assert transport.value() == b"data"
