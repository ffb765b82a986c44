"""The site of the ETSI CoAP plugtests, and how their tests look at it."""

from __future__ import annotations

from random import Random

from iotgw.wire.coap.endpoint import Endpoint

from .etsi_site import make_site
from .probe import (
    ACK,
    CON,
    CONTENT_FORMAT,
    NON,
    Virtual,
)

TEXT = (CONTENT_FORMAT, 0)


class Plugtest(Virtual):
    def __init__(self):
        site, self.resources = make_site()
        super().__init__(lambda send, clock: Endpoint(site, send, clock, random=Random(3)))

    def change(self, path, *state):
        self.resources[path].change(self.endpoint, *state)


def values(answer, number):
    return [value for key, value in answer.options if key == number]


def exchange(client, code, expected, type_, payload=b"", path="test"):
    answer = client.ask(
        code, path, payload, *([TEXT] if payload else []), type=type_, token=b"ct", mid=0x0AAA
    )
    assert answer.code in expected
    assert answer.token == b"ct"
    assert (answer.type == ACK and answer.mid == 0x0AAA) if type_ == CON else answer.type == NON
    return answer
