"""What the Python of a CoAP uplink costs: ``python benchmarks/intake.py [--rounds 9]``.

From a datagram to the journal, and from the commit to the 2.04, in this process: no socket, no disk. Requests are those of 500
devices, 64 under way at once, as in workload A. Printed is the least CPU time of all rounds, per message; to compare two revisions,
run it in both, in turns.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections import Counter
from collections.abc import Hashable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet.task import Clock

sys.path.insert(0, str(Path(__file__).parents[1]))

from iotgw.core.clock import Calendar, Stretch
from iotgw.core.epochs import Epochs
from iotgw.core.model import StoredUplink, Uplink
from iotgw.core.specs import DatasourceSpec
from iotgw.datasources.coap.datasource import describe_udp
from iotgw.datasources.coap.uplink import UplinkResource
from iotgw.pipeline.admission import Admission
from iotgw.pipeline.intake import Intake
from iotgw.pipeline.replies import Replies
from iotgw.pipeline.sources import Source
from iotgw.store.group import Group
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.endpoint import Endpoint
from iotgw.wire.coap.message import encode, options, uri_options
from iotgw.wire.coap.site import Site
from iotgw.wire.coap.timing import DEFAULT_POLICY

DEVICES = 500
WINDOW = 64
MESSAGES = WINDOW * 3000


class Journal:
    """Takes uplinks, and writes none."""

    epochs = Epochs("abcdef0123")
    room = True

    def __init__(self) -> None:
        self.last, self.group = 0, Group()

    def append(self, uplink: Uplink, token: Any) -> int:
        """See `IJournal.append`."""
        self.last += 1
        self.group.append(StoredUplink(self.last, uplink), token)
        return self.last


def spine() -> tuple[Endpoint, Journal, Replies, Counter[int]]:
    """An endpoint with one datasource, what answers when a group is durable, and the codes of the answers."""
    calendar = Calendar(time.monotonic)
    calendar.put(Stretch(0, 0))
    journal = Journal()
    source = Source("ds1", "default", DatasourceSpec(name="meters", type="coap"))
    delivery: Any = SimpleNamespace(room=lambda: True)
    admission = Admission(journal, delivery, Clock(), 1 << 20, 1 << 16)  # type: ignore[arg-type]
    downlinks: Any = SimpleNamespace(waited_for=lambda tenant: ())
    nobody: Any = None
    intake = Intake(source, journal, admission, nobody, downlinks, nobody, calendar, Clock(), nobody)  # type: ignore[arg-type]
    context: Any = SimpleNamespace(intake=intake, date_ms=calendar.now_ms, name="meters", reactor=Clock())
    site = Site()
    site.add(("i", "key"), UplinkResource(context, DEFAULT_POLICY, describe_udp, lambda: None))
    answers: Counter[int] = Counter()

    def send(data: bytes, remote: Hashable) -> None:
        answers[data[1]] += 1

    endpoint = Endpoint(site, send, time.monotonic)
    return endpoint, journal, Replies({"ds1": source}, journal, downlinks, Clock()), answers  # type: ignore[arg-type]


def once() -> float:
    """Microseconds of CPU per message."""
    endpoint, journal, replies, answers = spine()
    opts = options(*uri_options("i/key"), (n.CONTENT_FORMAT, n.OCTET_STREAM))
    datagrams = [
        encode(n.CON, n.POST, i // DEVICES & 0xFFFF, b"abcd", opts, b"x" * 24) for i in range(MESSAGES)
    ]
    peers = [("10.0.0.1", port) for port in range(DEVICES)]
    gc.collect()
    gc.freeze()
    gc.disable()
    begun = time.process_time()
    for start in range(0, MESSAGES, WINDOW):
        now = 1000.0 + start / 50_000
        for i in range(start, start + WINDOW):
            endpoint.datagram(datagrams[i], peers[i % DEVICES], now)
        group, journal.group = journal.group, Group()
        replies.stored("ds1", group.entries)
    spent = time.process_time() - begun
    gc.enable()
    gc.unfreeze()
    if answers != {n.CHANGED: MESSAGES}:
        raise SystemExit(f"expected {MESSAGES} answers 2.04, got {dict(answers)} by code")
    return spent / MESSAGES * 1e6


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    print(f"{min(once() for _ in range(options.rounds)):.2f} µs of CPU per message")


if __name__ == "__main__":
    main()
