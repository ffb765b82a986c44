"""Small messages that would make large ones, against a running gateway."""

from __future__ import annotations

import base64
import json
import socket

import cbor2

from tests.peers.process import free_udp_port, wait_until
from tests.unit.wire import bombs


def test_shared_values_in_a_datagram_are_kept_as_they_came_and_expand_to_nothing(gateway):
    port = free_udp_port()
    gateway.create("datasources", name="lobaro", type="lobaro-udp", configuration={"port": port})
    good = cbor2.dumps({"i": "123456101550542", "n": 1, "q": "status", "d": {"vbat": 3688}})
    assert len(bombs.SHARED) == 131
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        for data in (bombs.SHARED, bombs.REFERENCES, good):
            device.sendto(data, ("127.0.0.1", port))
    found = wait_until(lambda: len(found := gateway.messages()) == 3 and found, what="three messages")
    by_payload = {base64.b64decode(message["payload"]): message["metadata"] for message in found}
    for bomb in (bombs.SHARED, bombs.REFERENCES):
        assert by_payload[bomb]["encoding"] == "raw"
        assert len(json.dumps(by_payload[bomb])) < 500
    assert by_payload[good]["input"]["d"] == {"vbat": 3688}


def test_an_array_that_is_only_its_beginning_is_a_failed_message_and_no_error_of_the_gateway(gateway):
    gateway.create(
        "datasources", name="http", type="http", routingKey="http", configuration={"split": "array"}
    )
    assert gateway.post("http", b"[" * 100_000).status == 400
    assert gateway.post("http", b"[" + b"1," * 10_000 + b"1]").status == 400
    assert gateway.post("http", b"[1,2]").status == 204
    assert len(gateway.messages()) == 4
