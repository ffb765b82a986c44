"""A document is applied as a whole, and the gateway is killed meanwhile, at many moments: afterwards it has all of it, or nothing."""

import random
import threading
import time

import pytest

from tests.peers.gateway import Gateway
from tests.peers.process import wait_until

pytestmark = pytest.mark.interop
KILLS = 12
SPREAD = 1.3
"""Kills come until so many times what an application takes."""


def document(version):
    """Thirty entries of every kind. Those of another version differ in each entry, and one in three has another name."""

    def name(kind, number):
        return f"{kind}-{number}" if number % 3 else f"{kind}-{number}-of-{version}"

    script = "function Decoder(payload, metadata) { return {deviceName: 'd', telemetry: {version: %d}}; }"
    some = range(5)
    return {
        "converter": [{"name": name("c", n), "script": script % version} for n in some],
        "credential": [{"name": name("k", n), "identity": f"id-{n}-{version}", "secrets": [{"value": f"secret-{version}"}]} for n in some],
        "device-type": [{"name": name("t", n), "reportEvery": 60.0 + version} for n in some],
        "datasource": [
            {"name": name("s", n), "type": "http", "routingKey": f"key-{(n + version) % 5}", "converter": name("c", n)} for n in some
        ],
        "integration": [
            {"name": name("i", n), "type": "http", "enabled": False, "configuration": {"url": f"http://127.0.0.1:9/{version}"}}
            for n in some
        ],
        "device": [{"name": name("d", n), "label": f"of {version}"} for n in some],
    }  # fmt: skip


class Applying(threading.Thread):
    """One application; ``status`` is its answer's, None where none came."""

    def __init__(self, gateway, wanted):
        super().__init__()
        self.gateway, self.wanted, self.status = gateway, wanted, None

    def run(self):
        try:
            self.status = self.gateway.api(
                "POST", "/apply?whole=true&prune=true&backlog=drop", self.wanted
            ).status
        except OSError:
            return


def configuration(gateway):
    """All of it, but for the ids that secrets get each time."""
    found = gateway.api("GET", "/configuration-with-secrets").json
    for credential in found.get("credential", ()):
        for secret in credential["secrets"]:
            del secret["id"]
    return found


def test_a_document_is_applied_whole_or_not_at_all_whenever_the_gateway_is_killed(tmp_path):
    gateway, moments = Gateway(tmp_path / "gateway"), random.Random(23)
    outcomes = set()
    with gateway.start():
        assert gateway.api("POST", "/apply?whole=true", document(0)).status == 200
        known = {0: configuration(gateway)}
        took = -time.monotonic()
        assert gateway.api("POST", "/apply?whole=true&prune=true&backlog=drop", document(1)).status == 200
        took += time.monotonic()
        known[1] = configuration(gateway)
        assert known[0] != known[1]
        now = 1
        for number in range(KILLS):
            wanted = 1 - now
            applying = Applying(gateway, document(wanted))
            applying.start()
            time.sleep(
                took * SPREAD * ((number + moments.random()) / KILLS) ** 2
            )  # most of them early: the decision is
            gateway.kill()
            applying.join()
            gateway.start()
            wait_until(lambda: configuration(gateway) in known.values(), what="all of a document, or nothing")
            found = configuration(gateway)
            is_new = found == known[wanted]
            assert is_new or applying.status != 200, "what was said to be applied is applied"
            outcomes.add(is_new)
            now = wanted if is_new else now
    assert outcomes == {True, False}, "some kills came before the decision, and some after it"
