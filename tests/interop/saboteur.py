"""A relay between the gateway and a target, on which a network's faults can be had, and those of a server in its place."""

import random

from twisted.internet import reactor
from twisted.internet.interfaces import IPullProducer
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer

from tests.peers.process import free_port

ANOTHER_PROTOCOL = b"220 mail.example ESMTP ready\r\n"
ANSWERS = ("answer lost", "garbage", "cut off", "hung up")
"""Faults of the target's next three answers."""
INSTEAD = ("refused", "closed at once", "another protocol", "endless")
"""Faults of the target's place: what is connected breaks."""

SLOW = 0.03
"""Seconds that every piece of data takes longer."""


@implementer(IPullProducer)
class Pouring:
    """Says ``begin``, and then one letter for ever."""

    def __init__(self, saboteur, transport, begin):
        self._saboteur = saboteur
        self._transport = transport
        transport.write(begin)
        transport.registerProducer(self, False)

    def resumeProducing(self):
        self._saboteur.poured += 1 << 16
        self._transport.write(b"x" * (1 << 16))

    def stopProducing(self):
        pass


class Side(Protocol):
    """One end of a relayed connection; ``to_target`` is the gateway's."""

    def __init__(self, saboteur, other=None):
        self.saboteur = saboteur
        self.to_target = other is None
        self.other = other
        self.early = []
        self.is_alone = False
        """Whether nothing of it reaches the target."""
        self._spelling = b""

    def connectionMade(self):
        self.saboteur.sides.add(self)
        if self.to_target and self.saboteur.stands_in(self):
            return
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

    def spell(self, data):
        """Write data over, a byte in each turn of the reactor."""
        begins, self._spelling = not self._spelling, self._spelling + data
        if begins:
            self._next_letter()

    def _next_letter(self):
        self.write_over(self._spelling[:1])
        self._spelling = self._spelling[1:]
        if self._spelling:
            reactor.callLater(0, self._next_letter)

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
    - ``answer lost``: what the target says next does not pass, and the connection breaks, three times;
    - ``garbage``: what the target says next is replaced by as many random bytes, three times;
    - ``cut off``: of what the target says next, half passes and the connection is closed, three times;
    - ``hung up``: what the target says next passes, and the connection is closed, three times;
    - ``byte by byte``: what the target says passes in single bytes;
    - ``closed at once``: connections are taken and closed;
    - ``another protocol``: a mail server answers;
    - ``endless``: the first thing that the gateway says is answered by ``endless``, and then by one letter for ever.
    """

    def __init__(self, target_port, endless=b""):
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
        self.poured = 0
        """Bytes of endless answers."""
        self._endless = endless
        self._dice = random.Random(1)

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
        if fault in INSTEAD:
            for side in list(self.sides):
                side.abort()

    async def end(self):
        """No more; connections that lost something are of no use and break."""
        fault, self._fault = self._fault, ""
        if fault == "refused":
            self._listen()
        if fault in ("black hole", *INSTEAD):
            for side in list(self.sides):
                side.abort()

    def stands_in(self, side):
        """Whether a new connection doesn't reach the target."""
        if self._fault not in INSTEAD:
            return False
        side.is_alone = True
        if self._fault == "closed at once":
            self.struck += 1
            side.transport.loseConnection()
        elif self._fault == "another protocol":
            self.struck += 1
            side.transport.write(ANOTHER_PROTOCOL)
        return True

    def pass_on(self, side, data):
        fault = self._fault
        if side.is_alone:
            if fault == "endless" and not side.transport.producer:
                self.struck += 1
                Pouring(self, side.transport, self._endless)
        elif fault == "black hole":
            self.struck += 1
        elif fault == "slow":
            self.struck += 1
            reactor.callLater(SLOW, side.write_over, data)
        elif fault == "byte by byte" and not side.to_target:
            self.struck += 1
            side.spell(data)
        elif self._left and (fault == "reset" if side.to_target else fault in ANSWERS):
            self.struck += 1
            self._left -= 1
            self._spoil(fault, side, data)
        else:
            side.write_over(data)

    def _spoil(self, fault, side, data):
        if fault == "garbage":
            side.write_over(self._dice.randbytes(len(data)))
            return
        if fault == "hung up":
            side.write_over(data)
        elif fault in ("reset", "cut off"):
            side.write_over(data[: len(data) // 2])
        if fault in ("reset", "answer lost"):
            reactor.callLater(0.01, side.abort)
        else:
            side.other.transport.loseConnection()
        self._fault_over_for(side)

    def _fault_over_for(self, side):
        """What still comes on a connection that is about to break goes nowhere."""
        side.dataReceived = lambda data: None
