"""What a part of a split message costs beside a message of its own: CPU time of delivery and formatting, in process.

    python benchmarks/fanout.py [--rounds 9] [--profile]

Both ways hand the same number of documents to a target like ``mqtt``, up to 64 at once, which formats and frames each and takes them all: messages of
one value each, and messages of four values with ``split: value``. No network is in it, which would cost the same both ways and hide what is measured. The ways take turns, and a ratio is of two neighbours, so that a machine that gets slower hits both. Printed
are microseconds per document, the least of all rounds, and the median of the ratios with its range. The bar is 1.2.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import statistics
import sys
import time
from pathlib import Path

from twisted.internet.defer import succeed
from twisted.internet.task import Clock

sys.path.insert(0, str(Path(__file__).parents[1]))

from iotgw import testing
from iotgw.core.epochs import Epochs
from iotgw.core.parts import PartEpochs
from iotgw.core.specs import IntegrationSpec
from iotgw.core.types import Types
from iotgw.core.verdict import DELIVERED
from iotgw.delivery.service import DeliveryService
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.payload import formatter
from iotgw.testing import telemetry
from iotgw.testing.integrations import FakeSettings
from iotgw.wire import mqtt

DOCUMENTS = 8000
VALUES = 4
"""Of a message that is split."""
WINDOW = 64
FORMATS = ("standard", "template", "line-protocol", "senml", "ngsi-ld", "cloudevents", "openmetrics")
BAR = 1.2


def body(device: str, number: int, values: int) -> bytes:
    """A message of so many values, as converters make it."""
    return json.dumps(
        {"deviceName": device, "deviceType": "default", "attributes": {},
         "telemetry": [{"ts": 1_700_000_000_000 + number, "values": {f"k{n}": number + n / 10 for n in range(values)}}]},
        separators=(",", ":"),
    ).encode()  # fmt: skip


class Target:
    """Formats and frames what it is sent, and takes it."""

    whole = False
    capacity = max_batch = WINDOW

    def __init__(self) -> None:
        self.make = None
        self.made = 0
        self._session = mqtt.MqttSession(mqtt.V311)

    def start(self):
        return succeed(None)

    def stop(self):
        return succeed(None)

    def status(self):
        return {"state": "connected"}

    def send(self, records, settle):
        """See `IIntegration.send`."""
        make, session = self.make, self._session
        ids = [session.publish(b"iotgw/telemetry", make(record))[0] for record in records]
        for id_ in ids:
            session.receive(b"\x40\x02" + id_.to_bytes(2, "big"))
        self.made += len(records)
        settle([record.seq for record in records], DELIVERED)


class TargetType:
    """Its type."""

    name = "fake"
    settings = FakeSettings

    def __init__(self, reactor=None) -> None:
        self.target = Target()

    def build(self, settings, context):
        """See `IIntegrationType.build`."""
        return self.target


def deliver(split: str, format_: str, profile: cProfile.Profile | None = None) -> float:
    """Microseconds of CPU time per document."""
    clock = Clock()
    clock.advance(1_000_000)
    journal = testing.MemoryJournal(clock, epoch="E")
    type_ = TargetType()
    target = type_.target
    types = Types("none", clock, [lambda reactor: type_])
    service = DeliveryService(journal, types, clock, testing.MemoryEvents(), str)
    service.start()
    spec = IntegrationSpec(
        name="one", type="fake", configuration={}, split=split, format=format_, template="{{ values | tojson }}",
    )  # fmt: skip
    service.apply("i1", "one", "default", spec)
    epochs = Epochs("E")
    names = RecordNames(epochs if split == "device" else PartEpochs(epochs, split), str)
    target.make = formatter(spec, names)
    values = 1 if split == "device" else VALUES
    count = DOCUMENTS // values
    records = []
    for number in range(1, count + 1):
        device = f"d{number % 500}"
        records.append(telemetry(number, device, received_ms=10**9, body=body(device, number, values)))
    journal.put(records)
    if profile is not None:
        profile.enable()
    begin = time.process_time()
    for at in range(0, count, WINDOW):
        service.feed(records[at : at + WINDOW])
        clock.advance(0)
    while target.made < DOCUMENTS:
        clock.advance(0.01)
    spent = time.process_time() - begin
    if profile is not None:
        profile.disable()
    return spent / DOCUMENTS * 1e6


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--profile", action="store_true", help="print where the parts' time goes instead")
    options = parser.parse_args()
    if options.profile:
        profile = cProfile.Profile()
        deliver("value", "standard", profile)
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        return
    for format_ in FORMATS:
        deliver("device", format_), deliver("value", format_)
        pairs = [(deliver("device", format_), deliver("value", format_)) for _ in range(options.rounds)]
        ratios = sorted(parts / messages for messages, parts in pairs)
        messages, parts = (min(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(ratios)
        print(
            f"{format_}: message {messages:.2f} µs, part {parts:.2f} µs at the least ({parts / messages:.3f}); "
            f"ratio {ratio:.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f}), "
            f"bar {BAR}: {'reached' if ratio <= BAR else 'missed'}"
        )


if __name__ == "__main__":
    main()
