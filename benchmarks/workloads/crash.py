"""F: ``kill -9`` of the whole gateway under load, and a restart over the same data."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from harness.contestants import MQTT
from harness.gateway import Gateway
from harness.measure import SEQUENCES, Sample, answered
from harness.plan import Plan
from harness.tools import Load, Sink

from workloads import Entry, Workload


def _crash(plan: Plan) -> Sample:
    with tempfile.TemporaryDirectory(prefix="iotgw-bench-") as name, Sink(plan.devices, SEQUENCES) as sink:
        folder = Path(name)
        started = MQTT(folder, sink)
        acked = folder / "acked"
        half = max(2.0, plan.seconds / 2)
        with started.program as first:
            load = Load(
                "coapload", "-p", started.port, "-u", started.path, "-n", plan.devices, "-w", plan.window,
                "--sequences", SEQUENCES, "-t", 3 * half, "--ack-timeout", 0.5, "--acked", acked,
            )  # fmt: skip
            time.sleep(half)
            before = sink.stats()["unique"]
            first.kill()
        begin = time.monotonic()
        with Gateway(folder) as second:
            restart = time.monotonic() - begin
            report = load.wait()
            after = sink.drained(report["answered"])
            return answered(report) | {
                "arrived_before": before,
                "restart_s": restart,
                "missing": sink.missing(acked),
                "duplicates": after["duplicates"],
                "rss_mib": second.rss(),
            }


F = Workload("F", "kill -9 under load", lambda plan: [Entry("iotgw", _crash)])
