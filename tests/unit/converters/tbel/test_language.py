"""The language beyond what the interpreter takes, and the converters that are written in it."""

import json

import pytest

from tests.unit.converters.tbel.running import ENGINES, failure, load, run, tbel

UPLINK = """
/** A meter with a header, records and a checksum that nobody looks at. */
function decodeRecord(bytes, at) {
    var values = {};
    values.temperature = parseBytesToInt(bytes, at, 2) / 10;
    values.humidity = bytes[at + 2] & 0xFF;
    values.state = (bytes[at + 3] & 0x80) != 0 ? "open" : "closed";
    values.battery = toFixed(parseBytesToInt(bytes, at + 4, 2) * 0.001, 2);
    return values;
}

var data = decodeToJson(payload);
var frame = base64ToBytes(data.uplink.frame);
var count = frame[0] & 0xFF;
var telemetry = [];
for (var i = 0; i < count; i++) {
    telemetry.push({ts: data.time + i * 60000, values: decodeRecord(frame, 1 + i * 6)});
}
var attributes = {};
foreach (entry : data.tags.entrySet()) {
    if (entry.key.startsWith("x-")) {
        attributes.put(entry.key.substring(2), entry.value);
    }
}
attributes.serial = bytesToHex(hexToBytes(data.serial));
attributes.gateways = data.gateways.size();
attributes.owner = data.?owner.?name;
return {
    deviceName: String.format("%s-%03d", metadata.integrationName, 7),
    deviceType: "meter",
    attributes: attributes,
    telemetry: telemetry
};
"""


def test_a_whole_converter_gives_its_device():
    message = {
        "time": 1700000000000,
        "serial": "0aff",
        "uplink": {"frame": "AgDmN4ANrP/2NwAAZA=="},
        "tags": {"x-room": "cellar", "other": 1, "x-floor": -1},
        "gateways": [{"id": 1}, {"id": 2}],
    }
    assert run(UPLINK, json.dumps(message).encode(), {"integrationName": "north"}) == {
        "deviceName": "north-007",
        "deviceType": "meter",
        "attributes": {"room": "cellar", "floor": -1, "serial": "0AFF", "gateways": 2},
        "telemetry": [
            {
                "ts": 1700000000000,
                "values": {"temperature": 23.0, "humidity": 55, "state": "open", "battery": 3.5},
            },
            {
                "ts": 1700000060000,
                "values": {"temperature": 6552.6, "humidity": 55, "state": "closed", "battery": 0.1},
            },
        ],
    }


BESIDE = [  # what ThingsBoard refuses, and what is plainly meant
    ("var a = 5\nvar b = 6\nreturn a + b", 11),
    ("var a = 5, b = 6; return a * b;", 30),
    ("final int x = 5; return x;", 5),
    ("var l = [1, 2]; l[0] += 4; l[1]++; return l;", [5, 3]),
    ("var m = {b: 1}; m.b++; m['c'] = 2; m['c'] *= 4; return m;", {"b": 2, "c": 8}),
    ("var s = 0; foreach (x : [1, 2, 3]) { if (x == 2) { continue; } s += x; } return s;", 4),
    ("var r = ''; switch ('x') { case 'x': r += '1'; case 'y': r += '2'; break; default: r += '3'; } return r;", "12"),
    ("var r = ''; switch (7) { case 1: { r = 'a'; break; } default: r = 'd'; } return r;", "d"),
    ("var b = base64ToBytes('/wE='); return [b[0] | b[1], -b[1], ~b[1]];", [-1, -1, -2]),
    ("return 0xFFL + 0xFFFFFFFFFFL;", 1099511628030),
    ("return 5 !== 5;", False),
    ("var m = null; return m.?x.?y;", None),
    ("function f(a, b) { if (a == 1) { return a; } return b; } return f(1);", 1),
    ("function f() { foreach (x : [1, 2]) { t = x; } return t; } return f();", 2),
    ("var l = [1, 2, 3]; foreach (x : l) { if (x == 1) { l.add(9); } } return l;", [1, 2, 3, 9]),
    ("java.util.List l = [1]; java.util.Map m = {a: l}; return m;", {"a": [1]}),
    ("var a = 1; { var b = 2; a = b; } return a;", 2),
    ("function Decoder(payload, metadata) { return {n: payload.size(), m: metadata.a}; }", {"n": 2, "m": 7}),
    ("return stringToBytes('aé');", [97, -61, -87]),
    ("return parseBytesToUnsignedInt(hexToBytes('FFFFFFFE'), 0, 4);", 4294967294),
    ("var s = toSet([1, 2, 1]); s.add(3); return [isSet(s), s.size(), s];", [True, 3, [1, 2, 3]]),
    ("var x = 0; x = 2.5; return x * 2;", 5.0),
]  # fmt: skip


