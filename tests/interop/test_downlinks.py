"""Downlinks through a running gateway: queued while the device sleeps, delivered with its next uplink."""

import base64
import json
import socket
import subprocess

import pytest

from tests.peers.coap import coap_client
from tests.peers.patience import HANGS
from tests.peers.process import find, free_port, free_udp_port, wait_until

# Frames of `docs/datasources/`: a TEK822's scheduled upload, an NDDS75's reading.
TEKELEK = bytes.fromhex(
    "180203418919360864431047987054047B093248000BFF8103000A682BFE0A682BFE0A6A2BFE0A6A2BFE0A6A2BFE0A6A28000A6A2BFE"
    "0A6A28430A6A281E0A6A28620A6A2B700A6A2BFE" + "00" * 64 + "2F1D"
)
TEKELEK_IMEI = "864431047987054"
DRAGINO = bytes.fromhex(
    "f86778705454507800980ce1090100030c64c7969c030cac165b00030aac165b0002e664b0786502ea64b074e102ea64b0715d02e964b0"
    "6dd902ea64b06a5502e964b066d1"
)
DRAGINO_IMEI = "867787054545078"
BY_NAME = b'{"deviceName": "d", "t": 1}'


def push(gateway, device, **item):
    answer = gateway.api("POST", f"/devices/{device}/downlinks?allowUnknown=true", item)
    assert answer.status == 201, answer.body
    return answer.json


def text(gateway, device, content, **more):
    return push(gateway, device, data=content, contentType="TEXT", **more)


def state(gateway, item):
    return gateway.api("GET", f"/devices/{item['device']}/downlinks/{item['id']}").json["state"]


def becomes(gateway, item, wanted, seconds=20):
    wait_until(lambda: state(gateway, item) == wanted, seconds, f"{wanted}, it is {state(gateway, item)}")


def coap(gateway, **more):
    configuration = {"port": gateway.coap_port, **more.pop("configuration", {})}
    gateway.create(
        "datasources",
        name="coap",
        type="coap",
        routingKey="key",
        converter="json",
        configuration=configuration,
        **more,
    )
    return f"coap://127.0.0.1:{gateway.coap_port}/i/key"


def http(gateway, **more):
    gateway.create("datasources", name="http", type="http", routingKey="key", converter="json", **more)


def exchange(kind, port, data):
    """Send bytes to a TCP or UDP port of this machine and return the first answer."""
    with socket.socket(socket.AF_INET, kind) as line:
        line.settimeout(HANGS)
        line.connect(("127.0.0.1", port))
        line.sendall(data)
        return line.recv(4096)


def test_http_answers_200_with_the_item_and_204_without(gateway):
    http(gateway)
    item = text(gateway, "d", "hello")
    assert state(gateway, item) == "QUEUED"
    answer = gateway.post("key", BY_NAME)
    assert (answer.status, answer.body) == (200, b"hello")
    becomes(gateway, item, "DELIVERED")
    assert gateway.post("key", BY_NAME).status == 204


def test_a_device_gets_items_from_the_moment_at_which_its_first_message_was_answered(gateway):
    http(gateway)
    item = {"data": "hello", "contentType": "TEXT"}
    for name in map(str, range(20)):
        uplink = json.dumps({"deviceName": name, "t": 1}).encode()
        assert gateway.post("key", uplink).status == 204
        assert gateway.api("POST", f"/devices/{name}/downlinks", item).status == 201
        assert gateway.post("key", uplink).body == b"hello"


def test_the_item_of_one_device_does_not_leave_with_the_uplink_of_another(gateway):
    http(gateway)
    item = text(gateway, "other", "hello")
    assert gateway.post("key", BY_NAME).status == 204
    assert state(gateway, item) == "QUEUED"


def test_coap_carries_the_item_and_knows_that_it_arrived(gateway):
    url = coap(gateway)
    item = text(gateway, "d", "hello")
    assert "hello" in coap_client(url, BY_NAME)
    becomes(gateway, item, "DELIVERED")
    assert "hello" not in coap_client(url, BY_NAME)


def test_a_large_item_reaches_a_coap_device_block_by_block(gateway):
    url = coap(gateway)
    content = "x" * 3000
    item = text(gateway, "d", content)
    assert content in coap_client(url, BY_NAME, options=["-b", "256"]).replace("\n", "")
    becomes(gateway, item, "DELIVERED")


