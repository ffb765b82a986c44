"""Types of a package that is installed beside the gateway: they share its ports and its listener."""

import ast
import json
import socket

import pytest

from tests.interop import acme
from tests.peers.coap import con_post
from tests.peers.gateway import ROOT, Gateway, request
from tests.peers.process import free_udp_port, wait_until

CHANGED, NOT_FOUND = 0x44, 0x84


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("third-party")
    packages = folder / "packages"
    packages.mkdir()
    acme.install(packages)
    with Gateway(folder / "gateway", env={"PYTHONPATH": f"{ROOT}:{packages}"}).start() as running:
        yield running


@pytest.fixture(scope="module")
def port(gateway):
    """A CoAP port that a built-in datasource and one of the package's have."""
    number = free_udp_port()
    configuration = {"port": number, "interface": "127.0.0.1"}
    gateway.create(
        "datasources", name="own", type="coap", routingKey="k", converter="json", configuration=configuration
    )
    gateway.create(
        "datasources", name="acme", type="acme-coap", routingKey="key", converter="json",
        configuration=configuration,
    )  # fmt: skip
    return number


def post(port, path, payload):
    """The code and the payload of a device's answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.connect(("127.0.0.1", port))
        device.settimeout(20)
        device.send(con_post(1, b"t", path, payload))
        answer = device.recv(2000)
    return answer[1], answer.partition(b"\xff")[2]


def refused(gateway, **body):
    """Why a datasource could not be opened."""
    answer = gateway.api("POST", "/datasources", body)
    assert answer.status == 409, answer.body
    return answer.json["detail"]


def test_the_package_imports_nothing_of_the_gateway_but_its_extension_module():
    imported = {
        node.module
        for path in acme.MODULES.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module.startswith("iotgw")
    }
    assert imported == {"iotgw.extension"}


def test_messages_of_both_come_in_by_one_port_and_leave_by_the_package_s_integration(gateway, port, tmp_path):
    log = tmp_path / "log"
    gateway.create("integrations", name="log", type="acme-log", configuration={"path": str(log)})
    assert post(port, "i/k", b'{"deviceName": "a", "t": 1}') == (CHANGED, b"")
    assert post(port, "acme/key", b'{"deviceName": "b", "t": 2}') == (CHANGED, b"thank you")
    assert {each["datasource"] for each in gateway.messages()} == {"own", "acme"}

    def delivered():
        lines = log.read_text().splitlines() if log.exists() else []
        return {json.loads(line)["deviceName"] for line in lines}

    wait_until(lambda: delivered() == {"a", "b"}, what="both messages in the log")


def test_each_goes_on_while_the_other_is_closed(gateway, port):
    for mine, other, path in (("own", "acme", "i/k"), ("acme", "own", "acme/key")):
        assert gateway.api("PATCH", f"/datasources/{other}", {"enabled": False}).status == 200
        assert post(port, path, b'{"deviceName": "a"}')[0] == CHANGED
        assert gateway.api("GET", f"/datasources/{mine}").json["status"]["state"] == "listening"
        assert gateway.api("PATCH", f"/datasources/{other}", {"enabled": True}).status == 200
    assert post(port, "i/k", b'{"deviceName": "a"}')[0] == CHANGED


def test_a_path_of_the_listener_is_the_package_s(gateway):
    gateway.create("datasources", name="hook", type="acme-hook", configuration={"path": "acme/hook"})
    answer = request("PUT", f"{gateway.url}/acme/hook/more", b'{"deviceName": "c"}')
    assert answer.status == 202
    (message,) = gateway.messages(datasource="hook")
    assert message["metadata"]["path"] == "more"
    assert request("PUT", f"{gateway.url}/acme/other", b"{}").status == 404
    assert gateway.api("DELETE", "/datasources/hook").status == 200
    assert request("PUT", f"{gateway.url}/acme/hook/more", b"{}").status == 404


def test_a_path_that_somebody_has_is_refused_with_the_path(gateway, port):
    gateway.create("datasources", name="web", type="http", routingKey="w")
    hook = {"name": "late", "type": "acme-hook"}
    assert "/api" in refused(gateway, **hook, configuration={"path": "api/v1/mine"})
    reason = refused(gateway, **hook, configuration={"path": "i/w"})
    assert "'late' needs /i/w on the API's listener; 'web' has" in reason
    second = {"name": "twin", "type": "acme-coap", "routingKey": "key"}
    configuration = {"port": port, "interface": "127.0.0.1"}
    reason = refused(
        gateway, **{**second, "type": "lobaro-coap"}, configuration=configuration | {"path": "acme/key"}
    )
    assert "/acme/key is taken" in reason


def test_a_port_that_somebody_has_is_refused_with_both_names(gateway, port):
    number = free_udp_port()
    one = {"port": number, "interface": "127.0.0.1"}
    gateway.create("datasources", name="first", type="udp", configuration=one)
    for kind, configuration in (("udp", {"port": number}), ("acme-coap", one), ("lobaro-coap", one)):
        reason = refused(gateway, name="second", type=kind, configuration=configuration)
        assert "'second' needs UDP port" in reason
        assert f"'first' has UDP port {number} on 127.0.0.1" in reason
        newest = gateway.api("GET", "/events?name=second").json["items"][0]
        assert "'first' has" in newest["message"]
