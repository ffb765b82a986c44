"""A gateway that gets a twentieth of a processor for ten minutes: no good message fails, no good converter is suspended, and targets
of each kind get all."""

import time

import pytest

from tests.peers.patience import HANGS
from tests.peers.process import wait_until
from tests.peers.starving import starved

SHARE = 0.05
SECONDS = 600
SCRIPTS = {
    "duktape": "function Decoder(payload, metadata) { return {deviceName: 'one', telemetry: {n: payload[0]}}; }",
    "quickjs": "const f = (x) => x;\nreturn {deviceName: 'two', telemetry: {n: f(payload[0])}};",
    "busy": "function Decoder(payload, metadata) { var x = 0; for (var i = 0; i < 100000; i++) x += i;"
    " return {deviceName: 'three', telemetry: {n: payload[0], x: x}}; }",
}


@pytest.mark.soak
@pytest.mark.parametrize("by_rank", [False, True], ids=["by a quota", "by its rank"])
def test_a_gateway_that_is_nearly_starved_converts_and_delivers_everything_and_suspends_nobody(
    gateway, all_kinds, by_rank
):
    for name, target in all_kinds.items():
        where = target.configuration(target.server.port)
        gateway.create("integrations", name=name, type=name, configuration=where)
    for name, script in SCRIPTS.items():
        gateway.create("converters", name=name, script=script)
        gateway.create("datasources", name=name, type="http", routingKey=name, converter=name)
    sent = 0
    with starved(gateway.pid, SHARE, by_rank) as how:
        print(f"starved by {how}")
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            for name in SCRIPTS:
                answer = gateway.post(name, bytes([sent % 256]))
                assert answer.status == 204, answer.body
                sent += 1
    wait_until(
        lambda: not gateway.messages(state="received", limit=1), HANGS, "every message to be converted"
    )
    for name, target in all_kinds.items():
        wait_until(lambda target=target: len(target.arrived()) >= sent, HANGS, f"{name} to get everything")
    messages = gateway.all_messages()
    print(f"{len(messages)} messages")
    other = [message for message in messages if message["state"] != "converted"]
    assert len(messages) == sent and not other, (len(messages), sent, len(other), other[:1])
    types = {event["type"] for event in gateway.api("GET", "/events?limit=1000").json["items"]}
    assert not {each for each in types if each.startswith("converter.s")}, types
