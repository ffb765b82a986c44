"""I: what a message costs as devices, datasources, integrations and queued messages grow."""

from __future__ import annotations

import socket
import tempfile
from functools import partial
from pathlib import Path

from harness.gateway import Gateway
from harness.measure import Sample, answered
from harness.plan import Plan
from harness.processes import free_port, wait_until
from harness.tools import Sink, load

from workloads import Entry, Workload

SEQUENCES = 4096
SECOND = SEQUENCES // 2
"""First sequence of the measured run; the run before makes the devices known and fills the queue."""

BACK_OFF = 330.0
"""Seconds: a client that was refused for long waits up to five minutes before it looks again."""


def _settled(program: Gateway, messages: int) -> None:
    """Wait until every message is converted, and what it changed of its device is written."""

    def converted() -> bool:
        counts = [each["counts"] for each in program.api("GET", "/status")["datasources"]]
        return sum(each["converted"] + each["filtered"] + each["failed"] for each in counts) >= messages

    wait_until(converted, 600, f"the conversion of {messages} messages", lambda: program.alive)
    program.api("GET", "/devices?limit=1")  # reads after what waits to be written


def _point(
    plan: Plan, devices: int = 500, datasources: int = 1, integrations: int = 1, queued: int | None = None
) -> Sample:
    """What a message costs in a gateway of this size. With ``queued``, the target is away and that many
    messages wait for it already; then it comes back, and the drain is weighed too."""
    with tempfile.TemporaryDirectory(prefix="iotgw-bench-") as name, Sink(devices, SEQUENCES) as sink:
        folder, port = Path(name), free_port(socket.SOCK_DGRAM)
        with Gateway(folder) as program:
            program.converter()
            for i in range(datasources):
                program.coap(port, f"key{i}")
            for i in range(integrations):
                program.mqtt(sink.mqtt, f"mqtt {i}")
            common = ["-p", port, "-u", f"i/key{{id%{datasources}}}", "-n", devices, "-w", plan.window]
            common += ["--spread", "--sequences", SEQUENCES, "-t", 900]
            if queued is not None:
                sink.away()
            sent = load("coapload", *common, "-c", max(devices, queued or 0, 1000))["answered"]
            _settled(program, sent)
            if queued is None:
                sink.drained(sent * integrations, "readings")
            cpu = program.cpu()
            report = load("coapload", *common, "-c", plan.scaling_messages, "--first", SECOND)
            sent += report["answered"]
            _settled(program, sent)
            if queued is None:
                after = sink.drained(sent * integrations, "readings")
            spent = program.cpu() - cpu
            sample = answered(report) | {"cpu_us": 1e6 * spent / report["answered"], "rss_mib": program.rss()}
            if queued is not None:
                cpu = program.cpu()
                sink.back()
                after = sink.drained(sent, silence=BACK_OFF)
                sample["drain_cpu_us"] = 1e6 * (program.cpu() - cpu) / sent
                sample["drain_rate"] = after["rate"]
            return sample | {
                "missing": sent - after["unique"],
                "duplicates": after["duplicates"] - (integrations - 1) * sent,
            }


def _entries(plan: Plan) -> list[Entry]:
    return [
        *(Entry(f"devices {n}", partial(_point, devices=n)) for n in plan.device_counts),
        *(Entry(f"datasources {n}", partial(_point, datasources=n)) for n in plan.datasource_counts),
        *(Entry(f"integrations {n}", partial(_point, integrations=n)) for n in plan.integration_counts),
        *(Entry(f"queued {n}", partial(_point, queued=n)) for n in plan.queue_depths),
    ]


SCALING = Workload("I", "cost against size", _entries)
