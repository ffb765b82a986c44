"""Queue → gateway → queue, with the real brokers of the tests: messages of some devices, and whether all of them come out, in order."""

from __future__ import annotations

import json
import threading
from itertools import pairwise

import pika
from aiokafka.errors import KafkaError
from pika.adapters.utils.connection_workflow import AMQPConnectorException

from tests.peers.patience import Patience
from tests.peers.process import wait_until

DEVICES = 10
GONE = (OSError, AssertionError, KafkaError, pika.exceptions.AMQPError, AMQPConnectorException)
"""What the tests' own clients say of a broker that is away."""
BOUND = 1000
"""Messages that may come twice because of an interruption: what a gateway has not acknowledged yet, at most."""


class Relay:
    """What a gateway reads of one queue and writes to another under a name of its own, and messages of some devices, one after another, from `go` to
    `all_arrived`."""

    def __init__(self, gateway, queue, name="relay"):
        self.queue = queue
        self.gateway = gateway
        kind, configuration = queue.source
        self._source = self.gateway.create(
            "datasources", name=f"{name}-in", type=kind, converter="json", configuration=configuration
        )["id"]
        kind, configuration = queue.target
        self._target = self.gateway.create(
            "integrations",
            name=f"{name}-out",
            type=kind,
            retry={"cap": 2},
            configuration=configuration,
            route={"datasources": [f"{name}-in"]},
        )["id"]
        wait_until(lambda: self.status["state"] == "connected", 60, "the source")
        self.count = self._since = self._failed = self._unsure = 0
        self.go()

    def go(self):
        """Send from now on."""
        self._since = self.count
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def _send(self):
        while not self._ends.wait(0.02):
            device = f"meter-{self.count % DEVICES}"
            body = json.dumps({"deviceName": device, "n": self.count}).encode()
            try:
                self.queue.put(device, body, self.count)
            except GONE as error:  # the service is away; the same one is sent again
                self._unsure += not isinstance(getattr(error, "reason", error), ConnectionRefusedError)
                self._ends.wait(0.3)
                continue
            self.count += 1

    def hush(self):
        """Send no more."""
        self._ends.set()
        self._thread.join()

    @property
    def status(self):
        return self.gateway.api("GET", f"/datasources/{self._source}").json["status"]

    def is_well(self):
        """Whether people are told that all is well."""
        status = self.status
        return status["state"] == "connected" and "lastError" not in status

    def passed(self, more):
        """Wait until so many more messages were taken."""
        first = self.count

        def are_taken():
            assert self._thread.is_alive(), f"the sender of {self.queue} failed"
            return self.count >= first + more

        wait_until(are_taken, 60, f"messages of {self.queue}")

    def all_arrived(self, in_order=True):
        """Send no more. All numbers arrive, each device's in order, the accounts balance, and what came again was recognised, where it can be; returns how
        many came again."""
        self.hush()
        wanted = set(range(self.count))

        def numbers(found):
            return [json.loads(each)["telemetry"][0]["values"]["n"] for each in found]

        patience = Patience(60)

        def are_all(found):
            missing = wanted - set(numbers(found))
            assert not (missing and patience.is_over()), (
                f"{self.queue}: waited {patience} for {len(missing)} of {self.count}: {sorted(missing)[:20]}"
            )
            return not missing

        found = numbers(self.queue.taken(are_all))
        first = [number for number in dict.fromkeys(found) if number >= self._since]
        for device in range(DEVICES) if in_order else ():
            mine = [number for number in first if number % DEVICES == device]
            assert all(a < b for a, b in pairwise(mine)), (device, mine)

        def is_balanced():
            stats = self.gateway.api("GET", f"/integrations/{self._target}/stats").json
            return stats["balanced"] and not stats["waiting"] and not stats["inflight"]

        wait_until(is_balanced, 60, "the accounts")
        counts = self.status["counts"]
        received = counts["received"]
        assert received == counts["converted"] + counts.get("failed", 0)
        more = received - self._failed - self.count
        most = self._unsure if self.queue.names_messages else BOUND
        assert 0 <= more <= most, (
            f"{self.queue}: {counts} of {self.count} that were sent, {self._unsure} of them perhaps twice"
        )
        return more + self.status.get("repeats", 0)

    def fails_one(self):
        """One more message that can't be converted: it is failed, acknowledged all the same, and what was received is what became of it."""
        before = self.status["counts"]
        self.queue.put("meter-0", b"rubbish", f"failed-{self._failed}")
        self._failed += 1

        def are_failed():
            counts = self.status["counts"]
            return counts.get("failed") == self._failed and counts

        counts = wait_until(are_failed, 60, "the failed message")
        assert counts["received"] == counts["converted"] + self._failed == before["received"] + 1
