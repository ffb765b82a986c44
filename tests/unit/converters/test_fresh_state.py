"""Every message finds a script in its initial state, in both engines and wherever it runs."""

import json

import pytest
from pytest_twisted import ensureDeferred

from iotgw.converters.engines import available
from iotgw.converters.script import load
from tests.unit.converters.conftest import convert, job, version

ENGINES = available()
BOTH = pytest.mark.parametrize("engine", ["duktape", "quickjs"])

# Each returns something else for a message that finds what an earlier one has left.
KEEPERS = {
    "a variable that is filled under a condition": "var data = {}; function Decode(p, b) { if (b[0] == 1) data.a = 1; data.n = b[0]; return data; }",
    "a counter": "var n = 0; function Decode() { n++; return {n: n}; }",
    "an undeclared name": "function Decode() { x = (typeof x == 'undefined' ? 0 : x) + 1; for (i = 0; i < 2; i++); return {x: x, i: i}; }",
    "an undeclared name at the top": "x = 0; function Decode() { x++; return {x: x}; }",
    "a closure": "var next = (function () { var n = 0; return function () { return ++n; }; })(); function Decode() { return {n: next()}; }",
    "a property of a function": "function f() {} function Decode() { f.n = (f.n || 0) + 1; return {n: f.n}; }",
    "a property of the function itself": "function Decode() { Decode.n = (Decode.n || 0) + 1; return {n: Decode.n}; }",
    "a property of the callee": "function Decode() { var f = arguments.callee; f.n = (f.n || 0) + 1; return {n: f.n}; }",
    "a property of the function around it": "var c = arguments.callee; c.n = (c.n || 0) + 1; var m = c.n; function Decode() { return {n: m}; }",
    "a prototype of its own": "function P() {} function Decode() { P.prototype.n = (P.prototype.n || 0) + 1; return {n: new P().n}; }",
    "a list": "var all = []; function Decode(p, b) { all.push(b[0]); return {n: all.length}; }",
    "a table in a table": "var t = {a: {n: 0}}; function Decode() { var a = t.a; a.n++; return {n: t.a.n}; }",
    "a regular expression": "var re = /a/g; function Decode() { return {n: re.test('ba'), at: re.lastIndex}; }",
    "a date": "var d = new Date(0); function Decode() { d.setTime(d.getTime() + 1); return {n: d.getTime()}; }",
    "a getter": "var o = {get n() { this.m = (this.m || 0) + 1; return this.m; }}; function Decode() { return {n: o.n}; }",
    "exports": "exports.Decode = function () { exports.n = (exports.n || 0) + 1; return {n: exports.n}; };",
    "the prototype of lists": "function Decode() { Array.prototype.n = (Array.prototype.n || 0) + 1; return {n: [].n}; }",
    "the prototype of objects": "function Decode() { Object.prototype.n = (Object.prototype.n || 0) + 1; return {m: {}.n}; }",
    "a prototype by another name": "function Decode() { var p = Array.prototype; p.n = (p.n || 0) + 1; return {n: [].n}; }",
    "a built-in's property": "function Decode() { Math.seed = (Math.seed || 0) + 1; return {n: Math.seed}; }",
    "a built-in's method": "function Decode() { var was = Math.max(1, 2); Math.max = function () { return 9; }; return {was: was, is: Math.max(1, 2)}; }",
    "a built-in": "function Decode() { var was = new Date(0).getTime(); Date = function () { this.getTime = function () { return 7; }; }; return {was: was, is: new Date(0).getTime()}; }",
    "Date.now": "function Decode() { var was = Date.now() > 100; Date.now = function () { return 5; }; return {was: was, is: Date.now()}; }",
    "a getter of a built-in": "function Decode() { var was = Math.abs(-1); Object.defineProperty(Math, 'abs', {get: function () { return function () { return 3; }; }}); return {was: was, is: Math.abs(-1)}; }",
    "a property that can't be removed": "function Decode() { var was = typeof Math.z; Object.defineProperty(Math, 'z', {value: 1}); return {was: was, is: Math.z}; }",
    "a built-in that is frozen": "function Decode() { var was = Object.isFrozen(Math); Math.a = 1; Object.freeze(Math); return {was: was, a: Math.a}; }",
    "another prototype": "function Decode() { var was = Math.q; Object.setPrototypeOf(Math, {q: 1}); return {was: typeof was, is: Math.q}; }",
    "one property for another": "function Decode() { var was = typeof Math.z + typeof Math.sin; delete Math.sin; Math.z = 1; return {was: was}; }",
    "the global object": "function Decode() { this.n = (this.n || 0) + 1; return {n: this.n}; }",
    "globalThis": "function Decode() { globalThis.n = (globalThis.n || 0) + 1; return {n: globalThis.n}; }",
    "the global object in a bundle": "!function (g) { 'use strict'; g.ArrayBuffer = g.ArrayBuffer || g; g.n = (g.n || 0) + 1; }(this); function Decode() { return {n: n, is: typeof ArrayBuffer}; }",
    "the global object by a name": "var root = this; function Decode() { root.n = (root.n || 0) + 1; return {n: root.n}; }",
    "eval": "function Decode() { (0, eval)('n = (typeof n == \"undefined\" ? 0 : n) + 1'); return {n: n}; }",
    "Function": "function Decode() { Function('n = (typeof n == \"undefined\" ? 0 : n) + 1')(); return {n: n}; }",
    "the option variables": "function Decode(p, b, v) { v.n = (v.n || 0) + 1; return {n: v.n}; }",
    "a name that pollutes": "function Decode(p, b) { var o = {}, k = ['__proto__'][b.length - 1] || '__proto__'; o[k]['n'] = 1; return {n: typeof {}.n, m: 1}; }",
    "a function of the runtime": "function Decode() { atob.n = (atob.n || 0) + 1; console.log.n = (console.log.n || 0) + 1; return {n: '' + atob.n + console.log.n}; }",
    "a built-in function": "function Decode() { var f = [].push; f.n = (f.n || 0) + 1; parseInt.n = (parseInt.n || 0) + 1; return {n: '' + f.n + parseInt.n}; }",
    "a constructor": "function Decode(p, b) { var f = b.constructor; f.n = (f.n || 0) + 1; return {n: '' + f.n}; }",
    "a getter's function": "function Decode(p, b) { var f = Object.getOwnPropertyDescriptor(Object.prototype, '__proto__').get; f.n = (f.n || 0) + 1; return {n: '' + f.n}; }",
    "a hidden prototype": "function Decode() { var p = Object.getPrototypeOf(Uint8Array.prototype); p.n = (p.n || 0) + 1; return {n: '' + p.n}; }",
    "Device": "function Decode() { Device.n = (Device.n || 0) + 1; return {n: '' + Device.n, tags: Device.tags.length}; }",
    "what can't be read": "var n = 0; function Decode() { n++; return {n: n}; }\n/x/.test('x');",
}  # fmt: skip
MODERN = {
    "let": "let n = 0; function Decode() { n += 1; return {n}; }",
    "a class": "class A { static n = 0; } function Decode() { A.n++; return {n: A.n}; }",
    "a private property": "class A { static #n = 0; static next() { return ++A.#n; } } const Decode = () => ({n: A.next()});",
    "a generator": "const it = (function* () { let n = 0; for (;;) yield n++; })(); function Decode() { return {n: it.next().value}; }",
    "an iterator's prototype": "function Decode() { const p = Object.getPrototypeOf([].values()); p.n = (p.n || 0) + 1; return {n: '' + p.n}; }",
    "a symbol": "function Decode() { const s = Symbol.iterator; Array.prototype[s] = (Array.prototype[s].n || 0) + 1; return {n: typeof Array.prototype[s]}; }",
    "a weak map": "const w = new WeakMap(), k = {}; function Decode() { w.set(k, (w.get(k) || 0) + 1); return {n: w.get(k)}; }",
    "a pattern": "var n = 0; function Decode() { [n] = [n + 1]; return {n}; }",
}  # fmt: skip
METADATA = b'{"devEui":"d","fPort":1}'


