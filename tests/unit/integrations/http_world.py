"""A delivery service with an HTTP target whose server is in memory, on a clock."""

import json

from twisted.internet.task import Clock

from iotgw import testing
from iotgw.core.specs import IntegrationSpec, RetrySpec
from iotgw.core.types import Types
from iotgw.delivery.service import DeliveryService
from iotgw.integrations.http import HttpType
from iotgw.testing import telemetry
from iotgw.testing.connector import FakeConnector
from tests.unit.integrations.gate import Gate


class HttpWorld:
    """One integration ``i1``. ``says(head, body)`` gives the answer to each request: a status, or a status and what is JSON or
    bytes. ``requests`` are pairs of head and body."""

    def __init__(
        self,
        says=lambda head, body: 204,
        journal=None,
        clock=None,
        data_dir="",
        configuration=None,
        debug=None,
        **spec,
    ):
        self.says = says
        self.gate = Gate()
        self.downlinks = []
        self.clock = clock or Clock()
        if clock is None:
            self.clock.advance(1_000_000)
        self.journal = journal or testing.MemoryJournal(self.clock, epoch="E")
        self.connector = FakeConnector()
        types = Types("iotgw.none", self.clock, [HttpType], self.connector)
        self.memory = testing.MemoryEvents()
        self.service = DeliveryService(
            self.journal,
            types,
            self.clock,
            self.memory,
            lambda id_: "src",
            self._queue,
            data_dir=data_dir,
            debug=debug,
        )
        self.service.start()
        spec.setdefault("retry", RetrySpec(initial=1.0, multiplier=1.0, cap=1.0, max_attempts=3))
        configuration = {"url": "http://h/", **(configuration or {})}
        self.spec = IntegrationSpec(name="one", type="http", configuration=configuration, **spec)
        self.service.apply("i1", "one", "default", self.spec)
        self.requests = []
        self._transports = []

    async def _queue(self, tenant, device, spec):
        await self.gate.passed()
        self.downlinks.append((device, spec.msg))

    def store(self, *bodies, device="d1", how=None):
        """Store a record per body (values, or a whole body), and deliver what can be delivered."""
        new = []
        for n, said in enumerate(bodies):
            body = said if isinstance(said, bytes) else document(said, device)
            seq = self.journal.head + 1 + n
            new.append(
                telemetry(seq, device, received_ms=int(self.clock.seconds() * 1000), body=body, **(how or {}))
            )
        self.journal.put(new)
        self.service.feed(new)
        self.go()
        return [record.seq for record in new]

    def go(self, seconds=0):
        """Answer requests, over and over, while time passes."""
        for _ in range(1 + int(seconds)):
            self.clock.advance(1 if seconds else 0)
            while self._answer():
                self.clock.advance(0)

    def _answer(self):
        for endpoint in self.connector.endpoints.values():
            while endpoint.attempts:
                self._transports.append(endpoint.accept())
        some = False
        for transport in self._transports:
            head, _, body = transport.value().partition(b"\r\n\r\n")
            if not head:
                continue
            transport.clear()
            some = True
            self.requests.append((head.decode(), body))
            said = self.says(head.decode(), body)
            status, text = said if isinstance(said, tuple) else (said, b"")
            text = text if isinstance(text, bytes) else json.dumps(text).encode()
            transport.protocol.dataReceived(
                b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(text), text)
            )
        return some

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
        """Errors of dead letters by position."""
        found = []
        self.service.dead_letters("i1").addCallback(found.extend)
        return {parked.record.seq: parked.error for parked in found}


def document(values, device="d1"):
    """A record's body with one reading."""
    return json.dumps({
        "deviceName": device, "deviceType": "default", "attributes": {},
        "telemetry": [{"ts": 1000, "values": values}],
    }).encode()  # fmt: skip
