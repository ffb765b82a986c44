"""One item through every type of datasource: queued while the device sleeps, with its next uplink on the
device, and its states at the API and at a broker."""

import base64
import json
import random

import cbor2
import pytest

from iotgw.simulate.runner import KINDS
from tests.interop.downlink_field import JSON_HANDLER, device
from tests.peers.coap import coap_client
from tests.peers.process import free_port, free_udp_port, wait_until

SENT = ["queued", "sent"]
DELIVERED = [*SENT, "delivered"]


def test_http(field):
    field.open("http", 0, key="h")
    item = field.push(device("http"), data="go", contentType="TEXT")
    assert field.simulate("http", field.gateway.port, "/i/h")["downlinks"] == 1
    field.lives(item, DELIVERED)
    assert field.simulate("http", field.gateway.port, "/i/h")["downlinks"] == 0


def test_coap(field):
    port = field.open("coap", free_udp_port(), key="c")
    item = field.push(device("coap"), data="go", contentType="TEXT")
    assert field.simulate("coap", port, "/i/c")["downlinks"] == 1
    field.lives(item, DELIVERED)


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_plain_tcp_and_udp(field, kind):
    port = field.open(kind, free_udp_port() if kind == "udp" else free_port(), **JSON_HANDLER)
    first, second = (field.push(device(kind), data=text, contentType="TEXT") for text in ("one", "two"))
    assert field.simulate(kind, port, patience=1.5)["downlinks"] == 1
    field.lives(first, SENT)
    assert field.simulate(kind, port, patience=1.5)["downlinks"] == 1
    field.lives(second, SENT)


def test_tekelek_takes_several_items_in_one_line(field):
    port = field.open("tekelek", free_port(), "tekelek/logger", linger=0.1)
    items = [field.push(device("tekelek"), data=text, contentType="TEXT") for text in ("R1=02", "R6=02")]
    summary = field.simulate("tekelek", port)
    assert (summary["downlinks"], summary["answered"]) == (2, 1)
    for item in items:
        field.lives(item, DELIVERED)


@pytest.mark.parametrize(("kind", "states"), [("dragino", DELIVERED), ("dragino-udp", SENT)])
def test_dragino(field, kind, states):
    port = field.open(kind, free_udp_port() if kind == "dragino-udp" else free_port(), "dragino/ndds75")
    item = field.push(device(kind), data=base64.b64encode(bytes.fromhex("01000384")).decode())
    assert field.simulate(kind, port)["downlinks"] == 1
    field.lives(item, states)


def test_lobaro_s_legacy_udp(field):
    port = field.open("lobaro-udp", free_udp_port(), "", reply="cbor")
    item = field.push(device("lobaro-udp"), msgType="config", msg={"q": "config", "d": {"x": 1}})
    assert field.simulate("lobaro-udp", port, patience=2)["downlinks"] == 1
    field.lives(item, SENT)


def test_dragino_over_coap_counts_as_delivered_with_the_next_request(field):
    port = field.open("dragino-coap", free_udp_port(), "dragino/ndds75", interface="127.0.0.1")
    node = KINDS["dragino"].make(random.Random(1))
    item = field.push(node.identity, data=base64.b64encode(bytes.fromhex("01000384")).decode())
    url = f"coap://127.0.0.1:{port}/"
    options = ("-p", str(free_udp_port()))
    assert (
        coap_client(url, node.uplink(1_700_000_000_000).hex().encode(), options=options).strip() == "01000384"
    )
    field.lives(item, SENT)
    assert coap_client(url, node.uplink(1_700_000_900_000).hex().encode(), options=options).strip() == ""
    field.lives(item, DELIVERED)


def test_lobaro_over_coap_gets_its_configuration_in_cbor(field, tmp_path):
    port = field.open("lobaro-coap", free_udp_port(), "", interface="127.0.0.1")
    identity = "352665091234567"
    item = field.push(identity, msgType="config", msg={"q": "config", "d": {"interval": 900}})
    answer = tmp_path / "answer"
    coap_client(f"coap://127.0.0.1:{port}/up", cbor2.dumps({"i": identity, "n": 1, "d": {"vbat": 3600}}),
                options=("-o", str(answer)))  # fmt: skip
    assert cbor2.loads(answer.read_bytes()) == {"q": "config", "d": {"interval": 900}}
    field.lives(item, DELIVERED)


def test_a_psk_identity_gets_the_item_of_its_device_over_coaps(field):
    port = free_udp_port()
    field.open("coap", 0, key="s", securityMode="DTLS", securePort=port, interface="127.0.0.1")
    field.gateway.create("credentials", name="meter", identity="meter-1", secrets=[{"value": "open sesame"}])
    sent = []
    for name, text in (("meter d", "by name"), ("meter-1", "by identity")):
        item = field.push(name, data=text, contentType="TEXT")
        uplink = b'{"deviceName": "meter d", "t": 1}'
        options = ("-u", "meter-1", "-k", "open sesame")
        assert text in coap_client(f"coaps://127.0.0.1:{port}/i/s", uplink, options=options)
        sent.append(item)
    for item in sent:
        field.lives(item, DELIVERED)


def test_a_device_behind_a_broker(field):
    field.gateway.create(
        "datasources", name="mqtt", type="mqtt", converter="json", downlinkWindow=0.001,
        configuration={"host": "127.0.0.1", "port": field.broker.port, "topics": ["devices/+/up"],
                       "identityLevel": 2, "downlinkTopic": "devices/{identity}/down"},
    )  # fmt: skip
    wait_until(lambda: field.gateway.api("GET", "/datasources/mqtt").json["status"]["state"] == "connected")
    name = device("mqtt")
    with field.broker.subscribe("devices/+/down") as listener:
        item = field.push(name, data="go", contentType="TEXT")
        assert field.simulate("mqtt", field.broker.port)["answered"] == 1
        field.lives(item, DELIVERED)
        assert listener.messages == [(f"devices/{name}/down", "go")]


def test_sigfox_offers_an_item_when_asked_and_waits_for_the_confirmation(field):
    field.gateway.create(
        "datasources", name="sigfox", type="http", routingKey="sf", configuration={"profile": "sigfox"}
    )

    def callback(**more):
        return field.gateway.post("sf", json.dumps({"device": "A1B2C3", **more}).encode())

    item = field.push("A1B2C3", data=base64.b64encode(bytes(range(8))).decode())
    assert callback(data="0102", ack=False).status == 204
    answer = callback(data="0102", ack="true")
    assert (answer.status, answer.json) == (200, {"A1B2C3": {"downlinkData": "0001020304050607"}})
    field.lives(item, SENT)
    assert callback(infoCode=5).status == 204  # pending: nothing is known yet
    field.lives(item, SENT)
    assert callback(infoCode=1, infoMessage="no answer").status == 204
    field.lives(item, ["queued", "sent", "queued"])
    assert callback(data="0103", ack=True).status == 200
    assert callback(infoCode=0).status == 204
    field.lives(item, ["queued", "sent", "queued", "sent", "delivered"])


def test_sigfox_takes_eight_bytes_and_says_what_is_no_callback(field):
    field.gateway.create(
        "datasources", name="sigfox 2", type="http", routingKey="sf2", configuration={"profile": "sigfox"}
    )
    item = field.push("D4", data=base64.b64encode(b"short").decode())
    assert field.gateway.post("sf2", b'{"device": "D4", "data": "01", "ack": true}').status == 204
    field.lives(item, ["queued", "queued"])
    refused = field.gateway.post("sf2", b"hello")
    assert refused.status == 400 and "SigFox callback" in refused.json["detail"]
