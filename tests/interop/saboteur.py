"""A relay between the gateway and a target, on which a network's faults can be had."""

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol

from tests.peers.process import free_port

SLOW = 0.03
"""Seconds that every piece of data takes longer."""


class Side(Protocol):
    """One end of a relayed connection; ``to_target`` is the gateway's."""

    def __init__(self, saboteur, other=None):
        self.saboteur = saboteur
        self.to_target = other is None
        self.other = other
        self.early = []

    def connectionMade(self):
        self.saboteur.sides.add(self)
        if self.to_target:
            factory = Factory.forProtocol(lambda: Side(self.saboteur, self))
            factory.noisy = False
            connecting = self.saboteur.endpoint(factory)
            connecting.addErrback(lambda _: self.transport.abortConnection())
        else:
            self.other.other = self
            for data in self.other.early:
                self.transport.write(data)

    def dataReceived(self, data):
        self.saboteur.pass_on(self, data)

    def write_over(self, data):
        if self.other is None:
            self.early.append(data)
        elif self.other.transport.connected:
            self.other.transport.write(data)

    def abort(self):
        for side in (self, self.other):
            if side is not None and side.transport is not None:
                side.transport.abortConnection()

    def connectionLost(self, reason):
        self.saboteur.sides.discard(self)
        if self.other is not None and self.other.transport is not None:
            self.other.transport.loseConnection()


class Saboteur:
    """Relays to a port of this machine; an async context manager. ``fault`` is one of

    - ``refused``: nobody listens, and connections break;
    - ``black hole``: connections are taken, and nothing passes;
    - ``slow``: everything passes late;
    - ``reset``: of what the gateway says next, half passes and the connection breaks, three times;
    - ``answer lost``: what the target says next does not pass, and the connection breaks, three times.
    """

    def __init__(self, target_port):
        self._target_port = target_port
        self.port = free_port()
        self.sides = set()
        self._factory = Factory.forProtocol(lambda: Side(self))
        self._factory.noisy = False
        self._listening = None
        self._fault = ""
        self._left = 0
        self.struck = 0
        """How often it did harm."""

    def endpoint(self, factory):
        from twisted.internet.endpoints import TCP4ClientEndpoint

        return TCP4ClientEndpoint(reactor, "127.0.0.1", self._target_port).connect(factory)

    async def __aenter__(self):
        self._listen()
        return self

    def _listen(self):
        self._listening = reactor.listenTCP(self.port, self._factory, interface="127.0.0.1")

    async def __aexit__(self, *exc):
        if self._listening is not None:
            await self._listening.stopListening()
        for side in list(self.sides):
            side.transport.abortConnection()

    async def begin(self, fault):
        """From now on."""
        self._fault = fault
        self._left = 3
        if fault == "refused":
            await self._listening.stopListening()
            self._listening = None
            for side in list(self.sides):
                side.abort()

    async def end(self):
        """No more; connections that lost something are of no use and break."""
        fault, self._fault = self._fault, ""
        if fault == "refused":
            self._listen()
        if fault == "black hole":
            for side in list(self.sides):
                side.abort()

    def pass_on(self, side, data):
        fault = self._fault
        if fault == "black hole":
            self.struck += 1
        elif fault == "slow":
            self.struck += 1
            reactor.callLater(SLOW, side.write_over, data)
        elif self._left and fault == ("reset" if side.to_target else "answer lost"):
            self.struck += 1
            self._left -= 1
            if fault == "reset":
                side.write_over(data[: len(data) // 2])
            reactor.callLater(0.01, side.abort)
            self._fault_over_for(side)
        else:
            side.write_over(data)

    def _fault_over_for(self, side):
        """What still comes on a connection that is about to break goes nowhere."""
        side.dataReceived = lambda data: None
