"""A thousand connections that send their requests byte by byte keep nobody out."""

import contextlib
import resource
import socket

import pytest

from tests.peers.gateway import Gateway
from tests.peers.process import free_port

pytestmark = pytest.mark.interop

CONNECTIONS = 1000
BEGINNINGS = {
    "nothing": b"",
    "a first line": b"PO",
    "a head": b"POST /i/web HTTP/1.1\r\nX-Slow: ",
    "a body": b"POST /i/web HTTP/1.1\r\nContent-Length: 100000\r\n\r\n",
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with Gateway(tmp_path_factory.mktemp("trickling")) as made:
        made.create("datasources", name="web", type="http", routingKey="web", converter="json")
        made.own = free_port()
        configuration = {"endpoint": f"tcp:{made.own}:interface=127.0.0.1"}
        made.create(
            "datasources", name="own", type="http", routingKey="own", converter="json", configuration=configuration
        )  # fmt: skip
        yield made


class Crowd:
    """Connections that trickle."""

    def __init__(self, port, beginning):
        self._sockets = []
        for _ in range(CONNECTIONS):
            with contextlib.suppress(OSError):
                self._sockets.append(socket.create_connection(("127.0.0.1", port)))
        self.send(beginning)

    def send(self, data):
        for each in self._sockets:
            with contextlib.suppress(OSError):  # it was cut off
                each.send(data)

    def close(self):
        for each in self._sockets:
            each.close()


@pytest.fixture
def crowd():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    made = []

    def gather(port, beginning):
        made.append(Crowd(port, beginning))
        return made[0]

    yield gather
    for each in made:
        each.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


OFTEN = ("a head",)
"""What is tried with each `make test`; the rest takes long, and is like it."""


@pytest.mark.parametrize(
    "beginning",
    [
        pytest.param(bytes_, id=name, marks=() if name in OFTEN else pytest.mark.interop)
        for name, bytes_ in BEGINNINGS.items()
    ],
)
def test_an_operator_and_a_device_get_in(gateway, crowd, beginning):
    tricklers = crowd(gateway.port, beginning)
    for number in range(20):
        tricklers.send(b"a")
        assert gateway.api("GET", "/datasources").status == 200
        assert gateway.post("web", b'{"deviceName": "d", "n": %d}' % number).status == 204
    assert gateway.api("GET", "/status").json["refusals"]["api"]["slow"] > 20
    (event,) = gateway.api("GET", "/events?type=refused&limit=1").json["items"]
    assert "too many others wanted its place" in event["message"]


def test_a_device_gets_in_where_a_datasource_listens_by_itself(gateway, crowd):
    tricklers = crowd(gateway.own, BEGINNINGS["a head"])
    api, gateway.port = gateway.port, gateway.own
    try:
        for number in range(20):
            tricklers.send(b"a")
            assert gateway.post("own", b'{"deviceName": "d", "n": %d}' % number).status == 204
    finally:
        gateway.port = api
