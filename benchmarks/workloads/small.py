"""K: a small machine: the gateway on one core, and with a quarter of one; CoAP → JavaScript → MQTT."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from harness.contestants import Started
from harness.gateway import Gateway
from harness.measure import SEQUENCES, Sample, loaded
from harness.plan import Plan
from harness.processes import free_port, wait_until
from harness.tools import Sink

from workloads import Entry, Workload

GROUPS = Path("/sys/fs/cgroup")
PERIOD = 100_000
"""Microseconds in which a group gets its share, as systemd's `CPUQuota=` has it."""
SHARE = 0.25
SETTLED = 3.0
"""Seconds after which nothing of the start is left to do."""


@contextmanager
def quota() -> Iterator[Sequence[str]]:
    """The beginning of a command line whose programs get `SHARE` of a core together."""
    is_first = (GROUPS / "cpu").is_dir()
    group = (GROUPS / "cpu" if is_first else GROUPS) / f"iotgw-bench-{os.getpid()}"
    group.mkdir()
    try:
        if is_first:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD))
            (group / "cpu.cfs_quota_us").write_text(str(int(SHARE * PERIOD)))
        else:
            (group / "cpu.max").write_text(f"{int(SHARE * PERIOD)} {PERIOD}")
        yield ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
    finally:
        wait_until(lambda: not (group / "cgroup.procs").read_text(), 60, "the end of the gateway")
        group.rmdir()


@contextmanager
def one_core() -> Iterator[Sequence[str]]:
    """The beginning of a command line whose programs share one core."""
    yield ["taskset", "-c", str(min(os.sched_getaffinity(0)))]


def _no_taskset() -> str:
    return "" if shutil.which("taskset") else "taskset is not installed"


def _no_quota() -> str:
    if not os.access(GROUPS / "cpu" if (GROUPS / "cpu").is_dir() else GROUPS / "cpu.max", os.W_OK):
        return "no group with a quota of CPU can be made here: it takes root"
    return ""


def _small(plan: Plan, confined: Callable[[], AbstractContextManager[Sequence[str]]]) -> Sample:
    """Memory of a gateway that rests, then a closed loop."""
    with (
        tempfile.TemporaryDirectory(prefix="iotgw-bench-") as name,
        Sink(2 * plan.devices, SEQUENCES) as sink,
        confined() as under,
        Gateway(Path(name), under) as gateway,
    ):
        port = free_port(socket.SOCK_DGRAM)
        gateway.converter()
        gateway.coap(port)
        gateway.mqtt(sink.mqtt)
        time.sleep(min(SETTLED, plan.seconds))
        idle = gateway.pss()
        sample = loaded(Started(gateway, port, "i/key"), plan, Path(name), sink)
        return sample | {"idle_mib": idle, "pss_mib": gateway.pss()}


K = Workload(
    "K",
    "a small machine: CoAP → JavaScript → MQTT",
    lambda plan: [
        Entry("iotgw, one core", partial(_small, confined=one_core), _no_taskset),
        Entry("iotgw, a quarter of a core", partial(_small, confined=quota), _no_quota),
    ],
)