def values(made, payload=b"\x02", metadata=METADATA):
    conversion, _ = made.convert(payload, metadata, 1000)
    assert conversion.error is None, conversion.error
    return json.loads(conversion.outputs[0].body)["telemetry"][0]["values"]


def made(script, engine, **options):
    dialect = options.pop("dialect", "chirpstack-v3")
    return load(version(script, engine=engine, dialect=dialect, options=options), ENGINES)


@BOTH
@pytest.mark.parametrize("what", KEEPERS)
def test_nothing_of_a_message_is_left_for_the_next(engine, what):
    kept = made(KEEPERS[what], engine)
    first = values(kept)
    values(kept, b"\x01")
    assert values(kept) == first == values(kept)
    assert values(made(KEEPERS[what], engine)) == first


@pytest.mark.parametrize("what", MODERN)
def test_nothing_of_a_message_is_left_in_modern_scripts(what):
    kept = made(MODERN[what], "quickjs")
    assert [values(kept) for _ in range(3)] == [values(made(MODERN[what], "quickjs"))] * 3


@BOTH
@pytest.mark.parametrize(
    "ends", ["throw new Error('x');", "return 5;", "return {n: 1 / 0, f: function () {}};"]
)
def test_a_message_that_fails_leaves_nothing_either(engine, ends):
    script = "var n = 0; function Decode(p, b) { n++; Math.n = n; y = n; if (b[0]) { %s } return {n: n, m: Math.n, y: y}; }"
    kept = made(script % ends, engine)
    for _ in range(2):
        kept.convert(b"\x01", METADATA, 1000)
        assert values(kept, b"\x00") == {"n": 1, "m": 1, "y": 1}


