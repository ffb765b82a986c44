"""Figures as Prometheus reads them (text exposition format 0.0.4), and those of the process itself."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Exposition:
    """Collects samples by metric; `text` renders them, each metric's samples together as the format asks."""

    def __init__(self) -> None:
        self._metrics: dict[str, list[str]] = {}

    def counter(self, name: str, about: str, value: float | None, /, **labels: str) -> None:
        """A value that only grows; its name ends in ``_total``."""
        self._add("counter", name, about, value, labels)

    def gauge(self, name: str, about: str, value: float | None, /, **labels: str) -> None:
        """A value that goes up and down; None leaves it out."""
        self._add("gauge", name, about, value, labels)

    def _add(
        self,
        type_: Literal["counter", "gauge"],
        name: str,
        about: str,
        value: float | None,
        labels: dict[str, str],
    ) -> None:
        if value is None:
            return
        samples = self._metrics.setdefault(name, [f"# HELP {name} {about}", f"# TYPE {name} {type_}"])
        shown = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        samples.append(f"{name}{{{shown}}} {value}" if shown else f"{name} {value}")

    def text(self) -> bytes:
        """All of it."""
        return "".join(f"{line}\n" for lines in self._metrics.values() for line in lines).encode()


def process(exposition: Exposition, started: float) -> None:
    """The process's own figures, by the names that Prometheus clients agree on. ``started`` in seconds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    exposition.counter("process_cpu_seconds_total", "CPU time used", usage.ru_utime + usage.ru_stime)
    exposition.gauge("process_start_time_seconds", "When it started (Unix)", started)
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        open_files = len(os.listdir("/proc/self/fd"))
    except OSError:  # no /proc: not Linux, or not mounted
        return
    exposition.gauge("process_resident_memory_bytes", "Memory in use", pages * resource.getpagesize())
    exposition.gauge("process_open_fds", "Open files and sockets", open_files)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
