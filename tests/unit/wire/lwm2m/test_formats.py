"""What devices do otherwise than Leshan, what nobody may send, and that what is written is read again."""

from __future__ import annotations

import contextlib
import json
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iotgw.wire.lwm2m import cbor, formats, node, paths, senml, tlv
from iotgw.wire.lwm2m.node import Node
from iotgw.wire.lwm2m.values import (
    CodecError,
    ObjectLink,
    Time,
    ValueType,
    as_type,
    of_plain_text,
    to_json,
    to_type,
)

NOW = 1_800_000_000.0
FORMS = (formats.TLV, formats.OMA_JSON, formats.SENML_JSON, formats.SENML_CBOR)


def typed(type_: ValueType | None) -> node.TypeOf:
    return lambda path: type_


def one(form: int, data: bytes, type_: ValueType | None = None, path: paths.Path = (3303, 0, 5700)) -> Any:
    (found,) = formats.decode(form, data, path, typed(type_), NOW)
    return found.value


@pytest.mark.parametrize(
    ("form", "data", "type_", "value"),
    [
        (formats.TLV, "e4164441ac0000", "float", 21.5),
        (formats.TLV, "e81644084035800000000000", "float", 21.5),
        (formats.TLV, "e2164401a4", "float", b"\x01\xa4"),
        (formats.TLV, "e1164481", "integer", -127),
        (formats.TLV, "e1164481", "unsigned", 129),
        (formats.TLV, "e116440f", None, b"\x0f"),
        (formats.TLV, "e1164402", "boolean", b"\x02"),
        (formats.TLV, "e31644ff4142", "string", b"\xffAB"),
        (formats.TEXT, b"-0.5".hex(), "float", -0.5),
        (formats.TEXT, b"-5".hex(), "integer", -5),
        (formats.TEXT, b"five".hex(), "integer", "five"),
        (formats.TEXT, b"AQID".hex(), "opaque", b"\1\2\3"),
        (formats.SENML_JSON, b'[{"n":"/3303/0/5700","v":1638435000.0}]'.hex(), "integer", 1638435000),
        (formats.SENML_JSON, b'[{"n":"/3303/0/5700","v":21}]'.hex(), "float", 21.0),
        (formats.SENML_JSON, b'[{"n":"/3303/0/5700","v":21.5}]'.hex(), "integer", 21.5),
        (formats.SENML_JSON, b'[{"n":"/3303/0/5700","vlo":"3:65535"}]'.hex(), "objlnk", ObjectLink(3, 65535)),
        (formats.SENML_JSON, b'[{"bn":"/3303/0/","n":"5700","bv":20,"v":1.5}]'.hex(), "float", 21.5),
        (formats.SENML_JSON, b'[{"n":"/3303/0/5700","vd":"+/+/"}]'.hex(), "opaque", b"\xfb\xff\xbf"),
        (formats.SENML_JSON, b'[{"n":"/3303/0/5700","vs":"AQID"}]'.hex(), "opaque", "AQID"),
        (formats.CBOR, "f5", "boolean", True),
        (formats.CBOR, "01", "boolean", True),
        (formats.CBOR, "c11a6955b900", "integer", 1767225600),
        (formats.CBOR, "fb41da557b00000000", "time", Time(1767238656)),
    ],
)  # fmt: skip
def test_values_as_devices_write_them(form: int, data: str, type_: ValueType, value: Any) -> None:
    found = one(form, bytes.fromhex(data), type_)
    assert (found, type(found)) == (value, type(value))


def test_labels_of_senml_as_text_are_taken() -> None:
    pack = cbor.encode([{"-2": "/3303/0/", "0": "5700", "2": 21.5}])
    assert one(formats.SENML_CBOR, pack, "float") == 21.5


@pytest.mark.parametrize("label", ["--1", "-", "\u0662", "1_0", "+2"])
def test_a_label_of_senml_that_is_no_number_is_an_unknown_field(label: str) -> None:
    pack = cbor.encode([{0: "/3303/0/5700", 2: 21.5, label: 1}])
    assert one(formats.SENML_CBOR, pack, "float") == 21.5