@BOTH
def test_a_script_that_says_so_keeps_its_variables(engine):
    kept = made(KEEPERS["a counter"], engine, state=True)
    assert [values(kept)["n"] for _ in range(3)] == [1, 2, 3]


@BOTH
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("String.prototype.twice = function () { return this + this; }; function Decode() { return {a: 'x'.twice()}; }", {"a": "xx"}),
        (("Object.defineProperty(Object, 'assign', {configurable: true, writable: true, value: function (t) { t.own = 1; return t; }});"
         "function Decode() { return Object.assign({}); }"), {"own": 1}),
        ("if (!Object.assign) { Object.assign = null; } function Decode() { return Object.assign({a: 1}, {b: 2}); }", {"a": 1, "b": 2}),
        (("function P(v) { this.v = v; } P.prototype.toString = function () { return 'p' + this.v; };"
         "P.prototype.constructor = P; function Decode() { return {a: '' + new P(1)}; }"), {"a": "p1"}),
        ("function Decode() { var e = new TypeError('a'); e.name = 'Own'; e.message = 'b'; return {a: '' + e}; }", {"a": "Own: b"}),
        (("function Decode() { var o = {}; o.toString = function () { return 'own'; }; o.valueOf = function () { return 2; };"
         " return {a: '' + o, b: String(o)}; }"), {"a": "2", "b": "own"}),
        ("function Decode() { var o = Object.create({}); o.constructor = 5; return {a: o.constructor}; }", {"a": 5}),
        ("Decode = function () { return {a: typeof Decode}; };", {"a": "function"}),
        ("function Decode() { console.log('x'); Buffer.n = 1; return {a: Buffer.from([1]).toString('hex')}; }", {"a": "01"}),
        ("var self = this; function Decode() { return {a: typeof self}; }", {"a": "object"}),
    ],
)  # fmt: skip
def test_a_script_may_change_what_it_likes_for_its_own_message(engine, script, expected):
    kept = made(script, engine)
    assert [values(kept) for _ in range(3)] == [expected] * 3


@BOTH
@pytest.mark.parametrize(
    "script",
    [
        "\nfunction Decode() {\n  i = 1;\n  var a = null;\n  return a.x;\n}",
        "\nfunction Decode() {\n  Math.i = 1;\n  var a = null;\n  return a.x;\n}",
    ],
)
def test_an_error_has_its_line_whatever_the_script_assigns(engine, script):
    conversion, _ = made(script, engine).convert(b"\x01", METADATA, 1000)
    assert conversion.error.line == 5


