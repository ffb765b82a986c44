"""E: open loop at half of capacity for ten minutes: the tail of the acknowledgement, the slope of memory."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from harness.contestants import MQTT
from harness.measure import SEQUENCES, Sample, answered, loaded
from harness.plan import Plan
from harness.tools import Load, Sink

from workloads import Entry, Workload

SETTLED = 60.0
"""Seconds after which memory is expected to be flat."""


def _tail(plan: Plan) -> Sample:
    with (
        tempfile.TemporaryDirectory(prefix="iotgw-bench-") as name,
        Sink(2 * plan.devices, SEQUENCES) as sink,
    ):
        started = MQTT(Path(name), sink)
        with started.program:
            rate = loaded(started, plan, Path(name), sink)["rate"] / 2
    with (
        tempfile.TemporaryDirectory(prefix="iotgw-bench-") as name,
        Sink(2 * plan.devices, SEQUENCES) as sink,
    ):
        started = MQTT(Path(name), sink)
        acked = Path(name) / "acked"
        with started.program as program:
            cpu, begin = program.cpu(), time.monotonic()
            load = Load(
                "coapload", "-p", started.port, "-u", started.path, "-n", plan.devices, "--sequences", SEQUENCES,
                "--rate", round(rate), "--poisson", "-t", plan.tail, "--acked", acked,
            )  # fmt: skip
            memory: list[tuple[float, float]] = []
            while load.running:
                memory.append((time.monotonic() - begin, program.rss()))
                time.sleep(min(2.0, plan.tail / 10))
            report = load.wait()
            after = sink.drained(report["answered"])
            return answered(report) | {
                "offered": rate,
                "cpu_us": 1e6 * (program.cpu() - cpu) / max(1, after["unique"]),
                "delay_ms": after["delay_ms"],
                "missing": sink.missing(acked),
                "duplicates": after["duplicates"],
                "rss_mib": program.rss(),
                "rss_mib_per_minute": 60
                * _slope([each for each in memory if each[0] > min(SETTLED, plan.tail / 10)]),
                "memory": memory,
            }


def _slope(points: list[tuple[float, float]]) -> float:
    if len(points) < 2:
        return 0.0
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread


E = Workload("E", "open loop at half of capacity", lambda plan: [Entry("iotgw", _tail)])
