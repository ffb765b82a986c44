"""What a run found: the tables, and the bars with what was reached."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from harness.measure import Sample, exponent, middle, reach
from harness.record import Record

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "performance.md"

COLUMNS = {
    "A": ("rate", "cpu_us", "ack_ms/p50", "ack_ms/p99", "ack_ms/p99.9", "rss_mib", "unanswered"),
    "B": ("rate", "cpu_us", "ack_ms/p50", "ack_ms/p99", "delay_ms/p99", "rss_mib", "missing", "duplicates"),
    "C": ("rate", "cpu_us", "ack_ms/p50", "ack_ms/p99", "delay_ms/p99", "rss_mib", "missing", "duplicates"),
    "D": ("messages", "queued", "caught_up_s", "ack_ms/p99", "missing", "duplicates", "rss_mib"),
    "E": ("offered", "cpu_us", "ack_ms/p50", "ack_ms/p99", "ack_ms/p99.9", "ack_ms/max", "rss_mib",
          "rss_mib_per_minute", "missing", "duplicates"),
    "F": ("messages", "restart_s", "retransmits", "missing", "duplicates"),
    "G": ("handshakes", "handshake_cpu_us", "rate", "cpu_us", "plain_cpu_us", "session_kb", "ack_ms/p99"),
    "H": ("rate", "cpu_us", "ack_ms/p50", "ack_ms/p99", "session_kb", "missing", "duplicates"),
    "I": ("rate", "cpu_us", "drain_cpu_us", "drain_rate", "rss_mib", "missing", "duplicates"),
    "J": ("rate", "cpu_us", "ack_ms/p50", "ack_ms/p99", "ack_ms/p99.9", "delay_ms/p99", "missing", "duplicates"),
    "K": ("rate", "cpu_us", "ack_ms/p50", "ack_ms/p99", "ack_ms/p99.9", "idle_mib", "pss_mib", "missing", "duplicates"),
    "L": ("rate", "cpu_us", "ack_ms/p50", "ack_ms/p99", "rss_mib", "missing", "duplicates"),
}  # fmt: skip

HEADINGS = {
    "rate": "msg/s", "cpu_us": "CPU µs/msg", "ack_ms/p50": "ACK p50 ms", "ack_ms/p99": "p99 ms",
    "ack_ms/p99.9": "p99.9 ms", "ack_ms/max": "max ms", "delay_ms/p99": "to target p99 ms", "rss_mib": "RSS MiB",
    "messages": "acknowledged", "queued": "queued", "caught_up_s": "caught up after s", "offered": "offered msg/s",
    "rss_mib_per_minute": "RSS MiB/min", "restart_s": "restart s", "handshakes": "handshakes/s",
    "handshake_cpu_us": "CPU µs/handshake", "plain_cpu_us": "plain CoAP µs", "session_kb": "kB/session",
    "drain_cpu_us": "drain CPU µs/msg", "drain_rate": "drain msg/s", "idle_mib": "idle PSS MiB", "pss_mib": "PSS MiB",
}  # fmt: skip


class Bar(NamedTuple):
    """A figure to reach. ``values`` are per round; the bar holds for their median."""

    workload: str
    text: str
    limit: str
    values: tuple[float, ...]
    reached: bool

    @property
    def value(self) -> float:
        """The median over the rounds."""
        return median(self.values) if self.values else math.nan


def table(letter: str, samples: list[Sample]) -> str:
    """The Markdown table of a workload: medians, and the range of rate and CPU."""
    columns = COLUMNS[letter]
    lines = [
        "| | " + " | ".join(HEADINGS.get(key, key) for key in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name in dict.fromkeys(sample["entry"] for sample in samples):
        mine = [sample for sample in samples if sample["entry"] == name]
        lines.append(f"| {name} | " + " | ".join(_cell(mine, key) for key in columns) + " |")
    return "\n".join(lines)


def _cell(samples: list[Sample], key: str) -> str:
    values = [value for sample in samples if (value := reach(sample, key)) is not None]
    if not values:
        return "–"
    if key in ("missing", "duplicates", "unanswered"):
        return str(sum(values))
    text = figure(median(values))
    if len(values) > 1 and key in ("rate", "cpu_us"):
        text += f" ({figure(min(values))}–{figure(max(values))})"
    return text


def figure(value: float) -> str:
    """Three digits, or all of them from a thousand on."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def ratios(samples: list[Sample], key: str, above: str, below: str) -> tuple[float, ...]:
    """A figure of one contestant over another's, paired by round."""
    figures = {(sample["entry"], sample["round"]): reach(sample, key) for sample in samples}
    found = []
    for (name, number), value in figures.items():
        other = figures.get((below, number))
        if name == above and value is not None and other:
            found.append(value / other)
    return tuple(found)


