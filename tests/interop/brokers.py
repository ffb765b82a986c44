"""An MQTT 5 broker that takes its own limits seriously: who oversteps one is disconnected, and noted."""

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol

from iotgw.wire.mqtt import varint

ALIAS = 0x23


class _Connection(Protocol):
    def connectionMade(self):
        self._buffer = b""
        self._open = set()

    def dataReceived(self, data):
        self._buffer += data
        while (found := _packet(self._buffer)) is not None:
            first, body, end = found
            self._packet(first, body, end)
            self._buffer = self._buffer[end:]

    def _packet(self, first, body, size):
        strict = self.factory.strict
        if first == 0x10:
            properties = b"\x21" + strict.receive_maximum.to_bytes(2, "big")
            properties += b"\x27" + strict.largest.to_bytes(4, "big")
            properties += b"\x22\x00\x05" + bytes((0x25, strict.retain))
            self.transport.write(b"\x20" + varint(3 + len(properties)) + b"\0\0" + varint(len(properties)))
            self.transport.write(properties)
        elif first >> 4 == 3:
            self._publish(first, body, size)
        elif first == 0xC0:
            self.transport.write(b"\xd0\x00")

    def _publish(self, first, body, size):
        strict = self.factory.strict
        place = 2 + int.from_bytes(body[:2], "big")
        topic, id_ = body[2:place].decode(), body[place : place + 2]
        properties = body[place + 3 : place + 3 + body[place + 2]]
        payload = body[place + 3 + body[place + 2] :]
        self._open.add(id_)
        if len(self._open) > strict.receive_maximum:
            self._overstepped(0x93)
        elif size > strict.largest:
            self._overstepped(0x95)
        elif first & 1 and not strict.retain:
            self._overstepped(0x9A)
        elif not topic or ALIAS in properties[:1]:
            self._overstepped(0x94)
        else:
            code = strict.judge(topic, payload)
            if not code:
                strict.received.append((topic, payload, size))
            if code >= 0:
                reactor.callLater(0.002, self._acknowledge, id_, code)

    def _acknowledge(self, id_, code):
        self._open.discard(id_)
        self.transport.write(b"\x40\x03" + id_ + bytes((code,)))

    def _overstepped(self, code):
        self.factory.strict.overstepped.append(hex(code))
        self.transport.write(b"\xe0\x01" + bytes((code,)))
        self.transport.loseConnection()


def _packet(buffer):
    """First byte, body and whole size of the packet that begins the buffer; None until it is there."""
    size = shift = 0
    for place in range(1, min(5, len(buffer))):
        size |= (buffer[place] & 127) << shift
        shift += 7
        if buffer[place] < 128:
            end = place + 1 + size
            return (buffer[0], buffer[place + 1 : end], end) if len(buffer) >= end else None
    return None


class StrictBroker:
    """``received`` are ``(topic, payload, size of the packet)``; ``refuse(topic)`` is the reason code of a PUBLISH,
    0 to take it, and so is ``judge(topic, payload)``, which may be less than 0 for no answer at all. An async context
    manager."""

    def __init__(self, receive_maximum=65535, largest=1 << 20, retain=True, refuse=lambda topic: 0):
        self.receive_maximum = receive_maximum
        self.largest = largest
        self.retain = retain
        self.judge = lambda topic, payload: refuse(topic)
        self.received = []
        self.overstepped = []

    async def __aenter__(self):
        factory = Factory.forProtocol(_Connection)
        factory.noisy = False
        factory.strict = self
        self._listening = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.port = self._listening.getHost().port
        return self

    async def __aexit__(self, *exc):
        await self._listening.stopListening()
