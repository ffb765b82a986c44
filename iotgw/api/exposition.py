"""Figures as Prometheus reads them (text exposition format 0.0.4), and those of the process itself.

A client library would write the same text in three and a half times the time (docs/dependencies.md), during which the reactor does nothing else.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

from iotgw.api.metric_table import METRICS, Metric
from iotgw.core.histogram import Histogram

LINES = 500
"""Lines that are written before the reactor may do other work."""
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Exposition:
    """Collects samples by metric; `text` renders them, each metric's samples together as the format asks.

    Samples of a metric with the same labels are put together: they are added up, or the largest counts.
    """

    def __init__(self) -> None:
        self._samples: dict[str, dict[tuple[str, ...], float]] = {}
        self._histograms: dict[str, dict[tuple[str, ...], Histogram]] = {}

    def add(self, name: str, value: float | None, *labels: str) -> None:
        """A sample of a metric of the table, with its labels' values in the table's order; None leaves it out."""
        if value is None:
            return
        metric = METRICS[name]
        assert len(labels) == len(metric.labels), (name, labels)
        samples = self._samples.setdefault(name, {})
        before = samples.get(labels)
        if before is not None:
            value = max(before, value) if metric.largest else before + value
        samples[labels] = value

    def histogram(self, name: str, histogram: Histogram, *labels: str) -> None:
        """What a histogram has counted."""
        histograms = self._histograms.setdefault(name, {})
        if labels not in histograms:
            histograms[labels] = Histogram(histogram.bounds)
        histograms[labels].merge(histogram)

    def text(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """All of it, some hundred lines at a time."""
        lines: list[str] = []
        for line in self._lines():
            lines.append(line)
            if len(lines) == LINES:
                yield _joined(lines)
                lines = []
        yield _joined(lines)

    def _lines(self) -> Iterator[str]:
        for name, samples in self._samples.items():
            metric = METRICS[name]
            yield from _head(metric)
            for labels, value in samples.items():
                yield f"{name}{_labels(metric, labels)} {value}"
        for name, histograms in self._histograms.items():
            metric = METRICS[name]
            yield from _head(metric)
            for labels, histogram in histograms.items():
                yield from _buckets(metric, labels, histogram)


def _joined(lines: list[str]) -> bytes:
    return "".join([f"{line}\n" for line in lines]).encode()


def process(exposition: Exposition, started: float) -> None:
    """The process's own figures, by the names that Prometheus clients agree on. ``started`` in seconds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    exposition.add("process_cpu_seconds_total", usage.ru_utime + usage.ru_stime)
    exposition.add("process_start_time_seconds", started)
    exposition.add("process_max_fds", resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        open_files = len(os.listdir("/proc/self/fd"))
    except OSError:  # no /proc: not Linux, or not mounted
        return
    exposition.add("process_resident_memory_bytes", pages * resource.getpagesize())
    exposition.add("process_open_fds", open_files)


def _head(metric: Metric) -> list[str]:
    return [f"# HELP {metric.name} {metric.about}", f"# TYPE {metric.name} {metric.type}"]


def _labels(metric: Metric, labels: tuple[str, ...], more: str = "") -> str:
    """Labels in braces; one without a value is left out, which means the same to Prometheus."""
    pairs = zip(metric.labels, labels, strict=True)
    shown = ",".join(
        [f'{label}="{_escaped(text)}"' for label, text in pairs if text] + ([more] if more else [])
    )
    return f"{{{shown}}}" if shown else ""


def _buckets(metric: Metric, labels: tuple[str, ...], histogram: Histogram) -> list[str]:
    lines, total = [], 0
    for bound, count in zip((*histogram.bounds, "+Inf"), histogram.counts, strict=True):
        total += count
        within = f'le="{bound}"'
        lines.append(f"{metric.name}_bucket{_labels(metric, labels, within)} {total}")
    shown = _labels(metric, labels)
    return [
        *lines,
        f"{metric.name}_sum{shown} {histogram.sum_ms / 1000}",
        f"{metric.name}_count{shown} {total}",
    ]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
