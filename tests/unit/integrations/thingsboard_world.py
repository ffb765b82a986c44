"""A delivery service with a ThingsBoard target, whose server is the stand-in, in memory and on a clock."""

import json

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from iotgw import testing
from iotgw.core.specs import IntegrationSpec, RetrySpec
from iotgw.core.types import Types
from iotgw.delivery.service import DeliveryService
from iotgw.integrations.thingsboard import ThingsBoardType
from iotgw.integrations.thingsboard_http import ThingsBoardHttpType
from iotgw.testing import telemetry
from iotgw.testing.connector import FakeConnector
from tests.peers.thingsboard import ThingsBoard
from tests.unit.integrations.gate import Gate

RETRY = RetrySpec(initial=1.0, multiplier=1.0, cap=1.0, max_attempts=3)


class ThingsBoardWorld:
    """One integration ``i1``. While ``is_there`` is false, nobody takes connections."""

    def __init__(
        self, type="thingsboard", server=None, journal=None, clock=None, data_dir="", is_there=True, configuration=None, **spec
    ):  # fmt: skip
        self.server = server or ThingsBoard()
        self.is_there = is_there
        self.clock = clock or Clock()
        if clock is None:
            self.clock.advance(1_000_000)
        self.journal = journal or testing.MemoryJournal(self.clock, epoch="E")
        self.connector = FakeConnector()
        self.downlinks = []
        self.gate = Gate()
        types = Types("iotgw.none", self.clock, [ThingsBoardType, ThingsBoardHttpType], self.connector)
        self.events = testing.MemoryEvents()
        self.service = DeliveryService(
            self.journal, types, self.clock, self.events, lambda id_: "src", self._queue, lambda text: text[::-1],
            data_dir, seal=lambda text: text[::-1],
        )  # fmt: skip
        self.service.start()
        spec.setdefault("retry", RETRY)
        base = {"host": "tb", "token": "GATEWAY"} if type == "thingsboard" else {"url": "http://tb"}
        chosen = {**base, **(configuration or {})}
        chosen = {key: value for key, value in chosen.items() if value is not None}
        self.spec = IntegrationSpec(name="one", type=type, configuration=chosen, **spec)
        self.wires = []
        self.exchanges = []
        """Head and body of each HTTP request."""
        self.service.apply("i1", "one", "default", self.spec)
        self.go()

    async def _queue(self, tenant, device, spec):
        await self.gate.passed()
        self.downlinks.append((device, spec.msg_type, spec.msg))

    def store(self, *said, device="d1", **how):
        """Store a record per body: values, or a whole body."""
        new = []
        for n, values in enumerate(said):
            seq = self.journal.head + 1 + n
            body = values if isinstance(values, bytes) else document(device, values)
            new.append(telemetry(seq, device, received_ms=int(self.clock.seconds() * 1000), body=body, **how))
        self.journal.put(new)
        self.service.feed(new)
        self.go()
        return [record.seq for record in new]

    def go(self, seconds=0):
        """Let both sides speak, over and over, while time passes."""
        for _ in range(1 + seconds):
            self.clock.advance(1 if seconds else 0)
            while self._turn():
                self.clock.advance(0)

    def _turn(self):
        some = False
        for endpoint in self.connector.endpoints.values():
            while endpoint.attempts:
                some = True
                if self.is_there:
                    self.wires.append(Wire(self, endpoint.accept()))
                else:
                    endpoint.refuse(ConnectionRefusedError())
        for wire in list(self.wires):
            some = wire.turn() or some
        return some

    def fail(self):
        """The server goes away."""
        self.is_there = False
        for wire in list(self.wires):
            wire.end(ConnectionLost())
        self.go()

    @property
    def wire(self):
        """The latest MQTT connection, as the server has it."""
        return self.server.connections[-1]

    def stats(self):
        stats = self.service.stats("i1")
        assert stats["balanced"], stats
        return stats

    def accounts(self):
        stats = self.stats()
        return {
            "delivered": stats["delivered"],
            "waiting": stats["waiting"] + stats["inflight"],
            "dead": stats["dead"],
        }

    def dead(self):
        found = []
        self.service.dead_letters("i1").addCallback(found.extend)
        return {parked.record.seq: parked.error for parked in found}


class Wire:
    """A connection between both sides."""

    def __init__(self, world, transport):
        self.world, self.transport = world, transport
        self.mqtt = world.server.connection() if world.spec.type == "thingsboard" else None
        self.waits = None
        """A request that the server keeps open."""

    def turn(self):
        said = self.transport.value()
        self.transport.clear()
        answer = self._mqtt(said) if self.mqtt is not None else self._http(said)
        if answer:
            self.transport.protocol.dataReceived(answer)
        if (
            (self.mqtt is not None and self.mqtt.is_closed)
            or self.transport.disconnecting
            or getattr(self.transport, "aborting", False)
        ):
            self.end(ConnectionDone())
        return bool(said or answer)

    def _mqtt(self, said):
        return self.mqtt.receive(said) if said else self.mqtt.said()

    def _http(self, said):
        if said:
            head, _, body = said.decode().partition("\r\n\r\n")
            self.waits = head, body
            self.world.exchanges.append((head, body))
        if self.waits is None or (answer := self.world.server.http(*self.waits)) is None:
            return b""
        self.waits = None
        status, what = answer
        text = what if isinstance(what, bytes) else json.dumps(what).encode()
        return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(text), text)

    def end(self, why):
        if self in self.world.wires:
            self.world.wires.remove(self)
            self.transport.protocol.connectionLost(Failure(why))


def document(device, values, ts=1000, **attributes):
    """A record's body with one reading."""
    return json.dumps({
        "deviceName": device, "deviceType": "default", "attributes": attributes,
        "telemetry": [{"ts": ts, "values": values}] if values else [],
    }, separators=(",", ":")).encode()  # fmt: skip
