"""The operator's ``forbid`` holds for everything that a gateway connects to: a door that nobody may knock at."""

from __future__ import annotations

import socket

import pytest

from iotgw.app.parts import DATASOURCES
from iotgw.app.parts import INTEGRATIONS as INTEGRATIONS_OF_APP
from iotgw.core.types import Types
from iotgw.testing import FakeConnector, MemoryReactor
from tests.peers.gateway import Gateway
from tests.peers.process import wait_until

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJcqpRqwxLYOKFmqbPNxRx4XHbY0+0vmx5a0XL2xu7Nn"
CONNECTING = {"host", "url", "brokers", "queue_url", "stream", "project", "connection_string"}
"""Settings of types that connect to somewhere."""
HOSTS = ("127.0.0.1", "localhost")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    settings = '[integrations]\nforbid = ["loopback"]\n'
    with Gateway(tmp_path_factory.mktemp("forbid"), settings=settings) as made:
        yield made


@pytest.fixture
def door():
    """A port; ``accept`` on it raises BlockingIOError when nobody has knocked."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


AWS = {"accessKeyId": "a", "secretAccessKey": "b"}
PUSHED = {"project": "plant", "subscription": "sub", "audience": "a", "serviceAccount": "s@example.com"}
NOWHERE = "http://192.0.2.1/"


def proxied(**settings):
    """Somewhere on the internet, by a proxy that is at the door."""
    return lambda host, port: {**settings, "proxy": f"http://{host}:{port}"}


def token(host, port):
    return {"tokenUrl": f"http://{host}:{port}/t", "clientId": "a", "clientSecret": "b"}


INTEGRATIONS = {
    "http": lambda host, port: {"url": f"http://{host}:{port}/"},
    "http-tls": lambda host, port: {"url": f"https://{host}:{port}/"},
    "http-oauth2": lambda host, port: {"url": NOWHERE, "auth": {"type": "oauth2", **token(host, port)}},
    "http-proxy": proxied(url=NOWHERE),
    "mqtt": lambda host, port: {"host": host, "port": port},
    "mqtt-ws": lambda host, port: {"host": f"ws://{host}:{port}/mqtt"},
    "mqtt-proxy": proxied(host="192.0.2.1"),
    "thingsboard": lambda host, port: {"host": host, "port": port, "token": "t"},
    "thingsboard-http": lambda host, port: {"url": f"http://{host}:{port}", "token": "t"},
    "sftp": lambda host, port: {"host": host, "port": port, "username": "u", "password": "p", "hostKeys": [KEY]},
    "sftp-proxy": proxied(host="192.0.2.1", username="u", password="p", hostKeys=[KEY]),
    "kafka": lambda host, port: {"brokers": [f"{host}:{port}"], "topic": "t"},
    "azure-event-hub": lambda host, port: {"connectionString": event_hub(host, port)},
    "rabbitmq": lambda host, port: {"host": host, "port": port, "username": "u", "password": "p"},
    "rabbitmq-proxy": proxied(host="192.0.2.1", username="u", password="p"),
    "aws-sqs": lambda host, port: {**AWS, "queueUrl": f"http://{host}:{port}/1/q", "region": "eu-central-1"},
    "aws-sqs-proxy": proxied(**AWS, queueUrl=f"{NOWHERE}1/q", region="eu-central-1"),
    "aws-kinesis": lambda host, port: {**AWS, "stream": "s", "region": "eu-central-1", "endpoint": f"http://{host}:{port}"},
    "azure-iot-hub": lambda host, port: {"connectionString": iot_hub(host, port)},
    "azure-iot-hub-ws": lambda host, port: {"connectionString": iot_hub(host, port), "websocket": True},
    "azure-iot-hub-proxy": proxied(connectionString="HostName=192.0.2.1;SharedAccessKeyName=n;SharedAccessKey=a2V5"),
    "google-pubsub": lambda host, port: {"project": "plant", "topic": "top", "endpoint": f"http://{host}:{port}"},
    "google-pubsub-proxy": proxied(project="plant", topic="top", endpoint=NOWHERE),
}  # fmt: skip
"""By a type, and by a way there where it has several."""
WAYS = ("tls", "oauth2", "proxy", "ws")
SOURCES = {
    "mqtt": lambda host, port: {"host": host, "port": port, "topics": ["#"]},
    "mqtt-ws": lambda host, port: {"host": f"ws://{host}:{port}/mqtt", "topics": ["#"]},
    "dragino-mqtt": lambda host, port: {"host": host, "port": port, "topics": ["#"]},
    "kafka": lambda host, port: {"brokers": [f"{host}:{port}"], "topics": ["t"]},
    "azure-event-hub": lambda host, port: {"connectionString": event_hub(host, port)},
    "rabbitmq": lambda host, port: {"host": host, "port": port, "username": "u", "password": "p", "queue": "q"},
    "aws-sqs": lambda host, port: {**AWS, "queueUrl": f"http://{host}:{port}/1/q", "region": "eu-central-1"},
    "aws-kinesis": lambda host, port: {**AWS, "stream": "s", "region": "eu-central-1", "endpoint": f"http://{host}:{port}"},
    "google-pubsub": lambda host, port: {"project": "plant", "subscription": "sub", "endpoint": f"http://{host}:{port}"},
    "google-pubsub-push": lambda host, port: {**PUSHED, "keys": {"url": f"http://{host}:{port}/certs"}},
    "google-pubsub-push-proxy": lambda host, port: {**PUSHED, "keys": {"url": NOWHERE, "proxy": f"http://{host}:{port}"}},
    "azure-iot-hub": lambda host, port: {"connectionString": event_hub(host, port)},
    "opc-ua": lambda host, port: {"url": f"opc.tcp://{host}:{port}"},
}  # fmt: skip


def iot_hub(host, port):
    return f"HostName={host}:{port};SharedAccessKeyName=n;SharedAccessKey=a2V5"


def event_hub(host, port):
    return f"Endpoint=sb://{host}:{port};SharedAccessKeyName=n;SharedAccessKey=a2V5;EntityPath=e"


def type_of(kind):
    head, _, way = kind.rpartition("-")
    return head if way in WAYS else kind


@pytest.mark.parametrize(
    ("kind", "table", "known"),
    [("datasource", DATASOURCES, SOURCES), ("integration", INTEGRATIONS_OF_APP, INTEGRATIONS)],
)
def test_every_type_that_connects_has_a_case(kind, table, known):
    types = Types("none", MemoryReactor(), table, FakeConnector())
    connecting = {each.name for each in types if set(each.settings.__struct_fields__) & CONNECTING}
    assert connecting - {type_of(each) for each in known} == set()


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("kind", sorted(INTEGRATIONS))
def test_no_integration_knocks(gateway, door, kind, host):
    configuration = INTEGRATIONS[kind](host, door.getsockname()[1])
    name = f"{kind}-{host.partition('.')[0]}"
    gateway.create("integrations", name=name, type=type_of(kind), configuration=configuration)

    def checked():
        answer = gateway.api("POST", f"/integrations/{name}/check")
        return answer.json if answer.status == 200 else None

    answer = wait_until(checked, 20, "the target to be there")
    assert not answer["ok"]
    assert "forbidden here" in answer["detail"]
    with pytest.raises(BlockingIOError):
        door.accept()


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("kind", sorted(SOURCES))
def test_no_datasource_knocks(gateway, door, kind, host):
    name = f"{kind}-{host.partition('.')[0]}"
    configuration = SOURCES[kind](host, door.getsockname()[1])
    gateway.create(
        "datasources", name=name, type=type_of(kind), routingKey=f"key-{name}", configuration=configuration
    )

    def refused():
        return gateway.api("GET", f"/datasources/{name}").json["status"].get("lastError")

    said = wait_until(refused, 20, "its word")
    assert "forbidden here" in said
    with pytest.raises(BlockingIOError):
        door.accept()


UPLINK = {"end_device_ids": {"device_id": "probe-7", "dev_eui": "70B3D57ED0000017"}, "received_at": "2026-11-22T00:00:00Z",
          "uplink_message": {"session_key_id": "k", "f_cnt": 1, "f_port": 2, "frm_payload": "AOc="}}  # fmt: skip


@pytest.mark.parametrize("way", ["server", "proxy"])
@pytest.mark.parametrize("host", HOSTS)
def test_no_call_of_a_platform_s_api_knocks(gateway, door, host, way):
    """A downlink by the API of a network that posts uplinks."""
    there, name = f"http://{host}:{door.getsockname()[1]}", f"tts-{way}-{host.partition('.')[0]}"
    access = {
        "server": NOWHERE,
        "values": {"application": "a", "webhook": "w"},
        "secrets": {"token": "t"},
        way: there,
    }
    gateway.create(
        "converters",
        name=name,
        script="function Decoder(p, m) { return {deviceName: '" + name + "', telemetry: {n: 1}}; }",
    )
    gateway.create(
        "datasources", name=name, type="http", routingKey=f"key-{name}", converter=name,
        configuration={"preset": "the-things-stack", "downlinkApi": access},
    )  # fmt: skip
    uplink = {**UPLINK, "end_device_ids": {**UPLINK["end_device_ids"], "device_id": name}}
    assert gateway.post(f"key-{name}", uplink).status < 300
    wait_until(lambda: gateway.api("GET", f"/devices/{name}").status == 200, 20, "the device to be known")
    answer = gateway.api("POST", f"/devices/{name}/downlinks?allowUnknown=true", {"data": "AQ=="})
    assert answer.status < 300, answer.body

    def refused():
        return "forbidden here" in str(gateway.api("GET", f"/datasources/{name}").json["status"])

    wait_until(refused, 20, "its word")
    with pytest.raises(BlockingIOError):
        door.accept()