@pytest.mark.parametrize(
    ("fields", "time"),
    [
        ({}, None),
        ({"t": 0}, NOW),
        ({"t": -10}, NOW - 10),
        ({"t": 321}, NOW),
        ({"bt": 1795906691.5}, 1795906691.5),
        ({"bt": 1795906691, "t": -1}, 1795906690),
    ],
)
def test_a_time_below_2_to_the_28th_is_relative_and_never_in_the_future(
    fields: dict[str, Any], time: float
) -> None:
    pack = [{"n": "/3303/0/5700", "v": 1, **fields}]
    (found,) = senml.decode_json(json.dumps(pack).encode(), node.untyped, NOW)
    assert found.time == time
    tagged = [{"n": "/3303/0/5700", "v": 1, **{name: Time(value) for name, value in fields.items()}}]
    labels = {"n": 0, "v": 2, "t": 6, "bt": -3}
    data = cbor.encode([{labels[name]: value for name, value in record.items()} for record in tagged])
    assert senml.decode_cbor(data, node.untyped, NOW)[0].time == time


REFUSED = {
    "a length behind the end": (formats.TLV, bytes.fromhex("c80fff41")),
    "an id that is cut": (formats.TLV, bytes.fromhex("e0")),
    "a length of 16 MB": (formats.TLV, bytes.fromhex("d800ffffff")),
    "an id of 65535": (formats.TLV, bytes.fromhex("e1ffff01")),
    "an instance in an instance": (formats.TLV, bytes.fromhex("02000000")),
    "a resource in a multiple one": (formats.TLV, bytes.fromhex("8300c10001")),
    "no list": (formats.SENML_JSON, b"{}"),
    "no object": (formats.SENML_JSON, b"[1]"),
    "no value": (formats.SENML_JSON, b'[{"n":"/3/0/1"}]'),
    "two values": (formats.SENML_JSON, b'[{"n":"/3/0/1","v":1,"vs":"a"}]'),
    "a value of an object": (formats.SENML_JSON, b'[{"n":"/3/0","v":1}]'),
    "a path with 65536": (formats.SENML_JSON, b'[{"n":"/3/0/65536","v":1}]'),
    "a path of five": (formats.SENML_JSON, b'[{"n":"/3/0/1/2/3","v":1}]'),
    "a name of 1,000": (formats.SENML_JSON, b'[{"bn":"' + b"/" * 1000 + b'","v":1}]'),
    "a number as a name": (formats.SENML_JSON, b'[{"n":3,"v":1}]'),
    "a list as a value": (formats.SENML_JSON, b'[{"n":"/3/0/1","v":[]}]'),
    "a field that must be understood": (formats.SENML_JSON, b'[{"n":"/3/0/1","v":1,"x_":1}]'),
    "a version of nobody": (formats.SENML_JSON, b'[{"bver":11,"n":"/3/0/1","v":1}]'),
    "a list as a version": (formats.SENML_JSON, b'[{"bver":[],"n":"/3/0/1","v":1}]'),
    "a time without end": (formats.SENML_JSON, b'[{"n":"/3/0/1","v":1,"t":1e300}]'),
    "a value that no base can be added to": (formats.SENML_JSON, b'[{"n":"/3/0/1","bv":0.5,"v":1%s}]' % (b"0" * 400)),
    "a time of CBOR without end": (formats.CBOR, bytes.fromhex("c1fb7fefffffffffffff")),
    "a text as a time": (formats.SENML_JSON, b'[{"n":"/3/0/1","v":1,"t":"x"}]'),
    "no base64": (formats.SENML_JSON, b'[{"n":"/3/0/1","vd":"*"}]'),
    "a link of nobody": (formats.SENML_JSON, b'[{"n":"/3/0/1","vlo":"65536:0"}]'),
    "no JSON": (formats.SENML_JSON, b"[{"),
    "no UTF-8": (formats.SENML_JSON, b'[{"n":"\xff"}]'),
    "no CBOR": (formats.SENML_CBOR, b"\x81"),
    "a CBOR of more than one": (formats.SENML_CBOR, b"\x80\x80"),
    "a huge exponent": (formats.SENML_CBOR, bytes.fromhex("81a200662f332f302f3102c4821a7fffffff01")),
    "a big number": (formats.CBOR, bytes.fromhex("c249010000000000000000")),
    "a list of CBOR": (formats.CBOR, b"\x80"),
    "a null of CBOR": (formats.CBOR, b"\xf6"),
    "a time of text": (formats.CBOR, bytes.fromhex("c16161")),
    "a time of a time": (formats.CBOR, bytes.fromhex("c1c101")),
    "no e": (formats.OMA_JSON, b'{"bn":"/3/0/1"}'),
    "e of numbers": (formats.OMA_JSON, b'{"e":[1]}'),
    "an e without value": (formats.OMA_JSON, b'{"e":[{"n":"1"}]}'),
    "an ov of nobody": (formats.OMA_JSON, b'{"bn":"/3/0/1","e":[{"ov":"x"}]}'),
    "a bn of a number": (formats.OMA_JSON, b'{"bn":1,"e":[]}'),
    "text that is no UTF-8": (formats.TEXT, b"\xff"),
    "a format of nobody": (4711, b""),
    "LwM2M CBOR, which no peer here has": (formats.OMA_CBOR, b"\xa0"),
}  # fmt: skip


