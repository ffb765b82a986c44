"""What a gateway that is just starting, or just stopping, must not leave behind or say."""

import contextlib
import http.client
import sqlite3
import threading

import pytest

from tests.peers.gateway import Gateway
from tests.peers.patience import HANGS
from tests.peers.process import wait_until

NAMES = [f"ds{number}" for number in range(9)]
RESOURCES = "\n".join(
    f'[[datasource]]\nname = "{name}"\ntype = "http"\nroutingKey = "{name}"\nconverter = "json"'
    for name in NAMES
)

SLOW = """
var i, n = 0;
for (i = 0; i < 200000; i++) { n += i % 7; }
return {deviceName: "d", deviceType: "default", telemetry: {n: n}};
"""


def datasources_on_disk(gateway):
    """How many the registry's file has."""
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"file:{gateway.data}/registry.db?mode=ro", uri=True)) as registry,
    ):
        return registry.execute("SELECT count(*) FROM resource WHERE kind = 'datasource'").fetchone()[0]
    return 0


@pytest.mark.interop
def test_a_first_start_that_is_killed_is_finished_by_the_next_one(tmp_path):
    left = set()
    for number in range(4):
        gateway = Gateway(tmp_path / f"gateway{number}", RESOURCES)
        gateway.launch()
        wait_until(
            lambda gateway=gateway, n=number: datasources_on_disk(gateway) > 2 * n, HANGS, "the first ones"
        )
        gateway.kill()
        left.add(datasources_on_disk(gateway))
        with gateway.start():
            assert [item["name"] for item in gateway.api("GET", "/datasources").json["items"]] == NAMES
            assert gateway.api("DELETE", "/datasources/ds0").status == 200
            gateway.stop()
        with gateway.start():  # and what a person has deleted doesn't come again
            assert [item["name"] for item in gateway.api("GET", "/datasources").json["items"]] == NAMES[1:]
    assert min(left) < len(NAMES), "the test must have killed one in between"


def test_no_sender_with_an_open_connection_is_told_for_good_while_the_gateway_stops(tmp_path):
    heard, enough = [], threading.Event()

    def send(port):
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=HANGS)
        with contextlib.suppress(OSError, http.client.HTTPException):
            while True:
                line.request("POST", "/i/ds0", b'{"deviceName": "d"}')
                answer = line.getresponse()
                answer.read()
                heard.append((answer.status, answer.getheader("retry-after")))
                if len(heard) > 50:
                    enough.set()

    with Gateway(tmp_path / "gateway", RESOURCES).start() as gateway:
        # Conversions that take their time keep it from ending at once.
        gateway.create("converters", name="slow", type="UPLINK", script=SLOW)
        gateway.create("datasources", name="slow", type="http", routingKey="slow", converter="slow")
        for _ in range(100):
            gateway.post("slow", b"{}")
        senders = [threading.Thread(target=send, args=(gateway.port,), daemon=True) for _ in range(4)]
        for sender in senders:
            sender.start()
        assert enough.wait(HANGS)
        gateway.stop()
        for sender in senders:
            sender.join(HANGS)
    assert {status for status, _ in heard} <= {204, 503}
    assert all(again for status, again in heard if status == 503)
    assert 503 in {status for status, _ in heard}, "the test must have asked while it stopped"
