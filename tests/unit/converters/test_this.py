"""A script finds its own functions at ``this``, as at the top of a program, and nothing else that it shouldn't."""

import pytest

from iotgw.converters.bench import compile_
from iotgw.converters.engines import available
from iotgw.converters.script import load
from tests.unit.converters.conftest import version

ENGINES = available()
BOTH = pytest.mark.parametrize("engine", ["duktape", "quickjs"])
HELPER = "function twice(x) { return 2 * x; }\nvar offset = 1;\n"

ANSWERS = {
    "a function": (HELPER + "function Decode(p, b) { return {n: this.twice(b[0])}; }", 4),
    "a variable": (HELPER + "function Decode(p, b) { return {n: this.offset}; }", 1),
    "a function in a function": ("function a() { return this.b(); } function b() { return 3; } function Decode() { return {n: a()}; }", 3),
    "at the top": (HELPER + "var made = this.twice(4); function Decode() { return {n: made}; }", 8),
    "before it is declared": ("var made = this.twice(4);\n" + HELPER + "function Decode() { return {n: made}; }", 8),
    "by another name": (HELPER + "var self = this; function Decode(p, b) { return {n: self.twice(b[0])}; }", 4),
    "by a computed name": (HELPER + "function Decode(p, b) { return {n: this['tw' + 'ice'](b[0])}; }", 4),
    "by the global object": (HELPER + "function Decode(p, b) { return {n: globalThis.twice(b[0])}; }", 4),
    "what is assigned there": (HELPER + "function Decode(p, b) { this.offset = 9; return {n: offset}; }", 9),
    "a function put there": ("this.f = function () { return 6; }; function Decode() { return {n: f()}; }", 6),
    "a counter": ("var n = 0; function next() { n++; return this.n; } function Decode() { return {n: this.next()}; }", 1),
    "a property of a function": (HELPER + "function Decode() { var f = this.twice; f.n = (f.n || 0) + 1; return {n: f.n}; }", 1),
    "a name of a built-in": ("function atob(x) { return 7; } function Decode() { return {n: this.atob('x')}; }", 7),
    "a method of what is exported": ("exports.help = function () { return 5; }; exports.Decode = function () { return {n: this.help()}; };", 5),
    "a method of a module": ("module.exports = {help: function () { return 5; }, Decode: function () { return {n: this.help()}; }};", 5),
    "a method of an object": ("var o = {k: 4, f: function () { return this.k; }}; function Decode() { return {n: o.f()}; }", 4),
    "in strict mode": ("'use strict';\n" + HELPER + "function Decode(p, b) { return {n: globalThis.twice(b[0]) + (this === undefined ? 1 : 0)}; }", 5),
    "no local variable": ("function Decode() { var local = 1; return {n: typeof this.local === 'undefined' ? 8 : 0}; }", 8),
}  # fmt: skip


@BOTH
@pytest.mark.parametrize("state", [False, True], ids=["fresh", "kept"])
@pytest.mark.parametrize("what", ANSWERS)
def test_a_script_finds_its_own_at_this(engine, what, state):
    script, expected = ANSWERS[what]
    made = load(version(script, engine=engine, dialect="chirpstack-v3", options={"state": state}), ENGINES)
    for _ in range(1 if state else 3):
        conversion, _ = made.convert(b"\x02", b'{"devEui":"d"}', 1000)
        assert conversion.error is None, conversion.error
        assert made.last == {"n": expected}


def test_a_script_that_uses_this_at_its_top_is_saved():
    spec = {"name": "x", "script": ANSWERS["before it is declared"][0]}
    assert compile_({"spec": spec, "timeLimit": 10.0}, ENGINES, lambda _s: None)["dialect"] == "chirpstack-v3"


@BOTH
def test_nothing_of_the_runtime_is_at_this(engine):
    script = """
    function f() {}
    function Decode() {
      var found = [];
      ['run', 'load', 'invoke', 'adapters', 'kept', 'restore', 'logs', 'call', 'parse', 'link', '__iotgw_link', '__iotgw_run']
        .forEach(function (name) { if (typeof globalThis[name] !== 'undefined') found.push(name); });
      return {n: found.join(), f: typeof this.f};
    }"""
    made = load(version(script, engine=engine, dialect="chirpstack-v3"), ENGINES)
    made.convert(b"", b'{"devEui":"d"}', 1000)
    assert made.last == {"n": "", "f": "function"}


@BOTH
def test_places_of_errors_stay_those_of_the_script(engine):
    script = "function f() { return 1; }\nfunction Decode() {\n  this.f();\n  throw new Error('here');\n}"
    made = load(version(script, engine=engine, dialect="chirpstack-v3"), ENGINES)
    conversion, _ = made.convert(b"", b'{"devEui":"d"}', 1000)
    assert (conversion.error.message, conversion.error.line) == ("here", 4)
