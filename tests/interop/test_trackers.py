"""Trackers that are answered by their converters, through the running gateway: the login names the connection's device, each
packet gets its acknowledgement, and the position arrives at the target."""

from __future__ import annotations

import socket

import pytest

from tests.interop.test_vendor_devices import vectors
from tests.peers.gateway import Gateway
from tests.peers.patience import HANGS
from tests.peers.process import free_port, free_udp_port, wait_until

GT06 = {
    "type": "BINARY",
    "maxFrameLength": 1024,
    "headers": [
        {"start": "7878", "lengthFieldOffset": 2, "lengthFieldLength": 1, "lengthAdjustment": 2},
        {"start": "7979", "lengthFieldOffset": 2, "lengthFieldLength": 2, "lengthAdjustment": 2},
    ],
}
TELTONIKA = {
    "type": "BINARY",
    "maxFrameLength": 4096,
    "headers": [
        {"start": "000f", "lengthFieldLength": 2},
        {"start": "00000000", "lengthFieldOffset": 4, "lengthFieldLength": 4, "lengthAdjustment": 4},
    ],
}


@pytest.fixture
def field(tmp_path, http_sink):
    with Gateway(tmp_path / "gateway").start() as gateway:
        gateway.create("integrations", name="http", type="http", configuration={"url": http_sink.url})
        yield gateway


def tracker(field, name, type_, handler):
    """A datasource with one of the library's converters; its port."""
    port = (free_port if type_ == "tcp" else free_udp_port)()
    field.create(
        "datasources", name=f"{name}-{type_}", type=type_, converter=f"trackers/{name}",
        configuration={"port": port, "interface": "127.0.0.1", "handler": handler},
    )  # fmt: skip
    return port


def packets(name, *titles):
    """Payloads of the library's vectors, and what answers them."""
    known = {vector["name"].split(",")[0]: vector for vector in vectors(f"trackers/{name}")}
    chosen = [known[title] for title in titles]
    return [bytes.fromhex(each["payload"]) for each in chosen], [
        bytes(each["output"]["reply"]["data"]) for each in chosen
    ]


def talk(port, data, size, wanted):
    """Send all at once or in pieces, as one connection; what came back."""
    with socket.create_connection(("127.0.0.1", port), timeout=HANGS) as connection:
        for start in range(0, len(data), size):
            connection.sendall(data[start : start + size])
        heard = b""
        while len(heard) < wanted:
            heard += connection.recv(4096)
    return heard


@pytest.mark.parametrize("size", [7, 10_000])
def test_a_tracker_s_packets_are_answered_in_order_and_named_by_its_login(field, http_sink, size):
    port = tracker(field, "gt06", "tcp", GT06)
    payloads, answers = packets("gt06", "login", "location", "external voltage in a long packet", "status")
    assert talk(port, b"".join(payloads), size, len(b"".join(answers))) == b"".join(answers)
    assert answers[0].hex() == "787805010001d9dc0d0a"
    wait_until(lambda: len(http_sink.documents) >= 3, 30, "what follows the login")
    assert {document["deviceName"] for document in http_sink.documents} == {"860000000000017"}
    first = min(http_sink.documents, key=lambda document: document["telemetry"][0]["ts"])
    assert first["telemetry"][0]["values"]["latitude"] == 15.652943


def test_records_are_acknowledged_by_their_number(field, http_sink):
    port = tracker(field, "teltonika", "tcp", TELTONIKA)
    payloads, answers = packets(
        "teltonika", "IMEI", "codec 8 over TCP", "codec 8 extended over TCP", "codec 8 over TCP"
    )
    assert talk(port, b"".join(payloads), 10_000, 13) == b"".join(answers)
    wait_until(lambda: len(http_sink.documents) >= 3, 30, "the records")
    assert {document["deviceName"] for document in http_sink.documents} == {"356307042441013"}


def test_records_over_udp_are_acknowledged_each_time_they_come(field, http_sink):
    port = tracker(field, "teltonika", "udp", {"type": "BINARY"})
    (payload,), (answer,) = packets("teltonika", "codec 8 over UDP")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.settimeout(HANGS)
        for _ in range(2):
            device.sendto(payload, ("127.0.0.1", port))
            assert device.recv(100) == answer
    wait_until(lambda: len(http_sink.documents) >= 2, 30, "both datagrams")
