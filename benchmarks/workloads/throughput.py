"""A: CoAP CON POST → durable 2.04.  B: → JavaScript → MQTT QoS 1.  C: → JavaScript → HTTP. Closed loop."""

from __future__ import annotations

from functools import partial

from harness.contestants import INTAKE, TO_HTTP, TO_MQTT, Contestant
from harness.measure import closed_loop
from harness.plan import Plan

from workloads import Entry, Workload


def _entries(contestants: tuple[Contestant, ...], delivers: bool, plan: Plan) -> list[Entry]:
    return [
        Entry(each.name, partial(closed_loop, each, delivers=delivers), each.missing) for each in contestants
    ]


A = Workload("A", "CoAP CON POST to 2.04", partial(_entries, INTAKE, False))
B = Workload("B", "CoAP → JavaScript → MQTT QoS 1", partial(_entries, TO_MQTT, True))
C = Workload("C", "CoAP → JavaScript → HTTP", partial(_entries, TO_HTTP, True))
