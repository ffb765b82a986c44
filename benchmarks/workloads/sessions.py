"""H: Tekelek devices over TCP: all connected at once, then a connection per report as fast as they are taken."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from harness.gateway import Gateway
from harness.measure import SEQUENCES, Sample, answered, arrived
from harness.plan import Plan
from harness.processes import free_port
from harness.tools import Load, Sink

from workloads import Entry, Workload

DECODER = """
function Decoder(payload, metadata) {
    var digits = '';
    for (var i = 11; i < 15; i++) digits += (payload[i] >> 4) + '' + (payload[i] & 15);
    return { deviceName: 'dev-' + parseInt(digits, 10), deviceType: 'tek822',
             telemetry: { seq: payload[17] * 256 + payload[18], csq: payload[5] } };
}
"""


def _sessions(plan: Plan) -> Sample:
    with tempfile.TemporaryDirectory(prefix="iotgw-bench-") as name, Sink(plan.tekelek, SEQUENCES) as sink:
        folder, port = Path(name), free_port()
        with Gateway(folder) as program:
            program.converter("tekelek", DECODER)
            configuration = {"port": port, "interface": "127.0.0.1"}
            program.datasource("tekelek", "tanks", converter="tekelek", configuration=configuration)
            program.mqtt(sink.mqtt)
            rss = program.rss()
            acked = folder / "acked"
            load = Load(
                "tcpload", "-p", port, "--frame", "tekelek", "--reply", "line", "--reconnect", "-n", plan.tekelek,
                "-t", plan.seconds, "--hold", plan.hold, "--sequences", SEQUENCES, "--acked", acked,
            )  # fmt: skip
            load.line()
            time.sleep(0.8 * plan.hold)
            connected, cpu, before = program.rss(), program.cpu(), sink.stats()
            report = load.wait()
            after = sink.drained(before["unique"] + report["answered"])
            return answered(report) | arrived(report, before, after) | {
                "cpu_us": 1e6 * (program.cpu() - cpu) / max(1, after["unique"]),
                "session_kb": (connected - rss) * 2**20 / 1000 / plan.tekelek,
                "missing": sink.missing(acked),
                "rss_mib": program.rss(),
            }  # fmt: skip


H = Workload("H", "Tekelek sessions over TCP", lambda plan: [Entry("iotgw", _sessions)])
