"""The operator's ``forbid`` holds for everything that a gateway connects to: a door that nobody may knock at."""

from __future__ import annotations

import socket

import pytest

from tests.peers.gateway import Gateway
from tests.peers.process import wait_until

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJcqpRqwxLYOKFmqbPNxRx4XHbY0+0vmx5a0XL2xu7Nn"
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


INTEGRATIONS = {
    "http": lambda host, port: ("http", {"url": f"http://{host}:{port}/"}),
    "https": lambda host, port: ("http", {"url": f"https://{host}:{port}/"}),
    "oauth2": lambda host, port: (
        "http",
        {
            "url": "http://192.0.2.1/",
            "auth": {
                "type": "oauth2",
                "tokenUrl": f"http://{host}:{port}/t",
                "clientId": "a",
                "clientSecret": "b",
            },
        },
    ),
    "mqtt": lambda host, port: ("mqtt", {"host": host, "port": port}),
    "thingsboard": lambda host, port: ("thingsboard", {"host": host, "port": port, "token": "t"}),
    "sftp": lambda host, port: (
        "sftp",
        {"host": host, "port": port, "username": "u", "password": "p", "hostKeys": [KEY]},
    ),
}


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("kind", sorted(INTEGRATIONS))
def test_no_integration_knocks(gateway, door, kind, host):
    type_, configuration = INTEGRATIONS[kind](host, door.getsockname()[1])
    name = f"{kind}-{host.partition('.')[0]}"
    gateway.create("integrations", name=name, type=type_, configuration=configuration)

    def checked():
        answer = gateway.api("POST", f"/integrations/{name}/check")
        return answer.json if answer.status == 200 else None

    answer = wait_until(checked, 20, "the target to be there")
    assert not answer["ok"]
    assert f"{host} leads to" in answer["detail"] and "forbidden here" in answer["detail"]
    with pytest.raises(BlockingIOError):
        door.accept()


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("type_", ["mqtt", "dragino-mqtt"])
def test_no_datasource_knocks(gateway, door, type_, host):
    name = f"{type_}-{host.partition('.')[0]}"
    configuration = {"host": host, "port": door.getsockname()[1], "topics": ["#"]}
    gateway.create("datasources", name=name, type=type_, configuration=configuration)

    def refused():
        return gateway.api("GET", f"/datasources/{name}").json["status"].get("lastError")

    said = wait_until(refused, 20, "its word")
    assert f"{host} leads to" in said and "forbidden here" in said
    with pytest.raises(BlockingIOError):
        door.accept()
