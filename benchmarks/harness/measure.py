"""One closed-loop measurement of one contestant, from a fresh start to the last message at the sink."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from harness.contestants import Contestant, Started
from harness.plan import Plan
from harness.tools import Sink, load

Sample = dict[str, Any]
SEQUENCES = 65536


def closed_loop(contestant: Contestant, plan: Plan, delivers: bool) -> Sample:
    """Start, warm up, load for ``plan.seconds``, wait until the sink has it all, count and weigh."""
    with tempfile.TemporaryDirectory(prefix="iotgw-bench-") as name:
        folder = Path(name)
        if not delivers:
            started = contestant.start(folder, None)
            with started.program:
                return loaded(started, plan, folder, None)
        with Sink(2 * plan.devices, SEQUENCES) as sink:
            started = contestant.start(folder, sink)
            with started.program:
                return loaded(started, plan, folder, sink)


def loaded(started: Started, plan: Plan, folder: Path, sink: Sink | None) -> Sample:
    """Load a contestant that runs already; its devices are 0 … n, those of the warm-up n … 2n."""
    common = ["-p", started.port, "-u", started.path, "-m", started.method]
    common += ["-n", plan.devices, "-w", plan.window, "--sequences", SEQUENCES]
    warm = load("coapload", *common, "-t", plan.warm_up, "--base", plan.devices)
    before = sink.drained(warm["answered"]) if sink else {"unique": 0, "duplicates": 0}
    cpu = started.program.cpu()
    acked = folder / "acked"
    report = load("coapload", *common, "-t", plan.seconds, "--acked", acked)
    sample = answered(report)
    if sink is None:
        sample["cpu_us"] = 1e6 * (started.program.cpu() - cpu) / max(1, report["answered"])
    else:
        after = sink.drained(before["unique"] + report["answered"])
        sample["cpu_us"] = 1e6 * (started.program.cpu() - cpu) / max(1, after["unique"] - before["unique"])
        sample |= arrived(report, before, after)
        sample["missing"] = sink.missing(acked)
    sample["rss_mib"] = started.program.rss()
    return sample


def answered(report: Sample) -> Sample:
    """What a loader's report says, in the names of the tables."""
    failures = ("client_errors", "server_errors", "resets", "timeouts", "unanswered")
    return {
        "messages": report["answered"],
        "rate": report["rate"],
        "ack_ms": report["ms"],
        "unanswered": sum(report[key] for key in failures),
        "retransmits": report["retransmits"],
        "loader_cpu": report["own_cpu"],
    }


def arrived(report: Sample, before: Sample, after: Sample) -> Sample:
    """What the sink saw of a load; the rate counts until the last message was there."""
    unique = after["unique"] - before["unique"]
    seconds = max(report["seconds"], (after["last_us"] - report["started_us"]) / 1e6)
    return {
        "rate": unique / seconds,
        "ack_rate": report["rate"],
        "duplicates": after["duplicates"] - before["duplicates"],
        "delay_ms": after["delay_ms"],
    }


def middle(samples: Iterable[Sample], key: str) -> float:
    """The median of a figure; ``a/b`` reaches into a nested one. NaN without samples."""
    values = [value for sample in samples if (value := reach(sample, key)) is not None]
    return median(values) if values else math.nan


def reach(sample: Sample, key: str) -> float | None:
    """A figure of a sample."""
    value: Any = sample
    for part in key.split("/"):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def exponent(points: Iterable[tuple[float, float]]) -> float:
    """b of the least-squares fit y = a·x^b."""
    logs = [(math.log(x), math.log(y)) for x, y in points if x > 0 and y > 0]
    if len(logs) < 2:
        return math.nan
    mean_x = sum(x for x, _ in logs) / len(logs)
    mean_y = sum(y for _, y in logs) / len(logs)
    spread = sum((x - mean_x) ** 2 for x, _ in logs)
    return sum((x - mean_x) * (y - mean_y) for x, y in logs) / spread if spread else math.nan
