"""The simulated LwM2M device: it registers, sends when it is registered, and answers what it is asked."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from iotgw.simulate.lwm2m import Lwm2mThermometer
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import decode, encode, options, uri_options
from iotgw.wire.lwm2m import formats, links


def device() -> Lwm2mThermometer:
    return Lwm2mThermometer(random.Random(7))


def asked(code: int, path: str, *pairs: tuple[int, int]) -> bytes:
    return encode(n.CON, code, 9, b"t", options(*uri_options(path), *pairs))


def test_it_registers_and_sends_its_temperature_when_it_is_registered() -> None:
    made = device()
    register = decode(made.uplink(0))
    assert (register.code, register.options.path) == (n.POST, ("rd",))
    assert f"ep={made.identity}" in register.options.queries
    assert links.objects_of(links.parse(register.payload)).instances == {1: [0], 3: [0], 3303: [0]}
    created = encode(n.ACK, n.CREATED, register.mid, register.token, options((n.LOCATION_PATH, "rd")))
    reaction = made.received(created, 0)
    send = decode(reaction.send)
    assert (send.options.path, reaction.is_done) == (("dp",), False)
    (node,) = formats.decode(formats.SENML_CBOR, send.payload, ())
    assert node.path == (3303, 0, 5700)
    done = made.received(encode(n.ACK, n.CHANGED, send.mid, send.token), 0)
    assert (done.is_done, done.is_answer) == (True, True)


def test_it_is_read_observed_and_executed_and_refuses_the_rest() -> None:
    made = device()
    answer = decode(made.received(asked(n.GET, "3303/0/5700", (n.OBSERVE, 0), (n.ACCEPT, 110)), 0).send)
    assert (answer.code, answer.options.get_uint(n.OBSERVE)) == (n.CONTENT, 1)
    assert formats.decode(110, answer.payload, (3303, 0, 5700))[0].path == (3303, 0, 5700)
    assert decode(made.received(asked(n.POST, "3/0/4"), 0).send).code == n.CHANGED
    assert made.executed == 1
    assert decode(made.received(asked(n.GET, "3/0", (n.ACCEPT, 40)), 0).send).payload.startswith(b"</3/0/0>")
    for code, path, pairs, expected in (
        (n.GET, "9/0", (), n.NOT_FOUND),
        (n.GET, "x", (), n.BAD_REQUEST),
        (n.DELETE, "3303/0", (), n.METHOD_NOT_ALLOWED),
        (n.GET, "3/0", ((n.ACCEPT, 0),), n.NOT_ACCEPTABLE),
    ):
        assert decode(made.received(asked(code, path, *pairs), 0).send).code == expected


def test_a_refusal_ends_it() -> None:
    made = device()
    register = decode(made.uplink(0))
    reaction = made.received(encode(n.ACK, n.FORBIDDEN, register.mid, register.token), 0)
    assert (reaction.is_done, reaction.error) == (True, "the gateway answered 4.03")


@given(st.binary(max_size=60))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    device().received(data, 0)