@pytest.mark.parametrize(("form", "data"), REFUSED.values(), ids=REFUSED)
def test_what_nobody_may_send_is_refused(form: int, data: bytes) -> None:
    with pytest.raises(CodecError):
        formats.decode(form, data, (3, 0, 1), node.untyped, NOW)


BOMBS = {
    "records": (formats.SENML_JSON, b"[" + b",".join([b'{"n":"/3/0/1","v":1}'] * 10_001) + b"]"),
    "records of CBOR": (formats.SENML_CBOR, cbor.encode([{0: "/3/0/1", 2: 1}] * 10_001)),
    "nesting": (formats.SENML_JSON, b"[" * 100_000),
    "nesting of CBOR": (formats.SENML_CBOR, b"\x81" * 100_000),
    "an array of 2 to the 32nd": (formats.SENML_CBOR, b"\x9a\xff\xff\xff\xff"),
    "nested tags": (formats.SENML_CBOR, b"\xc4\x82" * 50_000),
    "values": (formats.OMA_JSON, b'{"bn":"/3/0/1","e":[' + b",".join([b'{"v":1}'] * 10_001) + b"]}"),
    "TLVs": (formats.TLV, bytes.fromhex("c001") * 10_002),
}


@pytest.mark.parametrize(("form", "data"), BOMBS.values(), ids=BOMBS)
def test_what_would_grow_is_refused(form: int, data: bytes) -> None:
    with pytest.raises(CodecError):
        formats.decode(form, data, (3, 0, 1), node.untyped, NOW)


@given(
    st.sampled_from((*FORMS, *formats.SINGLE)),
    st.binary(max_size=200),
    st.sampled_from(["float", "time", None]),
)
def test_any_bytes_are_values_or_refused(form: int, data: bytes, type_: ValueType) -> None:
    try:
        found = formats.decode(form, data, (3, 0, 1), typed(type_), NOW)
    except CodecError:
        return
    json.dumps([to_json(each.value) for each in found], allow_nan=False)


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["n", "bn", "v", "t", "bt", "vs", "e", "vd"]), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=50)
@given(JSON_LIKE)
def test_any_json_is_values_or_refused(value: Any) -> None:
    for form in (formats.SENML_JSON, formats.OMA_JSON):
        with contextlib.suppress(CodecError):
            formats.decode(form, json.dumps(value).encode(), (3, 0, 1), node.untyped, NOW)


VALUES: dict[ValueType, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=20),
    "integer": st.integers(-(1 << 63), (1 << 63) - 1),
    "unsigned": st.integers(0, (1 << 64) - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "opaque": st.binary(max_size=300),
    "time": st.integers(0, 1 << 40).map(Time),
    "objlnk": st.builds(ObjectLink, st.integers(0, 65535), st.integers(0, 65535)),
    "corelnk": st.just("</3/0>"),
}
TYPES = [*VALUES]


