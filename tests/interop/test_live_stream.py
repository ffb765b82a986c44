"""What happens in a whole gateway is seen while it happens, and by the figures afterwards."""

import json
import subprocess
import sys
import time

import pytest

from tests.peers.gateway import ROOT, Gateway
from tests.peers.patience import HANGS


@pytest.fixture
def gateway(tmp_path):
    with Gateway(tmp_path / "gateway").start() as made:
        yield made


def watch(gateway, *options):
    """`iotgwctl watch` as a process; it is there when it has said so by its first line."""
    return subprocess.Popen(
        [sys.executable, "-m", "iotgw.ctl.main", "watch", "--json", *options],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env={"PYTHONPATH": str(ROOT), "IOTGW_URL": gateway.url, "IOTGW_TOKEN": gateway.token, "PATH": "/usr/bin:/bin"},
    )  # fmt: skip


def test_messages_and_failures_are_seen_as_they_come(gateway):
    gateway.create(
        "converters", name="c", script="function Decoder(p) { if (p[0] === 33) throw new Error('no'); return {deviceName: 'lamp', telemetry: {n: p[0]}}; }"
    )  # fmt: skip
    gateway.create("datasources", name="web", type="http", converter="c")
    watching = watch(gateway, "--datasource", "web", "--topics", "messages", "-n", "2")
    seen = []
    try:
        while watching.poll() is None:
            time.sleep(0.05)
            seen.append(
                gateway.api("POST", "/datasources/web/inject", {"text": "1" if len(seen) % 2 else "!"})
            )
        out, _ = watching.communicate(timeout=HANGS)
    finally:
        watching.kill()
    rows = [json.loads(line) for line in out.splitlines()]
    assert {row["state"] for row in rows} <= {"converted", "failed"} and len(rows) == 2
    for row in rows:
        whole = gateway.api("GET", f"/messages/{row['id']}").json
        assert (whole["state"], whole["receivedAt"]) == (row["state"], row["receivedAt"])
    points = gateway.api("GET", "/series?step=10").json["items"][0]["points"]
    assert sum(points["received"]) == len(seen)
