"""Queue → gateway → queue of clouds, while the service is frozen or killed, or the gateway is killed: nothing is lost, what comes again
is recognised, each device's messages stay in order, and the accounts balance."""

from __future__ import annotations

import json
import threading
from itertools import pairwise

import pytest

from tests.peers.aws import KEYS, REGION, Kinesalite, Moto
from tests.peers.gateway import Gateway
from tests.peers.process import wait_until

pytestmark = pytest.mark.interop
FROZEN = 12
"""Seconds: longer than a request waits."""
DEVICES = 10


class Sqs:
    """A FIFO queue; moto holds it in memory."""

    keeps = False

    def __init__(self, folder):
        self.service = Moto(folder)

    def prepare(self):
        self._in, self._out = (self.service.queue(f"{name}.fifo") for name in ("in", "out"))

    @property
    def source(self):
        return "aws-sqs", {**KEYS, "queueUrl": self._in, "region": REGION, "wait": 2, "visibility": 10}

    @property
    def target(self):
        return "aws-sqs", {**KEYS, "queueUrl": self._out, "region": REGION, "timeout": 3}

    def put(self, device, body, number):
        self.service.send(self._in, body.decode(), MessageGroupId=device, MessageDeduplicationId=str(number))

    def taken(self, enough):
        return [each["Body"] for each in self.service.receive(self._out, lambda found: enough([each["Body"] for each in found]))]  # fmt: skip


class Kinesis:
    """A stream with two shards, on disk."""

    keeps = True

    def __init__(self, folder):
        self.service = Kinesalite(folder)

    def prepare(self):
        for name in ("in", "out"):
            self.service.stream(name)

    @property
    def _place(self):
        return {**KEYS, "region": REGION, "endpoint": self.service.url}

    @property
    def source(self):
        return "aws-kinesis", {**self._place, "stream": "in", "interval": 0.2}

    @property
    def target(self):
        return "aws-kinesis", {**self._place, "stream": "out", "timeout": 3}

    def put(self, device, body, number):
        self.service.put("in", (device, body))

    def taken(self, enough):
        def look():
            found = [data for some in self.service.records("out").values() for _, data in some]
            return found if enough(found) else None

        return wait_until(look, 60, "all records")


class Relay:
    """A gateway that reads one queue and writes another, and messages of some devices, one after another, until `finish`."""

    def __init__(self, folder, cloud):
        self.cloud = cloud
        self.gateway = Gateway(folder).start()
        kind, configuration = cloud.source
        self._source = self.gateway.create(
            "datasources", name="source", type=kind, converter="json", configuration=configuration
        )["id"]
        kind, configuration = cloud.target
        self._target = self.gateway.create(
            "integrations", name="target", type=kind, retry={"cap": 2}, configuration=configuration
        )["id"]
        wait_until(lambda: self.status["state"] == "connected", 60, "the source")
        self.count = 0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def _send(self):
        while not self._ends.wait(0.02):
            device = f"meter-{self.count % DEVICES}"
            body = json.dumps({"deviceName": device, "n": self.count}).encode()
            try:
                self.cloud.put(device, body, self.count)
            except (OSError, AssertionError):
                continue  # the service is away; the same one is sent again
            self.count += 1

    @property
    def status(self):
        return self.gateway.api("GET", f"/datasources/{self._source}").json["status"]

    def passed(self, more):
        """Wait until so many more messages were taken."""
        first = self.count
        wait_until(lambda: self.count >= first + more, 60, "messages")

    def all_arrived(self):
        """All numbers arrive, each device's in order, and the accounts balance."""
        self._ends.set()
        self._thread.join()
        wanted = set(range(self.count))

        def numbers(found):
            return [json.loads(each)["telemetry"][0]["values"]["n"] for each in found]

        found = numbers(self.cloud.taken(lambda found: wanted <= set(numbers(found))))
        first = list(dict.fromkeys(found))
        for device in range(DEVICES):
            mine = [number for number in first if number % DEVICES == device]
            assert all(a < b for a, b in pairwise(mine)), device

        def is_balanced():
            stats = self.gateway.api("GET", f"/integrations/{self._target}/stats").json
            return stats["balanced"] and not stats["waiting"] and not stats["inflight"]

        wait_until(is_balanced, 60, "the accounts")
        counts = self.status["counts"]
        assert counts["received"] == counts["converted"]
        return counts["received"]


@pytest.fixture(params=[pytest.param(Sqs, marks=pytest.mark.soak), Kinesis], ids=lambda cloud: cloud.__name__)
def cloud(request, tmp_path):
    made = request.param(tmp_path / "cloud")
    with made.service:
        made.prepare()
        yield made


@pytest.fixture
def relay(cloud, tmp_path):
    made = Relay(tmp_path / "gateway", cloud)
    with made.gateway:
        yield made


def test_a_service_that_is_frozen_costs_nothing(relay):
    relay.passed(50)
    relay.cloud.service.freeze()
    threading.Event().wait(FROZEN)
    relay.cloud.service.thaw()
    relay.passed(50)
    relay.all_arrived()
    assert relay.status["state"] == "connected"


def test_a_gateway_that_is_killed_reads_on_where_it_was_and_knows_what_comes_again(relay):
    for _ in range(2):
        relay.passed(50)
        relay.gateway.kill()
        relay.gateway.start()
    relay.passed(20)
    assert relay.all_arrived() == relay.count


def test_a_service_that_is_killed_costs_nothing_that_it_kept(relay):
    if not relay.cloud.keeps:
        return  # what it held is gone with it
    relay.passed(50)
    relay.cloud.service.kill()
    relay.cloud.service.start()
    relay.passed(50)
    relay.all_arrived()
