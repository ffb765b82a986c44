"""L: workload B while nobody looks, and while three people look on, one of whom never reads."""

from __future__ import annotations

from functools import partial

from harness.contestants import MQTT, Contestant
from harness.measure import closed_loop
from harness.onlookers import watched

from workloads import Entry, Workload

READERS, RATE = 3, 50
"""How many look on, and how many events a second each asks for."""

L = Workload(
    "L",
    "workload B, looked at",
    lambda plan: [
        Entry(name, partial(closed_loop, Contestant(name, start, str, durable=True), delivers=True))
        for name, start in (("iotgw", MQTT), ("iotgw, looked at", watched(READERS, RATE)))
    ],
)
