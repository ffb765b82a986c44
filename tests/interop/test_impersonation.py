"""Strangers at every open port of a whole gateway name a device that has a key, or that belongs to another datasource: none
is converted as it, and none gets its downlink."""

import base64
import contextlib
import json
import socket
import subprocess
import sys

import pytest

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import encode, options, uri_options
from tests.peers.gateway import Gateway, request
from tests.peers.patience import HANGS
from tests.peers.process import free_port, free_udp_port, wait_until

RESOURCES = """
[[credential]]
name = "meter-7"
identity = "sim-4711"
device = "meter-7"
secrets = [{{ value = "correct horse battery staple" }}]

[[datasource]]
name = "secure"
type = "coap"
routingKey = "secure"
converter = "json"
configuration = {{ interface = "127.0.0.1", securityMode = "DTLS", securePort = {secure} }}

[[datasource]]
name = "own"
type = "http"
routingKey = "own"
converter = "json"

[[datasource]]
name = "http"
type = "http"
routingKey = "open"
converter = "json"

[[datasource]]
name = "coap"
type = "coap"
routingKey = "open"
converter = "json"
configuration = {{ interface = "127.0.0.1", port = {coap} }}

[[datasource]]
name = "tcp"
type = "tcp"
converter = "json"
configuration = {{ interface = "127.0.0.1", port = {tcp}, handler = {{ type = "JSON" }} }}

[[datasource]]
name = "udp"
type = "udp"
converter = "json"
configuration = {{ interface = "127.0.0.1", port = {udp}, handler = {{ type = "JSON" }} }}

[[datasource]]
name = "platform"
type = "http"
routingKey = "platform"
converter = "json"
configuration = {{ profile = "sigfox" }}
"""
PORTS = {"secure": free_udp_port, "coap": free_udp_port, "udp": free_udp_port, "tcp": free_port}


@pytest.fixture(scope="module")
def ports():
    return {name: find() for name, find in PORTS.items()}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, ports):
    resources = RESOURCES.format(**ports)
    with Gateway(tmp_path_factory.mktemp("gateway"), resources).start() as gateway:
        command = ["simulate", "coaps", "--psk-identity", "sim-4711", "--psk", "correct horse battery staple"]
        subprocess.run(
            [sys.executable, "-m", "iotgw.ctl.main", "--url", gateway.url, *command, "--path", "/i/secure",
             "--port", str(ports["secure"]), "--count", "1", "--devices", "1"],
            check=True, timeout=HANGS, env={"IOTGW_TOKEN": gateway.token}, capture_output=True,
        )  # fmt: skip
        assert gateway.post("own", b'{"deviceName": "plain", "t": 1}').status == 204
        gateway.message_when("converted", datasource="own")
        for device in ("meter-7", "plain"):
            item = {"data": "secret", "contentType": "TEXT"}
            assert gateway.api("POST", f"/devices/{device}/downlinks?allowUnknown=true", item).status == 201
        yield gateway


def outcome(gateway, datasource, body):
    """The message of a datasource that has this body, as soon as it has an outcome."""
    payload = base64.b64encode(body).decode()

    def there():
        found = gateway.messages(datasource=datasource, limit=100)
        ended = [each for each in found if each["payload"] == payload and each["state"] != "received"]
        return ended[0] if ended else None

    return wait_until(there, HANGS, f"the outcome of {body}")


def http(gateway, ports, body):
    return request("POST", f"{gateway.url}/i/open", body).body


def coap(gateway, ports, body):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.settimeout(HANGS)
        device.sendto(
            encode(n.CON, n.POST, 1, b"t", options(*uri_options("i/open")), body),
            ("127.0.0.1", ports["coap"]),
        )
        return device.recv(2000)


def tcp(gateway, ports, body):
    with socket.create_connection(("127.0.0.1", ports["tcp"]), timeout=HANGS) as device:
        device.sendall(body)
        device.shutdown(socket.SHUT_WR)
        return device.recv(2000)


def udp(gateway, ports, body):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.sendto(body, ("127.0.0.1", ports["udp"]))
        outcome(gateway, "udp", body)
        device.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            return device.recv(2000)
        return b""


@pytest.mark.parametrize(
    ("device", "reason"),
    [("meter-7", "has a credential, and must prove"), ("plain", "belongs to another datasource")],
)
@pytest.mark.parametrize("way", [http, coap, tcp, udp])
def test_a_stranger_at_an_open_port_is_nobody_else(gateway, ports, way, device, reason):
    body = json.dumps({"deviceName": device, "t": 1}).encode()
    answer = way(gateway, ports, body)
    message = outcome(gateway, way.__name__, body)
    assert b"secret" not in answer
    assert (message["state"], message["error"]["name"]) == ("failed", "IdentityMismatch")
    assert message["error"]["message"].startswith(f"device {device!r} {reason}")
    (item,) = gateway.api("GET", f"/devices/{device}/downlinks").json["items"]
    assert item["state"] == "QUEUED"


def test_a_platform_speaks_for_any_device_until_it_may_not(gateway):
    body = b'{"device": "4711", "deviceName": "meter-7", "data": "00", "ack": false}'
    assert gateway.post("platform", body).status == 204
    assert outcome(gateway, "platform", body)["state"] == "converted"
    assert gateway.api("PATCH", "/datasources/platform", {"speaksFor": "own"}).status == 200
    body = body.replace(b"00", b"01")
    assert gateway.post("platform", body).status == 204
    message = outcome(gateway, "platform", body)
    assert message["state"] == "failed"
    assert gateway.api("GET", "/datasources/platform").json["status"]["refusals"] == {"identity": 1}
    assert gateway.api("PATCH", "/datasources/platform", {"speaksFor": "all"}).status == 200
    path = f"/messages/{message['id']}"
    assert gateway.api("POST", f"{path}/reprocess").status == 200
    wait_until(lambda: gateway.api("GET", path).json["state"] == "converted", HANGS, "the new outcome")


def test_the_device_itself_gets_its_downlink(gateway):
    answer = gateway.post("own", b'{"deviceName": "plain", "t": 2}')
    assert (answer.status, answer.body) == (200, b"secret")


def test_its_rule_holds_when_the_gateway_was_killed(gateway):
    body = b'{"deviceName": "new", "t": 1}'
    assert gateway.post("own", body).status == 204
    assert outcome(gateway, "own", body)["state"] == "converted"
    gateway.kill()
    gateway.start()
    assert gateway.post("open", body).status == 204
    message = outcome(gateway, "http", body)
    assert "'new' belongs to another datasource" in message["error"]["message"]
