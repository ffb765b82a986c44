"""D: the target is away for half a minute under a steady load, and comes back."""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path

from harness.contestants import HTTP, TO_MQTT, Contestant
from harness.measure import SEQUENCES, Sample, answered
from harness.plan import Plan
from harness.tools import Load, Sink

from workloads import Entry, Workload

LEAD = 5.0
"""Seconds of load before the target goes away, and after it is back."""


def _outage(contestant: Contestant, plan: Plan) -> Sample:
    lead = min(LEAD, plan.outage)
    with tempfile.TemporaryDirectory(prefix="iotgw-bench-") as name, Sink(plan.devices, SEQUENCES) as sink:
        started = contestant.start(Path(name), sink)
        acked = Path(name) / "acked"
        with started.program as program:
            load = Load(
                "coapload", "-p", started.port, "-u", started.path, "-n", plan.devices, "--sequences", SEQUENCES,
                "--rate", plan.outage_rate, "-t", plan.outage + 2 * lead, "--acked", acked,
            )  # fmt: skip
            time.sleep(lead)
            sink.away()
            time.sleep(plan.outage)
            sink.back()
            back = time.monotonic()
            behind = sink.stats()["unique"]
            report = load.wait()
            # a client may back off for a minute before it looks again
            after = sink.drained(report["answered"], silence=2 * plan.outage)
            caught_up = time.monotonic() - back
            return answered(report) | {
                "queued": round(plan.outage * plan.outage_rate),
                "arrived_before": behind,
                "caught_up_s": caught_up,
                "missing": sink.missing(acked),
                "duplicates": after["duplicates"],
                "rss_mib": program.rss(),
            }


def _entries(plan: Plan) -> list[Entry]:
    over_http = Contestant("iotgw, HTTP", HTTP, lambda: "", durable=True)
    contestants = [*TO_MQTT[:1], over_http, *TO_MQTT[1:3]]
    return [Entry(each.name, partial(_outage, each), each.missing) for each in contestants]


D = Workload("D", "the target is away and comes back", _entries)