def bars(results: dict[str, list[Sample]]) -> list[Bar]:
    """Every bar for which there are samples."""
    found: list[Bar] = []

    def at_most(letter: str, text: str, limit: float, values: Iterable[float]) -> None:
        _judge(found, letter, text, f"≤ {limit:.3g}", tuple(values), lambda value: value <= limit)

    def at_least(letter: str, text: str, limit: float, values: Iterable[float]) -> None:
        _judge(found, letter, text, f"≥ {limit:.3g}", tuple(values), lambda value: value >= limit)

    def over(letter: str, key: str, other: str, mine: str = "iotgw") -> tuple[float, ...]:
        return ratios(results.get(letter, []), key, mine, other)

    def figures(letter: str, key: str, name: str = "") -> tuple[float, ...]:
        samples = [each for each in results.get(letter, []) if each["entry"].startswith(name)]
        return tuple(value for each in samples if (value := reach(each, key)) is not None)

    at_most("A", "CPU per message over libcoap's", 1.2, over("A", "cpu_us", "libcoap"))
    at_most("A", "CPU per message over txThings'", 1 / 7, over("A", "cpu_us", "txThings"))
    at_least("B", "rate over Node-RED's", 1.5, over("B", "rate", "Node-RED"))
    at_most("B", "CPU per message over Node-RED's", 0.55, over("B", "cpu_us", "Node-RED"))
    at_most("B", "CPU per message over the node pipeline's", 0.9, over("B", "cpu_us", "node pipeline"))
    at_least("B", "rate over the node pipeline's", 1.5, over("B", "rate", "node pipeline"))
    at_most("B", "CPU per message over the naive stack's", 1 / 6, over("B", "cpu_us", "naive Twisted"))
    at_most("C", "one POST each: CPU per message over Node-RED's", 1 / 5, over("C", "cpu_us", "Node-RED"))
    at_most(
        "C",
        "batches: CPU per message over Node-RED's",
        1 / 12,
        over("C", "cpu_us", "Node-RED", "iotgw, batches"),
    )
    for letter in "BCDEFHJKL":
        at_most(letter, "missing", 0, _total(figures(letter, "missing", "iotgw")))
    at_most("E", "99.9th percentile of the acknowledgement, ms", 50, figures("E", "ack_ms/p99.9"))
    at_most(
        "E", "growth of memory after the first minute, MiB per minute", 1, figures("E", "rss_mib_per_minute")
    )
    at_most("G", "CPU per record over plain CoAP's", 2.5, figures("G", "record_over_plain"))
    at_most("G", "kB per idle session", 72, figures("G", "session_kb"))
    for axis, text, limit in (
        ("devices", "devices", 1.15),
        ("datasources", "datasources", 1.25),
        ("queued", "queued messages", 1.2),
    ):
        at_most("I", f"cost from the fewest to the most {text}", limit, _growth(results.get("I", []), axis))
    at_most("I", "each further integration, µs", 4, _each_further(results.get("I", []), "integrations"))
    at_most("I", "missing", 0, _total(figures("I", "missing")))
    for rate, times in ((500, 6.0), (2000, 4.5), (5000, 3.0)):
        at_most(
            "J",
            f"{rate} a second: CPU per message over libcoap's under load",
            times,
            over("J", "cpu_us", "libcoap", f"iotgw {rate}/s"),
        )
        at_most(
            "J",
            f"{rate} a second: acknowledgement p99, ms",
            10,
            figures("J", "ack_ms/p99", f"iotgw {rate}/s"),
        )
        at_most(
            "J",
            f"{rate} a second: acknowledgement p99.9, ms",
            50,
            figures("J", "ack_ms/p99.9", f"iotgw {rate}/s"),
        )
    at_most("K", "memory of a gateway that rests, MiB", 70, figures("K", "idle_mib", "iotgw, one core"))
    at_most("K", "memory under B, MiB", 130, figures("K", "pss_mib", "iotgw, one core"))
    at_most(
        "L", "CPU per message while three look on", 1.05, over("L", "cpu_us", "iotgw", "iotgw, looked at")
    )
    return found


def _judge(
    found: list[Bar],
    letter: str,
    text: str,
    limit: str,
    values: tuple[float, ...],
    ok: Callable[[float], bool],
) -> None:
    if values:
        found.append(Bar(letter, text, limit, values, ok(median(values))))


def _total(values: tuple[float, ...]) -> tuple[float, ...]:
    return (sum(values),) if values else ()