def test_tekelek_gets_its_commands_with_password_and_closing_template(gateway):
    port = free_port()
    gateway.create(
        "datasources", name="tek", type="tekelek", converter="tekelek/logger", configuration={"port": port}
    )
    item = text(gateway, TEKELEK_IMEI, "R1=02")
    answer = exchange(socket.SOCK_STREAM, port, TEKELEK)
    assert answer.startswith(b"TEK822,R1=02")
    becomes(gateway, item, "DELIVERED")


@pytest.mark.parametrize(
    ("type_", "kind"), [("dragino", socket.SOCK_STREAM), ("dragino-udp", socket.SOCK_DGRAM)]
)
def test_dragino_gets_its_bytes_while_it_listens(gateway, type_, kind):
    port = free_port(kind)
    gateway.create(
        "datasources", name="node", type=type_, converter="dragino/ndds75", configuration={"port": port}
    )
    item = push(gateway, DRAGINO_IMEI, data=base64.b64encode(bytes.fromhex("01000384")).decode())
    assert exchange(kind, port, DRAGINO) == bytes.fromhex("01000384")
    wait_until(lambda: state(gateway, item) in ("SENT", "DELIVERED"))


def test_plain_tcp_and_udp_carry_an_item_back(gateway):
    for type_, kind in (("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)):
        port = free_port(kind)
        gateway.create(
            "datasources", name=type_, type=type_, converter="json", speaksFor="unproved",
            configuration={"port": port, "handler": {"type": "JSON"}},
        )  # fmt: skip
        item = text(gateway, "d", f"hello {type_}")
        assert exchange(kind, port, BY_NAME) == f"hello {type_}".encode()
        wait_until(lambda item=item: state(gateway, item) in ("SENT", "DELIVERED"))


def test_the_downlink_converter_makes_the_bytes_and_its_error_does_not_eat_the_item(gateway):
    gateway.create(
        "converters", name="down", type="DOWNLINK",
        script="function Encoder(msg, metadata, msgType, integrationMetadata) {\n"
        "  if (!msg.interval) { throw new Error('no interval'); }\n"
        "  return {contentType: 'BINARY', data: btoa(String.fromCharCode(1, msg.interval >> 8, msg.interval & 255)),"
        " metadata: {}};\n}",
    )  # fmt: skip
    http(gateway, downlinkConverter="down")
    broken = push(gateway, "d", msgType="config", msg={})
    good = push(gateway, "d", msgType="config", msg={"interval": 900})
    answer = gateway.post("key", BY_NAME)
    assert (answer.status, answer.body) == (200, bytes([1, 3, 132]))
    becomes(gateway, good, "DELIVERED")
    kept = gateway.api("GET", f"/devices/d/downlinks/{broken['id']}").json
    assert kept["state"] == "QUEUED"
    assert "no interval" in kept["reason"]


def test_priority_cancel_replace_and_last(gateway):
    http(gateway)
    text(gateway, "d", "low")
    text(gateway, "d", "high", priority=9)
    gone = text(gateway, "d", "gone", priority=10)
    assert gateway.api("DELETE", f"/devices/d/downlinks/{gone['id']}").status == 200
    assert gateway.post("key", BY_NAME).body == b"high"
    gateway.api("PUT", "/devices/d/downlinks?allowUnknown=true", [{"data": "only", "contentType": "TEXT"}])
    assert gateway.post("key", BY_NAME).body == b"only"
    text(gateway, "d", "old")
    text(gateway, "d", "new", policy="last")
    assert gateway.post("key", BY_NAME).body == b"new"
    assert gateway.post("key", BY_NAME).status == 204
    assert gateway.api("DELETE", f"/devices/d/downlinks/{gone['id']}").status == 409


def test_an_expired_item_does_not_leave(gateway):
    http(gateway)
    item = text(gateway, "d", "late", ttl=0.2)
    becomes(gateway, item, "EXPIRED", 30)
    assert gateway.post("key", BY_NAME).status == 204


def test_a_receipt_of_the_device_makes_the_item_successful(gateway):
    gateway.create(
        "converters", name="up",
        script="function Decoder(payload, metadata) {\n  var data = decodeToJson(payload);\n"
        "  return {deviceName: data.deviceName, telemetry: {t: data.t}, downlinkAck: data.ack};\n}",
    )  # fmt: skip
    http(gateway)
    spec = gateway.api("GET", "/datasources/http").json
    body = {key: spec[key] for key in ("name", "type", "routingKey")}
    assert gateway.api("PUT", "/datasources/http", {**body, "converter": "up"}).status == 200
    item = text(gateway, "d", "reboot now", msgType="reboot", confirmed=True)
    assert gateway.post("key", b'{"deviceName": "d", "t": 1}').body == b"reboot now"
    ack = {"msgType": "reboot", "success": True, "response": {"uptime": 0}}
    gateway.post("key", json.dumps({"deviceName": "d", "t": 2, "ack": ack}).encode())
    becomes(gateway, item, "SUCCESSFUL")


def test_every_change_is_an_event_at_the_api_and_at_a_broker(gateway, mosquitto):
    http(gateway)
    gateway.create(
        "integrations", name="broker", type="mqtt", route={"wants": ["events"]},
        configuration={"host": "127.0.0.1", "port": mosquitto.port, "topic": "events"},
    )  # fmt: skip
    with mosquitto.subscribe("events") as subscriber:
        text(gateway, "d", "hello")
        gateway.post("key", BY_NAME)
        expected = ["downlink.queued", "downlink.sent", "downlink.delivered"]
        wait_until(lambda: [each["event"] for each in subscriber.documents] == expected, what="three events")
    types = [event["type"] for event in gateway.api("GET", "/events?source=device").json["items"]]
    assert types[::-1] == expected


def test_an_item_survives_kill_nine(gateway):
    http(gateway)
    item = text(gateway, "d", "hello")
    gateway.kill()
    gateway.start()
    assert state(gateway, item) == "QUEUED"
    assert gateway.post("key", BY_NAME).body == b"hello"


def test_a_coap_device_that_is_awake_gets_an_item_at_once(gateway):
    """A device that serves CoAP on the port that it sends from gets a CON of the gateway."""
    coap(gateway)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.settimeout(HANGS)
        device.connect(("127.0.0.1", gateway.coap_port))
        device.send(b"\x40\x02\x12\x34\xb1i\x03key\xff" + BY_NAME)
        assert device.recv(2000)[1] == 0x44
        gateway.message_when("converted")
        item = text(gateway, "d", "now")
        request = device.recv(2000)
        assert request[0] & 0x30 == 0x00
        assert request.endswith(b"\xffnow")
        device.send(bytes([0x60 | (request[0] & 15), 0x44]) + request[2 : 4 + (request[0] & 15)])
        becomes(gateway, item, "DELIVERED")


@pytest.mark.parametrize(
    ("query", "settings"),
    [
        (b"\x46ttd=60", {"downlinkWindow": 0.001}),
        (b"", {"downlinkWindow": 0.001, "downlinkWindows": {"d": 60}}),
    ],
)
def test_a_device_says_how_long_it_listens_or_its_datasource_knows(gateway, query, settings):
    coap(gateway, **settings)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.settimeout(HANGS)
        device.connect(("127.0.0.1", gateway.coap_port))
        device.send(b"\x40\x02\x12\x34\xb1i\x03key" + query + b"\xff" + BY_NAME)
        assert device.recv(2000)[1] == 0x44
        gateway.message_when("converted")
        text(gateway, "d", "now")
        assert device.recv(2000).endswith(b"\xffnow")


def test_an_observer_gets_each_item_as_a_notification_and_its_acknowledgement_counts(gateway):
    coap(gateway)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.settimeout(HANGS)
        device.connect(("127.0.0.1", gateway.coap_port))
        device.send(b"\x41\x01\x00\x01\x07\x60\x51i\x03key\x08downlink\x01d")
        first = device.recv(2000)
        if first[1] == 0:  # an empty acknowledgement, then the response
            first = device.recv(2000)
        assert first[1] == 0x45
        for content in ("one", "two"):
            item = text(gateway, "d", content)
            notification = device.recv(2000)
            assert notification[0] & 0x30 == 0
            assert notification.endswith(b"\xff" + content.encode())
            device.send(b"\x60\x00" + notification[2:4])
            becomes(gateway, item, "DELIVERED")


def test_a_coap_device_that_does_not_answer_gets_the_item_with_its_next_uplink(gateway):
    url = coap(gateway, downlinkWindow=0.001)
    assert coap_client(url, BY_NAME) is not None
    gateway.message_when("converted")
    item = text(gateway, "d", "later")
    assert state(gateway, item) == "QUEUED"
    assert "later" in coap_client(url, BY_NAME)
    becomes(gateway, item, "DELIVERED")


def test_an_item_for_a_device_that_was_never_seen_waits(gateway):
    http(gateway)
    port = free_udp_port()
    assert port
    item = text(gateway, "never-seen", "hello")
    assert state(gateway, item) == "QUEUED"
    listed = gateway.api("GET", "/devices/never-seen/downlinks").json["items"]
    assert [each["id"] for each in listed] == [item["id"]]


@pytest.mark.parametrize("place", ["downlink/d", "d"], ids=["its own path", "the path of the uplinks"])
def test_libcoap_observes_the_items_of_a_device_those_that_waited_and_those_that_come(gateway, place):
    url = coap(gateway)
    waited = [text(gateway, "d", f"waited {number};") for number in range(3)]
    command = [
        find("stdbuf"),
        "-oL",
        find("coap-client-notls"),
        "-s",
        "600",
        "-m",
        "get",
        f"{url}/{place}",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as observer:
        try:
            for item in waited:
                becomes(gateway, item, "DELIVERED")
            for item in [text(gateway, "d", f"item {number};") for number in range(3)]:
                becomes(gateway, item, "DELIVERED")
        finally:
            observer.kill()
        assert observer.stdout.read() == b"waited 0;waited 1;waited 2;item 0;item 1;item 2;"


def test_receipts_as_an_object_and_as_an_array_and_those_that_mean_nothing(gateway):
    gateway.create(
        "converters", name="up", script="function Decoder(payload) { return decodeToJson(payload); }"
    )
    gateway.create("datasources", name="http", type="http", routingKey="key", converter="up")

    def uplink(device, *acks):
        document = {"deviceName": device, "telemetry": {"t": 1}}
        if acks:
            document["downlinkAck"] = acks[0] if len(acks) == 1 else acks
        assert gateway.post("key", json.dumps(document).encode()).status in (200, 204)

    items = [text(gateway, "d", kind, msgType=kind) for kind in ("a", "b", "c")]
    for item in items:
        uplink("d")
        becomes(gateway, item, "DELIVERED")
    uplink("somebody", {"id": items[0]["id"]}, {"msgType": "a"})
    uplink("d", {"id": "dl0000"}, {"msgType": "nobody"})
    uplink("d", {"id": items[2]["id"]})  # whoever has read this has read what was before it
    becomes(gateway, items[2], "SUCCESSFUL")
    assert [state(gateway, item) for item in items[:2]] == ["DELIVERED", "DELIVERED"]
    uplink("d", {"id": items[0]["id"], "success": False, "error": "no", "response": [1]}, {"msgType": "b"})
    becomes(gateway, items[1], "SUCCESSFUL")
    becomes(gateway, items[0], "FAILED")
    shown = gateway.api("GET", f"/devices/d/downlinks/{items[0]['id']}").json
    assert (shown["reason"], shown["response"]) == ("no", [1])
    assert gateway.api("GET", f"/devices/somebody/downlinks/{items[0]['id']}").status == 404
    assert gateway.api("DELETE", f"/devices/somebody/downlinks/{items[0]['id']}").status == 404


def test_a_tcp_device_that_closed_before_its_answer_gets_the_item_again(gateway):
    port = free_port()
    gateway.create(
        "datasources", name="tcp", type="tcp", converter="json",
        configuration={"port": port, "handler": {"type": "JSON"}},
    )  # fmt: skip
    item = text(gateway, "d", "go")
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(BY_NAME)
    wait_until(lambda: shown(gateway, item)["reason"] == "the connection broke", what="the item's return")
    assert exchange(socket.SOCK_STREAM, port, BY_NAME) == b"go"


def shown(gateway, item):
    return gateway.api("GET", f"/devices/{item['device']}/downlinks/{item['id']}").json