@pytest.mark.parametrize(("script", "wanted"), BESIDE)
def test_what_is_plainly_meant_is_taken(script, wanted):
    assert run(script, b"\x01\x02", {"a": 7}) == wanted


def test_a_condition_in_a_map_without_parentheses_is_as_in_thingsboard_and_said_in_the_log():
    script = "var x = payload[0]; var m = {k: x == 1 ? 'yes' : 'no', n: 1}; return {m: m, k: m.k};"
    loaded = load(tbel(script), ENGINES)
    result, also, _ = loaded.call("[[1],{},0,0]")
    assert result == {"m": {"yes": "no", "n": 1}}
    assert also["logs"] == [
        "a condition in a map without parentheses: TBEL takes its first alternative for the key"
    ]
    # ThingsBoard fails here, for want of a key
    assert loaded.call("[[2],{},0,0]")[0] == {"m": {"k": "no", "n": 1}}
    assert run("return {k: (payload[0] == 1 ? 'yes' : 'no')};", b"\x01") == {"k": "yes"}


def test_numbers_keep_all_of_their_digits():
    text = '{"long": 9007199254740993, "double": 5.0, "small": 1e-7, "int": 5}'
    assert run("var d = decodeToJson(payload); d.sum = d.long + 1L; return d;", text.encode()) == {
        "long": 9007199254740993,
        "double": 5.0,
        "small": 1e-7,
        "int": 5,
        "sum": 9007199254740994,
    }
    assert run("return JSON.stringify(decodeToJson(payload));", text.encode()) == (
        '{"long":9007199254740993,"double":5.0,"small":1.0E-7,"int":5}'
    )


def test_infinite_numbers_are_left_to_the_gateway_which_leaves_them_out():
    assert run("return {a: 1 / 0, b: 0 / 0, c: -1.0 / 0};") == {"a": None, "b": None, "c": None}
    assert run("return {a: 1.5e400, b: -1e999, c: 1e999 > 1};") == {"a": None, "b": None, "c": True}


def test_odd_texts_come_through():
    assert run('return "\\u00e9\\ud83d\\ude00" + atob(btoa("ü")) + \'it\\\'s\';') == "é😀üit's"
    assert run("return decodeToString(payload);", "grüße 😀".encode()) == "grüße 😀"
    assert run("return decodeToString(payload);", b"a\xff") == "a�"


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("return payload[7];", "IndexOutOfBoundsException: Index 7 out of bounds for length 2"),
        ("return metadata.a.b;", "PropertyAccessException: could not access: b; in class: java.lang.Integer"),
        ("return metadata.x.y;", "NullPointerException: null has no property y"),
        ("return nothing;", "PropertyAccessException: unresolvable property or identifier: nothing"),
        ("return parseSomething(payload);", "PropertyAccessException: function not found: parseSomething"),
        ("return payload.foo(1);", "PropertyAccessException: unable to resolve method: java.util.ArrayList.foo"),
        ("if (metadata.a) { return 1; }", "ClassCastException: expected true or false, got 7"),
        ("if (metadata.x) { return 1; }", "NullPointerException: expected true or false, got null"),
        ("raiseError('no such frame');", "RuntimeException: no such frame"),
        ("return parseInt('abcx');", 'NumberFormatException: Value: "abcx" is not numeric'),
        ("return parseBytesToInt(payload, 0, 4);", "IllegalArgumentException: Offset: 0 and Length: 4 is out of bounds"),
        ("return decodeToJson('{bad');", "JsonParseException: not JSON"),
        ("return 7 % 0;", "ArithmeticException: / by zero"),
        ("return new Foo();", "CompileException: could not resolve class: Foo"),
        ("return {} - 1 & 2;", "RuntimeException: no & of null and java.lang.Integer"),
        ("function f(n) { return f(n + 1); } return f(0);", "call stack"),
    ],
)  # fmt: skip
def test_an_error_says_what_is_wrong(script, says):
    error = failure(script, b"\x01\x02") if "metadata" not in script else run(script, b"\x01\x02", {"a": 7})
    assert says in f"{error.name}: {error.message}"
