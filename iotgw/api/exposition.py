"""Figures as Prometheus reads them (text exposition format 0.0.4), and those of the process itself.

A client library would write the same text in three and a half times the time (docs/dependencies.md), during which the reactor does nothing else.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from iotgw.api.metric_table import METRICS, Metric
from iotgw.core.histogram import Histogram

PIECE = 256 << 10
"""Characters that are written before the reactor may do other work: that takes some milliseconds."""
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
        """All of it, about `PIECE` at a time."""
        lines: list[str] = []
        size = 0
        for line in self._lines():
            lines.append(line)
            size += len(line)
            if size >= PIECE:
                yield "".join(lines).encode()
                lines, size = [], 0
        yield "".join(lines).encode()

    def _lines(self) -> Iterator[str]:
        """A metric's head, a sample, or a histogram at a time."""
        escaped = _Escaped()
        for name, samples in self._samples.items():
            metric = METRICS[name]
            yield _head(metric)
            line = f"{name}{_braces(metric.labels)} %s\n"
            for labels, value in samples.items():
                if all(labels):
                    yield line % (*map(escaped.__getitem__, labels), value)
                else:
                    yield f"{name}{_filled(metric.labels, labels, escaped)} {value}\n"
        for name, histograms in self._histograms.items():
            metric = METRICS[name]
            yield _head(metric)
            for labels, histogram in histograms.items():
                yield _shown(metric, labels, histogram, escaped)


class _Escaped(dict[str, str]):
    """Values of labels as they stand between quotes. Each is in many lines."""

    def __missing__(self, text: str) -> str:
        self[text] = escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return escaped


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


def _head(metric: Metric) -> str:
    return f"# HELP {metric.name} {metric.about}\n# TYPE {metric.name} {metric.type}\n"


def _braces(labels: Sequence[str]) -> str:
    """Labels in braces, with a place for each value."""
    shown = ",".join([f'{label}="%s"' for label in labels])
    return f"{{{shown}}}" if shown else ""


def _filled(labels: Sequence[str], values: Sequence[str], escaped: _Escaped) -> str:
    """Labels in braces with their values; one without a value is left out, which means the same to Prometheus."""
    said = [(label, escaped[text]) for label, text in zip(labels, values, strict=True) if text]
    return _braces([label for label, _ in said]) % tuple(text for _, text in said)


def _shown(metric: Metric, labels: Sequence[str], histogram: Histogram, escaped: _Escaped) -> str:
    name, shown = metric.name, _filled(metric.labels, labels, escaped)
    begin = f"{name}_bucket{shown[:-1]}," if shown else f"{name}_bucket{{"
    bounds = zip((*histogram.bounds, "+Inf"), accumulate(histogram.counts), strict=True)
    buckets = "".join([f'{begin}le="{bound}"}} {total}\n' for bound, total in bounds])
    return f"{buckets}{name}_sum{shown} {histogram.sum_ms / 1000}\n{name}_count{shown} {histogram.count}\n"
