"""Looks at a running gateway while devices send: what the first page of each query takes, what holds up its reactor, and how much memory it has."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from harness.gateway import Gateway
from harness.processes import free_port
from harness.tools import Load, build

PAGE_MS, STALL_MS, READY_S, MEMORY_MB = 100.0, 50.0, 5.0, 500.0
"""What is aimed at: the 99th percentile of a first page, a stall of the reactor, a start, and the memory of the gateway with its workers."""
PAUSE = 0.05
"""Seconds between two requests."""


class Probe(threading.Thread):
    """Asks whether the gateway lives, every 5 ms; ``longest`` is the longest that took, in seconds."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port, self.longest, self.goes_on = port, 0.0, True

    def run(self) -> None:
        """Ask until it is told to end."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        while self.goes_on:
            began = time.perf_counter()
            connection.request("GET", "/health/live")
            connection.getresponse().read()
            self.longest = max(self.longest, time.perf_counter() - began)
            time.sleep(0.005)


Start = tuple[float, float]
"""Seconds from a start until the gateway is ready, and of its CPU until then."""


def started(folder: Path, settings: str = "") -> tuple[Gateway, Start]:
    """A gateway, and how its start was. ``settings`` is TOML, beside those that a new folder gets."""
    began = time.monotonic()
    gateway = Gateway(folder, settings=settings)
    return gateway, (time.monotonic() - began, _cpu(gateway.pid))


@contextmanager
def sending(port: int, rate: int, seconds: int, devices: int = 500) -> Iterator[None]:
    """Devices send so many uplinks a second to ``i/key`` meanwhile; what became of them is printed at the end."""
    if not rate:
        yield
        return
    build()
    load = Load(
        "coapload", "-p", port, "-u", "i/key", "-n", devices, "-w", 500, "--rate", rate, "-t", seconds
    )
    time.sleep(2)
    yield
    if not load.running:
        raise SystemExit("the load ended before the last query: give it more seconds")
    report = load.end()
    print({key: value for key, value in report.items() if isinstance(value, int | float)})


def span(queries: Mapping[str, str], rounds: int) -> int:
    """Seconds that looking at so many queries takes at most."""
    return int((len(queries) + 1) * rounds * 1.0) + 60


def look(
    gateway: Gateway, queries: Mapping[str, str], rounds: int, far: Callable[[dict[str, Any]], str]
) -> None:
    """Print a line for each query; ``far(answer)`` is what else is said of its answer. The first is without any. The CPU is
    the gateway's between two requests, so without load nearly what one costs."""
    print(
        f"{'query':24} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'cpu ms':>8} {'stall ms':>10} {'found':>6}"
    )
    for name, path in {"nobody asks": "", **queries}.items():
        cpu = _cpu(gateway.pid)
        times, answer, longest = measure(gateway, path, rounds)
        _show(name, times, answer, (_cpu(gateway.pid) - cpu) / rounds, longest, far(answer))


def measure(gateway: Gateway, path: str, rounds: int) -> tuple[list[float], dict[str, Any], float]:
    """The times of so many requests, the last answer, and the longest stall meanwhile."""
    token = (gateway.data / "admin-token").read_text().strip()
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port)
    probe = Probe(gateway.port)
    probe.start()
    times: list[float] = []
    answer: dict[str, Any] = {}
    for _ in range(rounds):
        if path:
            began = time.perf_counter()
            connection.request("GET", f"/api/v1{path}", headers={"Authorization": f"Bearer {token}"})
            response = connection.getresponse()
            text = response.read()
            times.append(time.perf_counter() - began)
            if response.status != 200:
                raise SystemExit(f"{path}: {text.decode()}")
            answer = json.loads(text) if text[:1] in (b"{", b"[") else {}
        time.sleep(PAUSE)
    probe.goes_on = False
    probe.join()
    return sorted(times), answer, probe.longest


def _show(
    name: str, times: list[float], answer: dict[str, Any], cpu: float, longest: float, far: str
) -> None:
    found = len(answer.get("items", ())) or sum(
        map(len, (*answer.get("buckets", {}).values(), *answer.get("readings", {}).values()))
    )
    over = "  " if longest * 1e3 <= STALL_MS else " *"
    figures = " " * 26
    if times:
        half, most = times[len(times) // 2], times[-(-len(times) * 99 // 100) - 1]
        figures = f"{half * 1e3:8.1f} {most * 1e3:8.1f} {times[-1] * 1e3:8.1f}"
        over = over if most * 1e3 <= PAGE_MS else " *"
    print(f"{name:24} {figures} {cpu * 1e3:8.1f} {longest * 1e3:10.1f} {found:6}{over}{far}", flush=True)


def weigh(gateway: Gateway, start: Start) -> None:
    """Print how long the start took, and the memory now: resident, what processes share counted once."""
    alone, together = _proportional(gateway.pid), sum(map(_proportional, [gateway.pid, *_below(gateway.pid)]))
    ready, cpu = start
    late = " *" if ready > READY_S else ""
    heavy = " *" if together > MEMORY_MB else ""
    print(
        f"ready {ready:.1f} s after the start{late}, of which {cpu:.1f} s of CPU; memory {alone:.0f} MB, with its workers {together:.0f} MB{heavy}"
    )
    print("* is over what is aimed at:"
          f" p99 {PAGE_MS:g} ms, stall {STALL_MS:g} ms, ready {READY_S:g} s, {MEMORY_MB:g} MB")  # fmt: skip


def _proportional(pid: int) -> float:
    """PSS in MB (proc_pid_smaps(5))."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1024


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process has had, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _below(pid: int) -> list[int]:
    """The processes that a process has started, and theirs."""
    found = []
    for each in os.listdir("/proc"):
        with suppress(OSError, IndexError, ValueError):
            parent = int(Path(f"/proc/{int(each)}/stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                found += [int(each), *_below(int(each))]
    return found


def define(gateway: Gateway, count: int) -> None:
    """So many datasources, converters and integrations, of each a third. An integration gets what its datasource takes; it is disabled, as nobody
    is there."""
    target = {"url": f"http://127.0.0.1:{free_port()}/"}
    for number in range(count // 3):
        gateway.converter(f"converter-{number}")
        gateway.datasource(
            "http", f"source-{number}", routingKey=f"key-{number}", converter=f"converter-{number}"
        )
        body = {
            "name": f"target-{number}", "type": "http", "configuration": target, "enabled": False,
            "route": {"datasources": [f"source-{number}"]},
        }  # fmt: skip
        gateway.api("POST", "/integrations", body)
