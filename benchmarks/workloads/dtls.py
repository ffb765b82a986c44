"""G: CoAPs with a PSK: handshakes, records, and memory of idle sessions; beside CoAP in the same process."""

from __future__ import annotations

import socket
import tempfile
import time
from pathlib import Path

from harness.contestants import gateway
from harness.gateway import Gateway
from harness.measure import Sample, answered, loaded
from harness.plan import Plan
from harness.processes import free_port
from harness.tools import Load, has

from workloads import Entry, Workload

KEY = "000102030405060708090a0b0c0d0e0f"


def _dtls(plan: Plan) -> Sample:
    with tempfile.TemporaryDirectory(prefix="iotgw-bench-") as name:
        folder = Path(name)
        started = gateway(converter="")(folder, None)
        with started.program as program:
            port = free_port(socket.SOCK_DGRAM)
            assert isinstance(program, Gateway)
            program.coaps(port, KEY)
            plain = loaded(started, plan, folder, None)
            rss, cpu = program.rss(), program.cpu()
            load = Load(
                "dtlsload", "-p", port, "-u", "i/secure", "-n", plan.sessions, "-w", plan.window,
                "-t", plan.seconds, "--key", KEY, "--hold", plan.hold,
            )  # fmt: skip
            done = load.line()
            handshakes_cpu = program.cpu() - cpu
            time.sleep(0.8 * plan.hold)
            idle, cpu = program.rss(), program.cpu()
            report = load.wait()
            record_us = 1e6 * (program.cpu() - cpu) / max(1, report["answered"])
            return answered(report) | {
                "handshakes": done["sessions"] / done["seconds"],
                "handshake_cpu_us": 1e6 * handshakes_cpu / done["sessions"],
                "session_kb": (idle - rss) * 2**20 / 1000 / done["sessions"],
                "cpu_us": record_us,
                "plain_cpu_us": plain["cpu_us"],
                "record_over_plain": record_us / plain["cpu_us"],
                "rss_mib": program.rss(),
            }


def _missing() -> str:
    return "" if has("dtlsload") else "dtlsload was not built: the headers of OpenSSL are not installed"


G = Workload("G", "CoAPs with PSK", lambda plan: [Entry("iotgw", _dtls, _missing)])