@given(
    st.sampled_from(FORMS),
    st.dictionaries(
        st.tuples(st.integers(0, 3), st.integers(0, 65534)).map(lambda pair: (3442, *pair)),
        st.sampled_from(TYPES).flatmap(lambda type_: st.tuples(st.just(type_), VALUES[type_])),
        min_size=1,
        max_size=6,
    ),
)
def test_what_is_written_is_read_again(form: int, values: dict[paths.Path, Any]) -> None:
    nodes = [Node(path, value) for path, (_, value) in values.items()]
    nodes.sort(key=lambda each: each.path[:2])  # TLV brings the resources of an instance together

    def type_of(path: paths.Path) -> ValueType | None:
        return None if path not in values else values[path][0]

    data = formats.encode(form, nodes, (3442,), type_of)
    assert formats.decode(form, data, (3442,), type_of, NOW) == nodes


@given(st.sampled_from(TYPES).flatmap(lambda type_: st.tuples(st.just(type_), VALUES[type_])))
def test_a_single_value_is_read_again(case: tuple[ValueType, Any]) -> None:
    type_, value = case
    for form in (formats.TEXT, formats.CBOR) if type_ != "float" else (formats.CBOR,):
        data = formats.encode(form, [Node((3442, 0, 1), value)], (3442, 0, 1))
        assert formats.decode(form, data, (3442, 0, 1), typed(type_), NOW)[0].value == value


@pytest.mark.parametrize("text", ["3/0/9", "/3/0/9/"])
def test_a_path_is_read_leniently(text: str) -> None:
    assert paths.parse(text) == (3, 0, 9)


@pytest.mark.parametrize("text", ["/3/x", "/3//1", "/-1", "/65535", "/3/0/9/1/1", "/³", "/3?x", "//"])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(CodecError):
        paths.parse(text)


@pytest.mark.parametrize(
    ("given_", "type_", "value"),
    [
        ("x", "string", "x"), (5, "integer", 5), (5.0, "integer", 5), (5, "float", 5.0), (True, "boolean", True),
        (0, "boolean", False), ("AQID", "opaque", b"\1\2\3"), ("3:0", "objlnk", ObjectLink(3, 0)),
        (1_767_225_600_000, "time", Time(1_767_225_600)), ("x", None, "x"),
    ],
)  # fmt: skip
def test_a_users_value_for_a_resource(given_: Any, type_: ValueType, value: Any) -> None:
    found = to_type(given_, type_)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("given_", "type_"),
    [
        (1, "string"), (1.5, "integer"), (True, "integer"), ("5", "integer"), (-1, "unsigned"), ("x", "boolean"),
        ("*", "opaque"), ("3", "objlnk"), ("now", "time"), (None, "string"), ([], None), ({}, "integer"),
        (10**400 + 1, "time"), (1e300, "time"),
    ],
)  # fmt: skip
def test_a_users_value_of_another_type_is_refused(given_: Any, type_: ValueType) -> None:
    with pytest.raises(CodecError, match="expected"):
        to_type(given_, type_)


def test_what_a_script_could_not_hold_is_text() -> None:
    assert to_json(1 << 63) == "9223372036854775808"
    assert to_json(float("inf")) is None
    assert to_json(Time(1.5)) == 1500


@pytest.mark.parametrize(
    ("understood", "version", "is_composite", "form"),
    [
        ([60, 110, 112, 11542, 11543], "1.1", False, formats.SENML_CBOR),
        ([110], "1.1", False, formats.SENML_JSON),
        ([11543], "1.0.0", False, formats.OMA_JSON),
        ([1542], "1.0", False, formats.OLD_TLV),
        ([], "1.0", False, formats.TLV),
        ([], "1.1", False, formats.TLV),
        ([11542], "1.1", True, formats.SENML_CBOR),
    ],
)
def test_the_format_to_ask_for(understood: list[int], version: str, is_composite: bool, form: int) -> None:
    assert formats.best(understood, version, is_composite) == form


@given(st.text(alphabet=string.printable, max_size=30))
def test_any_text_is_a_value_of_some_type(text: str) -> None:
    for type_ in TYPES:
        to_json(of_plain_text(text, type_))
        to_json(as_type(text, type_))


def test_values_that_are_elsewhere_are_not_written() -> None:
    with pytest.raises(CodecError):
        tlv.encode([Node((3, 0, 9), 1)], (5, 0), node.untyped)
    with pytest.raises(CodecError):
        formats.encode(formats.TEXT, [Node((3, 0, 9), 1), Node((3, 0, 10), 1)], (3, 0, 9))