@BOTH
@pytest.mark.parametrize(
    "dialect", ["thingsboard-body", "ts013", "module", "lobaro", "ttn-v2", "thingsboard"]
)
def test_every_dialect_begins_anew(engine, dialect):
    counts = "x = (typeof x == 'undefined' ? 0 : x) + 1; Math.y = (Math.y || 0) + 1; var r = {x: x, y: Math.y, n: ++n};"
    script = {
        "thingsboard-body": f"var n = 0; {counts} return {{deviceName: 'd', telemetry: r}};",
        "ts013": f"var n = 0; function decodeUplink() {{ {counts} return {{data: r}}; }}",
        "module": f"var n = 0; module.exports = function () {{ {counts} return r; }};",
        "lobaro": f"var n = 0; function Parse() {{ {counts} return r; }}",
        "ttn-v2": f"var n = 0; function Decoder(bytes, port) {{ {counts} return r; }}",
        "thingsboard": f"var n = 0; function Decoder() {{ {counts} return {{deviceName: 'd', telemetry: r}}; }}",
    }[dialect]
    kept = made(script, engine, dialect=dialect)
    assert [values(kept) for _ in range(3)] == [{"x": 1, "y": 1, "n": 1}] * 3


@BOTH
def test_a_body_keeps_nothing_with_its_own_function(engine):
    script = "var f = arguments.callee; f.n = (f.n || 0) + 1; return {deviceName: 'd', telemetry: {n: f.n}};"
    kept = made(script, engine, dialect="thingsboard-body")
    assert [values(kept) for _ in range(3)] == [{"n": 1}] * 3


@BOTH
@ensureDeferred
async def test_uplinks_downlinks_and_trials_begin_anew(service, engine):
    uplink = version(KEEPERS["a counter"], engine=engine, dialect="chirpstack-v3")
    for one in await convert(service, *[job(uplink, metadata=METADATA) for _ in range(20)]):
        assert json.loads(one.outputs[0].body)["telemetry"][0]["values"] == {"n": 1}
    for _ in range(2):
        assert (await service.test(uplink, b"", METADATA, 5))["result"] == {"n": 1}
    encoder = version("var n = 0; x = 0; function Encode() { x++; return [++n, x]; }", engine=engine, dialect="chirpstack-v3", direction="DOWNLINK")  # fmt: skip
    for _ in range(3):
        assert (await service.encode(encoder, {}, {}, "", {}))["data"] == "AQE="


@BOTH
@pytest.mark.parametrize("mode", ["", "'use strict';\n"], ids=["sloppy", "strict"])
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (("function E(m) { this.message = m; } E.prototype = Object.create(Error.prototype); E.prototype.constructor = E; "
         "E.prototype.toString = function () { return 'E ' + this.message; }; "
         "function Decode() { try { throw new E('x'); } catch (e) { return {a: '' + e, b: e.constructor === E, c: e instanceof Error}; } }"),
         {"a": "E x", "b": True, "c": True}),
        (("function L() {} L.prototype = Object.create(Array.prototype); L.prototype.constructor = L; "
         "function Decode() { return {a: new L().constructor === L, b: [1].map(String).constructor === Array}; }"),
         {"a": True, "b": True}),
        ("var m = []; m.constructor = 3; m.keys = 4; function Decode() { return {a: m.constructor, b: m.keys, c: typeof [].map}; }",
         {"a": 3, "b": 4, "c": "function"}),
    ],
)  # fmt: skip
def test_what_derives_from_a_frozen_built_in_may_have_properties_of_its_own(engine, mode, script, expected):
    kept = made(mode + script, engine)
    for _ in range(2):
        assert values(kept) == expected


def test_only_a_context_that_can_not_be_put_right_is_replaced():
    contexts = []
    engine = ENGINES["quickjs"]

    def counted(*about):
        contexts.append(about)
        return engine(*about)

    def after(script):
        contexts.clear()
        kept = load(version(script, engine="quickjs", dialect="chirpstack-v3"), {"quickjs": counted})
        for _ in range(5):
            values(kept)
        return len(contexts)

    assert after(KEEPERS["a counter"]) == after(KEEPERS["a built-in's property"]) == 1
    assert after(KEEPERS["a property that can't be removed"]) == after(KEEPERS["what can't be read"]) == 5