def points(samples: list[Sample], axis: str, key: str = "cpu_us") -> list[tuple[int, float]]:
    """A curve of workload I: (size, median figure), by size."""
    sizes = {name: int(size) for name in {each["entry"] for each in samples} if (size := _size(name, axis))}
    return sorted(
        (size, middle([each for each in samples if each["entry"] == name], key))
        for name, size in sizes.items()
    )


def _size(name: str, axis: str) -> str:
    match = re.fullmatch(rf"{axis} (\d+)", name)
    return match[1] if match else ""


def _growth(samples: list[Sample], axis: str) -> tuple[float, ...]:
    """What a message costs at the end of a curve over what it costs at the beginning, by round."""
    curve = points(samples, axis)
    if len(curve) < 2:
        return ()
    return ratios(samples, "cpu_us", f"{axis} {curve[-1][0]}", f"{axis} {curve[0][0]}")


def _each_further(samples: list[Sample], axis: str) -> tuple[float, ...]:
    """Microseconds that a message costs more for each further one of a curve, by round."""
    curve = points(samples, axis)
    if len(curve) < 2:
        return ()
    (least, _), (most, _) = curve[0], curve[-1]
    costs = {(each["entry"], each["round"]): reach(each, "cpu_us") for each in samples}
    found = []
    for number in sorted({each["round"] for each in samples}):
        low, high = costs.get((f"{axis} {least}", number)), costs.get((f"{axis} {most}", number))
        if low is not None and high is not None:
            found.append((high - low) / (most - least))
    return tuple(found)


def curves(samples: list[Sample]) -> str:
    """The curves of workload I in words: the cost at both ends, and the exponent of a power law between."""
    lines = []
    for axis in ("devices", "datasources", "integrations", "queued"):
        curve = points(samples, axis)
        if len(curve) < 2:
            continue
        (least, low), (most, high) = curve[0], curve[-1]
        lines.append(
            f"- {axis} {least:,.0f} → {most:,.0f}: {low:.1f} → {high:.1f} µs per message, "
            f"exponent {exponent((max(x, 1), y) for x, y in curve):+.3f}"
        )
    return "\n".join(lines)


def bars_table(found: list[Bar]) -> str:
    """The bars in Markdown."""
    lines = ["| workload | figure | bar | median (range) | |", "|---|---|---|---|---|"]
    for bar in found:
        span = f" ({min(bar.values):.3g}–{max(bar.values):.3g})" if len(bar.values) > 1 else ""
        reached = "reached" if bar.reached else "**missed**"
        lines.append(f"| {bar.workload} | {bar.text} | {bar.limit} | {bar.value:.3g}{span} | {reached} |")
    return "\n".join(lines)


def text(record: Record, titles: dict[str, str]) -> str:
    """The whole report in Markdown."""
    parts = []
    if record.skipped:
        parts.append("Skipped: " + "; ".join(f"{name} ({why})" for name, why in record.skipped.items()) + ".")
    for letter, samples in record.results.items():
        runs = record.runs[letter]
        heading = "\n\n".join(_heading(run, samples, is_only=len(runs) == 1) for run in runs)
        parts.append(f"### {letter}. {titles[letter]}\n\n{heading}\n\n{table(letter, samples)}")
        if letter == "I":
            parts.append(curves(samples))
    parts.append("### Bars\n\n" + bars_table(bars(record.results)))
    return "\n\n".join(parts) + "\n"


def _heading(run: dict[str, Any], samples: list[Sample], is_only: bool) -> str:
    """Which run samples are of: rounds, commit, date, load, command, machine; and of which entries, if not of all."""
    rounds = len({each["round"] for each in samples if each["entry"] in run["entries"]})
    which = "" if is_only else f"{', '.join(run['entries'])}: "
    return which + heading(run, rounds)


def heading(run: dict[str, Any], rounds: int) -> str:
    """Which run this is: rounds, commit, date, load, command, machine."""
    machine = run["machine"]
    return (
        f"{rounds} round{'s' * (rounds > 1)} at {run['commit']}, {run['date']}, load average before "
        f"{run['load']}: `{run['command']}`  \n"
        f"on {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, Linux {machine['kernel']}, "
        f"Python {machine['python']}, {machine['openssl']}"
    )


def publish(name: str, tables: str) -> None:
    """Replace what stands between two marks in docs/performance.md."""
    before, begin, rest = DOCUMENT.read_text().partition(f"<!-- begin {name} -->\n")
    _, end, after = rest.partition(f"<!-- end {name} -->\n")
    DOCUMENT.write_text(f"{before}{begin}\n{tables.strip()}\n\n{end}{after}")
