"""Connections take all file descriptors that the process may have: an operator still gets in, looks, and acts."""

import contextlib
import resource
import socket

import pytest

from tests.peers.process import free_port, wait_until

MOST = 128
"""Files and connections that the gateway may have open."""


@pytest.fixture
def poor(gateway):
    """A gateway that has few descriptors."""
    resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (MOST, MOST))
    return gateway


@pytest.fixture
def crowd():
    """``crowd(port)``: more connections than there are descriptors, all of them silent."""
    with contextlib.ExitStack() as stack:

        def connect(port):
            for _ in range(2 * MOST):
                connection = socket.create_connection(("127.0.0.1", port), timeout=30)
                stack.callback(connection.close)
                yield connection

        yield lambda port: list(connect(port)), stack


def tcp(gateway, port):
    configuration = {"port": port, "interface": "127.0.0.1", "handler": {"type": "TEXT"}}
    gateway.create("datasources", name="field", type="tcp", converter="json", configuration=configuration)


def http(gateway, port):
    gateway.create(
        "datasources", name="field", type="http", routingKey="field", converter="json",
        configuration={"endpoint": f"tcp:{port}:interface=127.0.0.1"},
    )  # fmt: skip


def of_the_api(gateway, port):
    gateway.create("datasources", name="field", type="http", routingKey="field", converter="json")


def events(gateway, type):
    return [event for event in gateway.api("GET", "/events?limit=500").json["items"] if event["type"] == type]


@pytest.mark.parametrize(
    "listener", [tcp, *(pytest.param(each, marks=pytest.mark.interop) for each in (http, of_the_api))]
)
def test_an_operator_gets_in_when_connections_have_taken_everything(poor, crowd, listener):
    port = poor.port if listener is of_the_api else free_port()
    listener(poor, port)
    connect, connections = crowd
    connect(port)
    wait_until(poor.ready, what="the last of the burst to be dealt with")
    wait_until(lambda: events(poor, "files-few"), what="the event")
    for number in range(40):
        answer = poor.api("PATCH", "/datasources/field", {"description": str(number)})
        assert (answer.status, answer.json["description"]) == (200, str(number))
        assert poor.ready()
    made = poor.api("POST", "/tokens", {"name": "operator", "role": "viewer"})
    assert made.status == 201
    (event,) = events(poor, "files-few")
    assert event["severity"] == "error"
    assert "kept for the API" in event["message"]
    connections.close()
    wait_until(lambda: events(poor, "files-enough"), what="the event")


def test_devices_beyond_are_refused_which_is_said_and_those_within_are_served(poor, crowd):
    port = free_port()
    tcp(poor, port)
    connect, connections = crowd
    devices = connect(port)

    def status():
        return poor.api("GET", "/datasources/field").json["status"]

    found = wait_until(lambda: (now := status())["connections"] + now["refused"] == len(devices) and now)
    assert 10 < found["connections"] < MOST - 32
    assert "too few files" in events(poor, "refused")[0]["message"]
    devices[0].sendall(b'{"deviceName": "first", "n": 1}\n')
    assert poor.message_when("converted")
    connections.close()
    wait_until(lambda: status()["connections"] == 0, what="the connections to end")
    with socket.create_connection(("127.0.0.1", port)) as late:
        late.sendall(b'{"deviceName": "late", "n": 2}\n')
        wait_until(lambda: len(poor.messages()) == 2, what="the message")


def test_an_upload_over_a_place_that_is_the_apis_is_told_to_come_back(poor, crowd):
    of_the_api(poor, poor.port)
    connect, connections = crowd
    connect(poor.port)
    wait_until(poor.ready, what="the last of the burst to be dealt with")
    body = b'{"deviceName": "d", "n": 1}'
    answer = poor.post("field", body)
    assert (answer.status, answer.headers["Retry-After"], answer.headers["Connection"]) == (
        503,
        "10",
        "close",
    )
    connections.close()
    wait_until(lambda: poor.post("field", body).status == 204, what="room")
