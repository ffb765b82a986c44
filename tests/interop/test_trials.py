"""What one tenant tries out, and how, delays nobody else."""

import contextlib
import threading

import pytest

from iotgw.converters.desk import SHARE
from tests.peers.gateway import Gateway, request
from tests.peers.process import wait_until

LOOPS = {"script": "function Decoder() { for (;;) {} }", "text": "x", "options": {"timeLimit": 60}}
TRIALS = 25


@pytest.fixture
def gateway(tmp_path):
    with Gateway(tmp_path / "gateway") as made:
        yield made


class Tenant:
    """An editor of a tenant; ``answers`` are those of what it asked for at once."""

    def __init__(self, gateway, name):
        self.url = f"{gateway.url}/api/v1"
        wanted = {"name": name, "role": "editor", "tenant": name}
        token = gateway.api("POST", "/tokens", wanted).json["token"]
        self.headers = {"Authorization": f"Bearer {token}"}
        self.answers = []

    def ask(self, method, path, body=None):
        return request(method, f"{self.url}{path}", body, self.headers)

    def at_once(self, count, method, path, body):
        """Ask for the same many times; their threads end with the gateway."""

        def one():
            with contextlib.suppress(OSError):
                self.answers.append(self.ask(method, path, body))

        for _ in range(count):
            threading.Thread(target=one, daemon=True).start()


def works(tenant, gateway, key):
    """Save a converter and a datasource, and have a message converted."""
    script = (
        "function Decoder(payload) { return {deviceName: 'd', deviceType: 't', telemetry: {n: payload[0]}}; }"
    )
    assert tenant.ask("POST", "/converters", {"name": key, "script": script}).status == 201
    source = {"name": key, "type": "http", "routingKey": key, "converter": key}
    assert tenant.ask("POST", "/datasources", source).status == 201
    assert gateway.post(key, b"7").status == 204
    wait_until(
        lambda: tenant.ask("GET", "/messages").json["items"][0]["state"] == "converted", what="a message"
    )


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/converters/test", LOOPS),
        ("/converters/test", {**LOOPS, "script": "for (;;) {} function Decoder() {}"}),
        ("/converters/test", {"script": "function Encoder() { for (;;) {} }", "type": "DOWNLINK", "msg": 1,
                              "options": {"timeLimit": 60}}),
        ("/converters", {"name": "x", "script": "for (;;) {} function Decoder() {}", "options": {"timeLimit": 60}}),
    ],
    ids=["trials", "drafts that don't load", "downlinks", "saves"],
)  # fmt: skip
def test_what_loops_for_one_tenant_delays_neither_another_s_save_nor_its_messages(gateway, path, body):
    acme, north = Tenant(gateway, "acme"), Tenant(gateway, "north")
    acme.at_once(TRIALS, "POST", path, body)
    wait_until(lambda: len(acme.answers) == TRIALS - SHARE, what="those beyond the share")
    assert {answer.status for answer in acme.answers} == {429}
    assert {f"expected at most {SHARE}" in answer.json["detail"] for answer in acme.answers} == {True}
    works(north, gateway, "field")
    north_trial = north.ask(
        "POST", "/converters/test", {"script": "function Decoder() { return {}; }", "text": "x"}
    )
    assert north_trial.status == 200
    assert len(acme.answers) == TRIALS - SHARE, "the loops are still under way"
