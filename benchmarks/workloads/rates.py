"""J: what a message costs when messages come singly: open loop at fixed rates, CoAP → JavaScript → MQTT, beside libcoap's server under load."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from harness.contestants import INTAKE, MQTT
from harness.gateway import Gateway
from harness.measure import SEQUENCES, Sample, answered, closed_loop
from harness.plan import Plan
from harness.tools import Sink, load

from workloads import Entry, Workload

UNIT = next(each for each in INTAKE if each.name == "libcoap")
"""Whose cost of a message under load is the unit."""


def paced(program: Gateway, port: int, folder: Path, sink: Sink, plan: Plan, rate: float) -> Sample:
    """Load a gateway at a rate (messages a second, Poisson), until the sink has it all. The gateway's devices are new."""
    common = [
        "-p",
        port,
        "-u",
        "i/key",
        "-n",
        plan.devices,
        "--sequences",
        SEQUENCES,
        "--rate",
        rate,
        "--poisson",
    ]
    warm = load("coapload", *common, "-t", plan.warm_up, "--base", plan.devices)
    before = sink.drained(warm["answered"])
    cpu, acked = program.cpu(), folder / "acked"
    report = load("coapload", *common, "-t", 2 * plan.seconds, "--acked", acked)
    after = sink.drained(before["unique"] + report["answered"])
    return answered(report) | {
        "cpu_us": 1e6 * (program.cpu() - cpu) / max(1, after["unique"] - before["unique"]),
        "delay_ms": after["delay_ms"],
        "missing": sink.missing(acked),
        "duplicates": after["duplicates"] - before["duplicates"],
        "rss_mib": program.rss(),
    }


def _at(plan: Plan, rate: int) -> Sample:
    with (
        tempfile.TemporaryDirectory(prefix="iotgw-bench-") as name,
        Sink(2 * plan.devices, SEQUENCES) as sink,
    ):
        started = MQTT(Path(name), sink)
        assert isinstance(started.program, Gateway)
        with started.program as program:
            return paced(program, started.port, Path(name), sink, plan, rate)


def _entries(plan: Plan) -> list[Entry]:
    return [
        Entry(UNIT.name, partial(closed_loop, UNIT, delivers=False), UNIT.missing),
        *(Entry(f"iotgw {rate}/s", partial(_at, rate=rate)) for rate in plan.rates),
    ]


J = Workload("J", "open loop at fixed rates", _entries)
