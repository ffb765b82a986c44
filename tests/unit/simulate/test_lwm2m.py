"""The simulated LwM2M device: it registers, sends when it is registered, and answers what it is asked."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.simulate.device import Reaction
from iotgw.simulate.lwm2m import FAULTS, Lwm2mThermometer
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import decode, encode, options, uri_options
from iotgw.wire.lwm2m import formats, links
from iotgw.wire.lwm2m.values import CodecError


def device(**more: Any) -> Lwm2mThermometer:
    return Lwm2mThermometer(random.Random(7), **more)


def asked(code: int, path: str, *pairs: tuple[int, int]) -> bytes:
    return encode(n.CON, code, 9, b"t", options(*uri_options(path), *pairs))


def test_it_registers_and_sends_its_temperature_when_it_is_registered() -> None:
    made = device()
    register = decode(made.uplink(0))
    assert (register.code, register.options.path) == (n.POST, ("rd",))
    assert f"ep={made.identity}" in register.options.queries
    assert links.objects_of(links.parse(register.payload)).instances == {1: [0], 3: [0], 5: [0], 3303: [0]}
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


def put(path: str, payload: bytes, *pairs: tuple[int, int]) -> bytes:
    return encode(n.CON, n.PUT, 9, b"t", options(*uri_options(path), *pairs), payload)


def state(made: Lwm2mThermometer) -> tuple[Any, ...]:
    answer = decode(made.received(asked(n.GET, "5/0", (n.ACCEPT, 110)), 0).send)
    found = {node.path: node.value for node in formats.decode(110, answer.payload, (5, 0))}
    return found[5, 0, 3], found[5, 0, 5]


def test_firmware_is_taken_block_by_block_and_installed() -> None:
    made = device(stay=5)
    assert made.patience > 5
    first = decode(made.received(put("5/0/0", bytes(1024), (n.BLOCK1, 0x0E)), 0).send)
    assert (first.code, first.options.get_uint(n.BLOCK1)) == (n.CONTINUE, 0x0E)
    wrong = decode(made.received(put("5/0/0", b"end", (n.BLOCK1, 0x26)), 0).send)
    assert wrong.code == n.REQUEST_ENTITY_INCOMPLETE
    assert decode(made.received(put("5/0/0", b"end", (n.BLOCK1, 0x16)), 0).send).code == n.CHANGED
    assert (made.image, state(made)) == (bytes(1024) + b"end", (2, 0))
    assert decode(made.received(asked(n.POST, "5/0/2"), 0).send).code == n.CHANGED
    assert state(made) == (0, 1)
    assert decode(made.received(asked(n.POST, "5/0/2"), 0).send).code == n.METHOD_NOT_ALLOWED


def test_firmware_is_fetched_block_by_block() -> None:
    made = device(stay=5)
    reaction = made.received(put("5/0/1", b"coap://gateway/fw/x", (n.CONTENT_FORMAT, 0)), 0)
    request = decode(reaction.also[0])
    for number, part in enumerate((bytes(1024), b"end")):
        assert (request.options.path, request.options.get_uint(n.BLOCK2)) == (("fw", "x"), number << 4 | 6)
        block = (n.BLOCK2, number << 4 | (8 if not number else 0) | 6)
        answer = encode(n.ACK, n.CONTENT, request.mid, request.token, options(block), part)
        sent = made.received(answer, 0).send
        request = decode(sent) if sent else request
    assert (made.image, state(made)) == (bytes(1024) + b"end", (2, 0))
    made.received(put("5/0/1", b"http://gateway/fw/x", (n.CONTENT_FORMAT, 0)), 0)
    assert state(made) == (0, 9)
    made.received(put("5/0/1", b"coap://gateway/fw/x", (n.CONTENT_FORMAT, 0)), 0)
    made.received(encode(n.ACK, n.NOT_FOUND, 1, b"fetch"), 0)
    assert state(made) == (0, 4)


def created(made: Lwm2mThermometer) -> bytes:
    register = decode(made.uplink(0))
    where = options((n.LOCATION_PATH, "rd"), (n.LOCATION_PATH, "x"))
    return made.received(encode(n.ACK, n.CREATED, register.mid, register.token, where), 0).send


def test_it_answers_a_ping_and_a_silent_one_does_not() -> None:
    ping = encode(n.CON, n.EMPTY, 77)
    answer = decode(Lwm2mThermometer(random.Random(1)).received(ping, 0).send)
    assert (answer.type, answer.code, answer.mid) == (n.RST, n.EMPTY, 77)
    assert not Lwm2mThermometer(random.Random(1), fault="silence").received(ping, 0).send


def test_a_silent_device_answers_nothing() -> None:
    made = device(fault="silence")
    assert created(made)
    assert made.received(asked(n.GET, "3/0"), 0) == Reaction()


def test_a_device_of_another_address_updates_its_registration_until_it_is_unknown() -> None:
    made = device(fault="address")
    created(made)
    update = decode(made.uplink(0))
    assert (update.options.path, update.payload) == (("rd", "x"), b"")
    assert decode(made.received(encode(n.ACK, n.CHANGED, update.mid, update.token), 0).send).options.path == (
        "dp",
    )
    again = decode(made.received(encode(n.ACK, n.NOT_FOUND, update.mid, update.token), 0).send)
    assert again.options.path == ("rd",)


def test_a_device_with_wrong_formats_can_not_be_read() -> None:
    made = device(fault="formats")
    answer = decode(made.received(asked(n.GET, "3/0", (n.ACCEPT, 110)), 0).send)
    with pytest.raises(CodecError):
        formats.decode(answer.options.get_uint(n.CONTENT_FORMAT), answer.payload, (3, 0))


def test_a_device_notifies_twice_and_out_of_order() -> None:
    made = device(fault="non")
    reaction = made.received(asked(n.GET, "3303/0/5700", (n.OBSERVE, 0), (n.ACCEPT, 110)), 0)
    found = [decode(data) for data in reaction.also]
    assert [(each.type, each.options.get_uint(n.OBSERVE)) for each in found] == [
        (n.NON, 3),
        (n.NON, 3),
        (n.NON, 2),
    ]
    assert found[0].mid == found[1].mid


@given(st.sampled_from(["", *FAULTS]), st.binary(max_size=60))
def test_no_bytes_make_it_raise(fault: str, data: bytes) -> None:
    device(fault=fault).received(data, 0)
