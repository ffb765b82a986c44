"""kill -9 of the process that delivers, of its target, and of both."""

import json
import random
import sys

import pytest

from tests.peers.gateway import ROOT, Gateway
from tests.peers.http_sink import HttpSink
from tests.peers.process import Process, wait_until

from .delivering import numbers, per_device
from .targets import Http, HttpBatches, Mqtt, Sftp, ThingsBoard

pytestmark = pytest.mark.interop

COUNT = 1500
ROUNDS = 6


def delivering(folder, integration, count):
    return Process(
        [sys.executable, "-m", "tests.interop.delivery_child", folder, json.dumps(integration), count],
        folder / "child.log",
        env={"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
    )


def so_far(folder):
    """How many messages the child has begun to store."""
    marker = folder / "sent"
    return int(marker.read_text()) if marker.exists() else 0


def report_of(child):
    """What the child says when everything is delivered; it has checked all the while that the accounts add up."""
    assert child.wait_for_end() == 0, child.output[-3000:]
    return json.loads(child.output.splitlines()[-1])


def test_nothing_durable_is_missing_at_the_target_and_the_accounts_add_up(tmp_path):
    """At random moments, with a target that misbehaves."""
    with HttpSink(tmp_path / "sink") as sink:
        sink.script(*([{}] * 40 + [{"reset": True}] + [{}] * 40 + [{"drop": True}] + [{"status": 503}]) * 8)
        integration = {"type": "http", "configuration": {"url": sink.url, "concurrency": 4}}
        child = delivering(tmp_path, integration, COUNT)
        for _ in range(ROUNDS):
            sent = so_far(tmp_path) + random.randint(COUNT // 30, COUNT // 10)
            child.start()
            child.wait_for(lambda sent=sent: so_far(tmp_path) >= sent, what=f"{sent} messages")
            child.kill()
        child.start()
        report = report_of(child)
        arrived = numbers(sink.documents)
        assert {n for _, n in arrived} == set(report["records"])
        assert len(report["records"]) > COUNT // 2
        assert all(line == sorted(line) for line in per_device(arrived).values())
        stats = report["stats"]
        assert stats["queued"] == stats["delivered"] == len(report["records"])
        keys = [doc["key"] for doc in sink.documents]
        assert len(set(keys)) == len(report["records"])  # what came twice has the same key


ROWS = [
    *((target, "both") for target in (Http, HttpBatches, Mqtt, ThingsBoard)),
    pytest.param(Sftp, "both", marks=pytest.mark.root),
    *(
        pytest.param(
            target, victim, marks=[pytest.mark.interop, *([pytest.mark.root] if target is Sftp else [])]
        )
        for target in (Http, Mqtt, Sftp)
        for victim in ("gateway", "target")
    ),
]


@pytest.mark.parametrize(("kind", "victim"), ROWS)
def test_after_kill_nine_everything_arrives_in_order_and_the_accounts_add_up(tmp_path, kind, victim):
    count = 300 if kind is Sftp else COUNT
    target = kind(tmp_path)
    target.start()
    integration = {"type": target.type, "configuration": target.configuration(target.server.port)}
    child = delivering(tmp_path, integration, count)
    try:
        child.start()
        for _ in range(2):
            before = len(target.arrived())
            wait_until(lambda before=before: len(target.arrived()) >= before + count // 10)
            assert child.alive
            if victim == "gateway":
                child.kill()
                child.start()
            elif victim == "both":
                child.kill()
                target.kill()
                target.start()
                child.start()
            else:
                target.kill()
                child.freeze()  # nothing is published before the recorder is there again
                target.start()
                child.thaw()
        report = report_of(child)
        wait_until(lambda: {n for _, n in target.arrived()} >= set(report["records"]))
        arrived = target.arrived()
        assert {n for _, n in arrived} == set(report["records"])
        assert all(line == sorted(line) for line in per_device(arrived).values())
        stats = report["stats"]
        assert stats["queued"] == stats["delivered"] == len(report["records"])
    finally:
        if child.alive:
            child.kill()
        target.close()


def test_what_an_operator_did_to_a_queue_survives_kill_nine(tmp_path, http_sink):
    with Gateway(tmp_path / "gateway").start() as gateway:
        gateway.create("datasources", name="web", type="http", routingKey="key", converter="json")
        gateway.create("integrations", name="out", type="http", configuration={"url": http_sink.url})

        def stats():
            return gateway.api("GET", "/integrations/out/stats").json

        def accounts():
            return {name: stats()[name] for name in ("state", "delivered", "waiting")}

        def post(n):
            assert gateway.post("key", b'{"deviceName": "a", "n": %d}' % n).status == 204

        def again(action, body=None):
            answer = gateway.api("POST", f"/integrations/out/{action}", body)
            gateway.kill()
            gateway.start()
            assert answer.status == 200, answer.body

        post(1)
        wait_until(lambda: stats()["delivered"] == 1)
        again("pause")
        post(2)
        wait_until(lambda: accounts() == {"state": "paused", "delivered": 1, "waiting": 1})
        again("seek", {"since": 0})
        wait_until(lambda: accounts() == {"state": "paused", "delivered": 1, "waiting": 2})
        again("purge")
        wait_until(lambda: accounts() == {"state": "paused", "delivered": 1, "waiting": 0})
        assert stats()["dropped"] == {"purged": 2}
        again("resume")
        post(3)
        wait_until(lambda: accounts() == {"state": "running", "delivered": 2, "waiting": 0})
        assert [n for _, n in numbers(http_sink.documents)] == [1, 3]
