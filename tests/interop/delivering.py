"""A delivery service on the real reactor, towards real targets."""

from twisted.internet import reactor
from twisted.internet.task import deferLater

from iotgw import testing
from iotgw.core.specs import IntegrationSpec, RetrySpec
from iotgw.core.types import Types
from iotgw.delivery.service import DeliveryService
from iotgw.integrations.http import HttpType
from iotgw.integrations.mqtt import MqttType
from iotgw.integrations.sftp import SftpType
from iotgw.integrations.thingsboard import ThingsBoardType
from iotgw.integrations.thingsboard_http import ThingsBoardHttpType
from iotgw.testing import telemetry as record
from tests.peers.patience import Patience

QUICK = RetrySpec(initial=0.05, multiplier=2.0, cap=0.5, max_attempts=4)


async def until(condition, seconds=20.0, what="the condition"):
    """Look again and again until ``condition()`` is true; the reactor goes on meanwhile."""
    patience = Patience(seconds)
    while not (result := condition()):
        assert not patience.is_over(), f"waited {patience} in vain for {what}"
        await deferLater(reactor, 0.02)
    return result


class Delivering:
    """One integration ``i1``; an async context manager."""

    def __init__(
        self,
        type_,
        journal=None,
        types=(MqttType, HttpType, SftpType, ThingsBoardType, ThingsBoardHttpType),
        debug=None,
        **spec,
    ):
        self.journal = journal or testing.MemoryJournal(epoch="E")
        self.events = testing.MemoryEvents()
        self.downlinks = []
        spec.setdefault("retry", QUICK)
        self.spec = IntegrationSpec(name="one", type=type_, **spec)
        self.service = DeliveryService(
            self.journal,
            Types("iotgw.none", reactor, types),
            reactor,
            self.events,
            lambda id_: "my-source",
            downlink=lambda *item: self.downlinks.append(item),
            debug=debug,
        )

    async def __aenter__(self):
        self.service.start()
        await self.service.apply("i1", "one", "default", self.spec)
        return self

    async def __aexit__(self, *exc):
        await self.service.stop()

    def store(self, *devices, **how):
        how.setdefault("received_ms", int(reactor.seconds() * 1000))
        new = [record(self.journal.head + 1 + n, device, **how) for n, device in enumerate(devices)]
        self.journal.put(new)
        self.service.feed(new)
        return [r.seq for r in new]

    def stats(self):
        stats = self.service.stats("i1")
        assert stats["balanced"], stats
        return stats

    async def settled(self, seconds=20.0):
        """Nothing waits any more."""

        def done():
            stats = self.stats()
            return not stats["waiting"] and not stats["inflight"]

        try:
            await until(done, seconds)
        except AssertionError:
            raise AssertionError(f"still waiting: {self.stats()}") from None
        return self.stats()


def per_device(numbers_of_devices):
    """``(device, n)`` pairs as dict of device → its numbers, first arrivals only."""
    found = {}
    for device, number in numbers_of_devices:
        line = found.setdefault(device, [])
        if number not in line:
            line.append(number)
    return found


def numbers(documents):
    """Of standard documents made by `record`: ``(device, n)`` pairs."""
    return [(doc["deviceName"], doc["telemetry"][0]["values"]["n"]) for doc in documents]
