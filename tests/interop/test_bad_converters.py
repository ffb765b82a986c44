"""A converter that hangs, throws, talks nonsense or eats memory hurts only its own datasource."""

import json

import pytest

from tests.peers.coap import Device
from tests.peers.process import wait_until

pytestmark = pytest.mark.interop


BAD = {
    "endless": "function Decoder(payload, metadata) {\n  while (true) {}\n}",
    "throwing": "function Decoder(payload, metadata) {\n  var a = 1;\n  throw new Error('no such sensor');\n}",
    "nonsense": "function Decoder(payload, metadata) {\n  return {deviceName: 7, telemetry: 'warm'};\n}",
    "hungry": "function Decoder(payload, metadata) {\n  var all = [];\n  while (true) { all.push(new Array(100000).join('x')); }\n}",
}
EACH = 3


def test_bad_converters_fail_with_their_place_while_the_good_datasource_goes_on(gateway):
    for name, script in BAD.items():
        gateway.create("converters", name=name, script=script)
        gateway.create("datasources", name=name, type="http", routingKey=name, converter=name)
    gateway.create(
        "datasources", name="good", type="coap", routingKey="good", converter="json",
        configuration={"port": gateway.coap_port},
    )  # fmt: skip
    device = Device(
        gateway.coap_port, "i/good", lambda n: json.dumps({"deviceName": "d", "n": n}).encode(), window=8
    ).start()
    for _ in range(EACH):
        for name in BAD:
            assert gateway.post(name, b"payload of " + name.encode()).status == 204
    before = len(device.answered)

    def failed(name):
        items = gateway.messages(datasource=name, state="failed")
        return items if len(items) == EACH else None

    errors = {}
    for name in BAD:
        items = wait_until(lambda name=name: failed(name), 60, f"{EACH} failed messages of {name}")
        errors[name] = [item["error"] for item in items]
    after = len(device.answered)
    device.stop()
    assert after > before, "the good datasource stood still"
    converted = wait_until(lambda: gateway.messages(datasource="good", state="converted", limit=1), 30)
    assert converted[0]["output"][0]["deviceName"] == "d"

    assert all(error["line"] == 3 and error["column"] for error in errors["throwing"])
    assert all("no such sensor" in error["message"] for error in errors["throwing"])
    assert all(
        "deviceName" in error["message"] or "telemetry" in error["message"] for error in errors["nonsense"]
    )
    assert {error["message"] for error in errors["endless"]} == {"the script did not finish within 250 ms"}
    assert all(error["message"] for error in errors["hungry"])
    kept = gateway.messages(datasource="endless", state="failed")[0]
    assert gateway.api("GET", f"/messages/{kept['id']}").json["payload"]


def test_a_message_that_failed_is_converted_again_after_its_script_was_mended(gateway):
    gateway.create(
        "converters",
        name="mine",
        script="function Decoder(payload, metadata) { throw new Error('not yet'); }",
    )
    gateway.create("datasources", name="mine", type="http", routingKey="mine", converter="mine")
    gateway.post("mine", b"21.5")
    failed = gateway.message_when("failed")
    mended = "return {deviceName: 'd', telemetry: {t: Number(decodeToString(payload))}};"
    assert gateway.api("PUT", "/converters/mine", {"name": "mine", "script": mended}).status == 200
    assert gateway.api("POST", f"/messages/{failed['id']}/reprocess").status in (200, 202)
    message = gateway.message_when("converted")
    assert message["id"] == failed["id"]
    assert message["output"][0]["telemetry"][0]["values"] == {"t": 21.5}
