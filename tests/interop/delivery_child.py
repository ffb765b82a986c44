"""A journal with deliveries to a target, in a process that can be killed:

    python -m tests.interop.delivery_child DIR INTEGRATION COUNT

``INTEGRATION`` is JSON with ``type`` and ``configuration``.

Each message of ``COUNT`` goes through the real journal; what a killed process left is gone on with. Prints
the accounts as JSON when everything is delivered.
"""

import json
import sys
from pathlib import Path

from twisted.internet import defer, reactor, task

from iotgw import testing
from iotgw.core.model import Outcome, Output, State, Uplink
from iotgw.core.specs import IntegrationSpec, RetrySpec
from iotgw.core.types import Types
from iotgw.delivery.service import DeliveryService
from iotgw.integrations.http import HttpType
from iotgw.integrations.mqtt import MqttType
from iotgw.integrations.sftp import SftpType
from iotgw.integrations.thingsboard import ThingsBoardType
from iotgw.store.sqlite.journal import Journal

DEVICES = 7


class Intake:
    def __init__(self, journal):
        self.journal = journal
        self.service = None
        self.durable = 0

    def storing(self, entries):
        pass

    def stored(self, entries):
        self.settle([stored for stored, _ in entries])

    def settle(self, uplinks):
        if not uplinks:
            return
        outcomes = []
        for stored in uplinks:
            n = int(stored.uplink.payload)
            name = f"dev-{n % DEVICES}"
            body = json.dumps(
                {"deviceName": name, "deviceType": "t", "attributes": {},
                 "telemetry": [{"ts": 1, "values": {"n": n}}]},
                separators=(",", ":"),
            ).encode()  # fmt: skip
            output = Output(name, "t", body)
            at = stored.uplink.received_ms
            outcomes.append(Outcome(stored.seq, State.CONVERTED, "c/1", (output,), received_ms=at))
        self.journal.settle("ds", uplinks[-1].seq, outcomes)

    def settled(self, outcomes, records):
        self.durable += len(records)
        if self.service is not None:
            self.service.feed(records)

    def refused(self, entries, reason):
        raise SystemExit(reason)

    def room_again(self):
        pass


async def main(directory, integration, count):
    journal = Journal(reactor, Path(directory) / "journal.db")
    intake = Intake(journal)
    await journal.start(intake)
    types = Types("iotgw.none", reactor, [HttpType, MqttType, SftpType, ThingsBoardType])
    service = DeliveryService(journal, types, reactor, testing.MemoryEvents(), lambda id_: "source")
    service.start()
    retry = RetrySpec(initial=0.05, cap=0.2)
    spec = IntegrationSpec(name="out", retry=retry, **integration)
    if not journal.integrations():
        await service.apply("out", "out", "default", spec)
    intake.service = service
    # what the last process stored and didn't convert
    cursor = journal.conversion_cursors().get("ds", 0)
    expected = 0
    while left := await journal.read_uplinks("ds", cursor, 500):
        intake.settle(left)
        cursor = left[-1].seq
        expected += len(left)
    if journal.integrations():
        await service.apply("out", "out", "default", spec)
    marker = Path(directory) / "sent"
    n = int(marker.read_text()) if marker.exists() else 0
    while n < count:
        marker.with_suffix(".new").write_text(str(n + 10))
        marker.with_suffix(".new").replace(marker)  # a number may be left out, none is used twice
        for number in range(n, min(n + 10, count)):
            expected += 1
            journal.append(
                Uplink("default", "ds", int(reactor.seconds() * 1000), b"%d" % number, b"{}"), None
            )
        n += 10
        await task.deferLater(reactor, 0.004)
    outbox = service.entry("out").outbox
    while True:
        stats = service.stats("out")
        if not stats["balanced"]:
            raise SystemExit(f"not balanced: {stats}")
        done = outbox.backlog.is_at_end and not stats["waiting"] and not stats["inflight"]
        if done and intake.durable == expected:  # the journal has nothing on its way either
            break
        await task.deferLater(reactor, 0.05)
    records = await journal.read_telemetry(0, 1_000_000)
    await service.stop()
    await journal.stop()
    print(
        json.dumps(
            {"stats": stats, "records": [json.loads(r.body)["telemetry"][0]["values"]["n"] for r in records]}
        )
    )


if __name__ == "__main__":
    task.react(lambda _: defer.ensureDeferred(main(sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]))))
