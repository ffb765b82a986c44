"""kill -9 of the process that delivers, at random moments, with a target that misbehaves."""

import json
import random
import sys
import threading

from tests.peers.gateway import ROOT
from tests.peers.http_sink import HttpSink
from tests.peers.process import Process

from .delivering import per_device

COUNT = 1500
ROUNDS = 6


def test_nothing_durable_is_missing_at_the_target_and_the_accounts_add_up(tmp_path):
    with HttpSink(tmp_path / "sink") as sink:
        sink.script(*([{}] * 40 + [{"reset": True}] + [{}] * 40 + [{"drop": True}] + [{"status": 503}]) * 8)
        child = Process(
            [sys.executable, "-m", "tests.interop.delivery_child", tmp_path, sink.url, COUNT],
            tmp_path / "child.log",
            env={"PYTHONPATH": str(ROOT)},
            cwd=ROOT,
        )
        for _ in range(ROUNDS):
            child.start()
            threading.Event().wait(random.uniform(0.5, 1.1))
            child.kill()
        child.start()
        assert child.child.wait(60) == 0, child.output[-3000:]
        report = json.loads(child.output.splitlines()[-1])
        arrived = [json.loads(item["body"]) for item in sink.received]
        numbers = [(doc["deviceName"], doc["telemetry"][0]["values"]["n"]) for doc in arrived]
        assert {n for _, n in numbers} == set(report["records"])
        assert len(report["records"]) > COUNT // 2
        assert all(line == sorted(line) for line in per_device(numbers).values())
        stats = report["stats"]
        assert stats["queued"] == stats["delivered"] == len(report["records"])
        keys = [doc["key"] for doc in arrived]
        assert len(set(keys)) == len(report["records"])  # what came twice has the same key
