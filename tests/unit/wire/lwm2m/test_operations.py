"""What can be asked of a device: how users say it, and the requests that it makes, which are Leshan's to the byte."""

from __future__ import annotations

import json
from typing import Any

import pytest

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import Message
from iotgw.wire.lwm2m import commands, formats
from iotgw.wire.lwm2m.operations import Capabilities, Operation, request
from iotgw.wire.lwm2m.values import CodecError

from .test_payloads import type_of

MODERN = Capabilities((60, 110, 112, 11542, 11543), "1.1")
OLD = Capabilities((), "1.0")


def made(msg_type: str, msg: Any, device: Capabilities = MODERN, keys: Any = None) -> Message:
    return request(commands.operation(msg_type, msg, keys or {}), device, type_of)


def shown(message: Message) -> tuple[str, str, int | None, int | None, bytes]:
    opts = message.options
    where = "/" + "/".join(opts.path) + ("?" + "&".join(opts.queries) if opts.queries else "")
    return (
        n.METHOD_NAMES[message.code], where, opts.get_uint(n.CONTENT_FORMAT), opts.get_uint(n.ACCEPT), message.payload,
    )  # fmt: skip


CASES = {
    "read": ("read", {"path": "/3/0/9"}, ("GET", "/3/0/9", None, 112, b"")),
    "read, a path alone": ("read", "/3/0", ("GET", "/3/0", None, 112, b"")),
    "read in a format": ("read", {"path": "/3/0", "format": "tlv"}, ("GET", "/3/0", None, 11542, b"")),
    "write": (
        "write", {"path": "/3/0/14", "value": "+07", "format": "senml-cbor"},
        ("PUT", "/3/0/14", 112, None, bytes.fromhex("81a203632b303721672f332f302f3134")),
    ),
    "write text": ("write", {"path": "/3/0/14", "value": "+02", "format": "text"}, ("PUT", "/3/0/14", 0, None, b"+02")),
    "write bytes": ("write", {"path": "/3442/0/150", "value": "AQID"}, ("PUT", "/3442/0/150", 42, None, b"\1\2\3")),
    "update": (
        "update", {"path": "/3/0", "value": {"14": "+03", "15": "Europe/Rome"}, "format": "senml-json"},
        ("POST", "/3/0", 110, None, b'[{"bn":"/3/0/","n":"14","vs":"+03"},{"n":"15","vs":"Europe/Rome"}]'),
    ),
    "execute": ("execute", {"path": "/3303/0/5605", "arguments": "0='a',1"}, ("POST", "/3303/0/5605", 0, None, b"0='a',1")),
    "execute with arguments as an object": (
        "execute", {"path": "/3303/0/5605", "arguments": {"0": "a", "1": None}},
        ("POST", "/3303/0/5605", 0, None, b"0='a',1"),
    ),
    "execute without arguments": ("execute", "/3/0/4", ("POST", "/3/0/4", None, None, b"")),
    "discover": ("discover", {"path": "/3"}, ("GET", "/3", None, 40, b"")),
    "delete": ("delete", "/3303/1", ("DELETE", "/3303/1", None, None, b"")),
    "create": (
        "create", {"path": "/3442", "instance": 1, "value": {"110": "a"}, "format": "tlv"},
        ("POST", "/3442", 11542, None, bytes.fromhex("0301c16e61")),
    ),
    "write-attributes": (
        "write-attributes", {"path": "/3303/0/5700", "attributes": {"pmin": 1, "pmax": 60, "st": 0.5}},
        ("PUT", "/3303/0/5700?pmin=1&pmax=60&st=0.5", None, None, b""),
    ),
    "an attribute is taken away": (
        "write-attributes", {"path": "/3303/0/5700", "attributes": {"pmin": None}},
        ("PUT", "/3303/0/5700?pmin", None, None, b""),
    ),
    "read-composite": (
        "read-composite", {"paths": ["/3/0/9", "/3303/0/5700"]},
        ("FETCH", "/", 112, 112, bytes.fromhex("82a100662f332f302f39a1006c2f333330332f302f35373030")),
    ),
    "write-composite": (
        "write-composite", {"values": {"/3/0/15": "Europe/Rome", "/3/0/14": "+03"}, "format": "senml-json"},
        ("iPATCH", "/", 110, None, b'[{"bn":"/3/0/15","vs":"Europe/Rome"},{"bn":"/3/0/14","vs":"+03"}]'),
    ),
    "an RPC of ThingsBoard": ("downlink", {"method": "Read", "params": {"id": "/3_1.2/0/9"}}, ("GET", "/3/0/9", None, 112, b"")),
    "an RPC that writes": (
        "downlink", {"method": "WriteReplace", "params": {"id": "/3_1.2/0/14", "value": "+02", "format": "text"}},
        ("PUT", "/3/0/14", 0, None, b"+02"),
    ),
    "an RPC of several": (
        "rpc", {"method": "ReadComposite", "params": {"ids": ["/3_1.2/0/9", "/3303/0/5700"]}},
        ("FETCH", "/", 112, 112, bytes.fromhex("82a100662f332f302f39a1006c2f333330332f302f35373030")),
    ),
    "an RPC by a name of the profile": (
        "downlink", {"method": "Read", "params": {"key": "battery"}}, ("GET", "/3/0/9", None, 112, b""),
    ),
    "an RPC with attributes": (
        "downlink", {"method": "WriteAttributes", "params": {"id": "/3303_1.0/0/5700", "attributes": {"pmax": 100}}},
        ("PUT", "/3303/0/5700?pmax=100", None, None, b""),
    ),
    "a command of EMQX": (
        "downlink", {"reqID": 1, "msgType": "read", "data": {"path": "/3/0/9"}}, ("GET", "/3/0/9", None, 112, b""),
    ),
    "a write of EMQX": (
        "downlink", {"reqID": 1, "msgType": "write", "data": {"path": "/3/0/14", "type": "String", "value": "+02", "format": "text"}},
        ("PUT", "/3/0/14", 0, None, b"+02"),
    ),
    "attributes of EMQX": (
        "downlink", {"msgType": "write-attr", "data": {"path": "/3/0/9", "pmin": 1, "pmax": "5"}},
        ("PUT", "/3/0/9?pmin=1&pmax=5", None, None, b""),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("msg_type", "msg", "expected"), CASES.values(), ids=CASES)
def test_a_request_is_made_of_what_a_user_says(msg_type: str, msg: Any, expected: Any) -> None:
    assert shown(made(msg_type, msg, keys={"battery": (3, 0, 9)})) == expected


def test_a_device_of_1_0_is_asked_for_tlv() -> None:
    assert made("read", "/3/0", OLD).options.get_uint(n.ACCEPT) == formats.TLV
    assert shown(made("write", {"path": "/3/0/15", "value": "Europe/Paris"}, OLD)) == (
        "PUT", "/3/0/15", 11542, None, bytes.fromhex("c80f0c4575726f70652f5061726973"),
    )  # fmt: skip


def test_the_objects_of_a_device_may_be_below_a_path() -> None:
    assert made("read", "/3/0", Capabilities((112,), "1.1", "lwm2m")).options.path == ("lwm2m", "3", "0")


REFUSED = [
    ("read", {}), ("read", 5), ("read", {"path": 3}), ("read", {"path": "/3/0/65536"}), ("read", {"path": "/"}),
    ("downlink", {"path": "/3/0"}), ("write", {"path": "/3/0/14"}), ("write", {"path": "/3", "value": {}}),
    ("write", {"path": "/3/0/13", "value": "now"}), ("execute", "/3/0"), ("execute", {"path": "/3/0/4", "arguments": 5}),
    ("execute", {"path": "/3/0/4", "arguments": "x" * 2000}), ("read-composite", []),
    ("read-composite", {"paths": "/3"}), ("read-composite", ["/3/0/1"] * 201), ("write-composite", {"values": []}),
    ("write-attributes", {"path": "/3", "attributes": {"pmin": "x"}}), ("write-attributes", {"path": "/3", "speed": 3}),
    ("write-attributes", {"path": "/3"}), ("read", {"path": "/3", "format": "xml"}), ("dance", "/3"),
    ("downlink", {"method": "Dance"}), ("downlink", {"method": "Read", "params": []}), ("delete", "/3303"),
    ("write", {"path": "/3/0/14", "value": [1]}), ("write", {"path": "/3/0", "value": {"x": 1}}), ("read", None),
    ("write", {"path": "/3/0", "value": {"14": "a"}, "format": "text"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("msg_type", "msg"), REFUSED, ids=[f"{kind} {json.dumps(msg)[:60]}" for kind, msg in REFUSED]
)
def test_what_makes_no_request_is_refused_with_what_was_expected(msg_type: str, msg: Any) -> None:
    with pytest.raises(CodecError, match="expected"):
        made(msg_type, msg)


def test_an_operation_is_checked_when_it_is_made() -> None:
    with pytest.raises(CodecError):
        Operation("observe-composite")
