"""What a script declares, what it changes, and whether it can change at all."""

from random import Random

import pytest

from iotgw.converters.engines import available
from iotgw.converters.script import load
from iotgw.converters.source.analysis import analyse
from tests.unit.converters.conftest import version

ENTRY = "function Decoder(payload, metadata) { %s }"

STATELESS = [
    ENTRY % "var n = 0; for (var i = 0; i < 3; i++) n += payload[i]; return {n: n};",
    ENTRY % "let a = {}; a.b = 1; a['c'] = 2; delete a.b; return a;",
    "'use strict';\nconst A = 1, B = -A * (2 + A), C = 'x' + `y`;\nvar D\n" + ENTRY % "return {a: A + B + C + D};",
    "const T = {a: 1, 'b': [1, 2], 3: {c: null}};\n" + ENTRY % "return {a: T[3].c, b: T.b[0] / 2, k: Object.keys(T)};",
    "var UNITS = ['C', 'F'];\n" + ENTRY % "for (var u of UNITS) if ('x' in UNITS) return UNITS[0].toLowerCase(); "
    "return UNITS.indexOf('F') + UNITS.length;",
    "var f = function (a) { return a; };\nconst g = (a) => a + 1\nconst h = a => { return a; };\nfunction* k() {}\n"
    + ENTRY % "return f(1) + g(2) + h.call(null, 3) + typeof f;",
    ENTRY % "return Array.prototype.slice.call(payload).map(Number).concat(Math.PI, payload instanceof Array);",
    ENTRY % "return {constructor: payload.constructor};",
]  # fmt: skip
WITH_STATE = [
    "var n = 0;\n" + ENTRY % "n++; return n;",
    "var n = 0;\n" + ENTRY % "(n) = 1; return n;",
    "var n = 0;\n" + ENTRY % "++(n); return n;",
    "var n = 0;\n" + ENTRY % "[n] = [1]; return n;",
    "var n = 0;\n" + ENTRY % "({a: n} = {a: 1}); return n;",
    "var n = 0;\n" + ENTRY % "for (n of [1, 2]); return n;",
    "var n = 0;\n" + ENTRY % "for ([n] of [[1]]); return n;",
    "var n = 0;\n" + ENTRY % "for (n in {a: 1}); return n;",
    "var T = {};\n" + ENTRY % "T.n = 1; return T;",
    "var T = {n: 0};\n" + ENTRY % "T.n++; return null;",
    "var T = {n: 0};\n" + ENTRY % "(T.n)++; return null;",
    "var T = {n: 0};\n" + ENTRY % "delete T.n; return null;",
    "var T = {n: 0};\n" + ENTRY % "[T.n] = [1]; return null;",
    "var T = {n: 0};\n" + ENTRY % "for (T.n of [1]); return null;",
    "var T = {n: 0};\n" + ENTRY % "for ((T.n) of [1]); return null;",
    "var T = {n: 0};\n" + ENTRY % "var t = T; t.n++; return null;",
    "var T = {n: 0};\n" + ENTRY % "return T;",
    "var T = {n: {m: 0}};\n" + ENTRY % "var t = T.n; t.m++; return null;",
    "var T = {n: {m: 0}};\n" + ENTRY % "for (var t of Object.values(T)) t.m++; return null;",
    "var T = [3, 1];\n" + ENTRY % "T.sort(); return null;",
    "var T = [3, 1];\n" + ENTRY % "T['sort'](); return null;",
    "var T = [3, 1];\n" + ENTRY % "T.map((a, b, c) => c.pop()); return null;",
    "var T = [3, 1];\n" + ENTRY % "Object.assign(T, [1]); return null;",
    "var T = [3, 1];\n" + ENTRY % "return {...T};",
    "var T = {f() { return this; }};\n" + ENTRY % "return T.a;",
    "var T = [new Date()];\n" + ENTRY % "return T[0];",
    "var re = /a/g;\n" + ENTRY % "return re.test('a');",
    "var made = (function () { var n = 0; return function () { return n++; }; })();\n"
    + ENTRY % "return made();",
    "var d = new Date();\n" + ENTRY % "return d;",
    "function f() {}\n" + ENTRY % "f.n = 1; return null;",
    "function f() {}\n" + ENTRY % "var g = f; g.n = 1; return null;",
    "function F() {}\n" + ENTRY % "new F().constructor.n = 1; return null;",
    ENTRY % "Decoder.n = 1; return null;",
    ENTRY % "arguments.callee.n = 1; return null;",
    "class A {}\n" + ENTRY % "A.n = 1; return null;",
    "exports.f = function () { exports.n = 1; };",
    "if (true) { var n = 0; }\n" + ENTRY % "n++; return n;",
    "var a = 1\n(function () {})()\n" + ENTRY % "return 1;",
    "const [a] = [{}];\n" + ENTRY % "a.n = 1; return null;",
    ENTRY % "n = 1; return n;",
    ENTRY % "Math.n = 1; return null;",
    ENTRY % "eval('Decoder.n = 1'); return null;",
    "var n = 0;\n" + ENTRY % "x = `${n++}`; return null;",
]


@pytest.mark.parametrize("script", STATELESS)
def test_a_script_of_functions_constants_and_tables_has_no_state(script):
    assert analyse(script).is_stateless


@pytest.mark.parametrize("script", WITH_STATE)
def test_whatever_may_keep_something_has_state(script):
    assert not analyse(script).is_stateless


TOPS = [
    "var n = 0;", "let m = 'a'", "var T = {a: 1, b: 2};", "const U = [1, [2, 3]];", "function f(a) { return a; }", "var o;",
    "const g = (a) => a", "var q = {a: {b: {c: 1}}};",
]  # fmt: skip
DOES = [
    "{0}.z = ({0}.z || 0) + 1;", "{0}++;", "[{0}] = [{0} + 1];", "var l = {0}; l.z = (l.z || 0) + 1;", "({0}).a = {1};",
    "{0}[{1}] = 5;", "{0} = {1};", "f({0});", "s += {0};", "s += {0}.a;", "s += {0}['a'];", "s += {0}[1];", "var l = {0}.a;",
    "l = {0}[1]; if (l) l.z = (l.z || 0) + 1;", "Object.keys({0}).forEach(function (k) {{ {0}[k] = 1; }});", "s += {0}.length;",
    "for (var l in {0}) s += l;", "Object.assign({0}, {{y: 1}});", "delete {0}.a;", "s += typeof {0};", "{0}.push && {0}.push(1);",
    "s += {0}.indexOf && {0}.indexOf(1);", "(function ({0}) {{ {0} = 1; }})(2);", "var {0} = 3; {0}++;", "s += f({1});",
    "s += {0}.a.b.c;", "l = {0}.a; if (l) l.b = 7;", "({0}.a).b = 8;", "for ({0} of [1]);", "for ({0}.a in {{x: 1}});",
    "l = [{0}]; l[0].y = 1;", "l = {{k: {0}}}; l.k.y = 1;", "s += JSON.stringify({0}) + {0}.z;", "s += {0}.y;", "s += q.a.b + q.y;",
]  # fmt: skip


def test_what_is_proved_to_have_no_state_gives_every_message_the_same():
    random = Random(2026)
    engines = {"quickjs": available()["quickjs"]}
    names = ["n", "m", "T", "U", "f", "o", "g", "q"]
    proved = 0
    for _ in range(600):
        body = " ".join(
            random.choice(DOES).format(random.choice(names), random.choice(names))
            for _ in range(random.randint(1, 4))
        )
        script = "\n".join(
            [*TOPS, ENTRY % f"var s = '', l; try {{ {body} }} catch (e) {{ s += e; }} return {{s: s}};"]
        )
        if not analyse(script).is_stateless:
            continue
        proved += 1
        made = load(version(script, engine="quickjs", dialect="thingsboard"), engines)
        made.convert(b"\1", b"{}", 1)
        first = made.last
        for _ in range(2):
            made.convert(b"\1", b"{}", 1)
            assert made.last == first, script
    assert proved > 20


@pytest.mark.parametrize(
    ("script", "names"),
    [
        (ENTRY % "for (i = 0; i < 3; i++) x = i; return {i: i, x: x};", ("i", "x")),
        (ENTRY % "for (var i = 0; i < 3; i++) { let x; x = i; } return null;", ()),
        ("function a() { var i; }\n" + ENTRY % "i = 1; return i;", ("i",)),
        (ENTRY % "function a() { i = 1; } var i; a(); return i;", ()),
        ("x = 1;\n" + ENTRY % "return x;", ("x",)),
        (ENTRY % "[a, b] = [1, 2]; ({c, d: e} = {}); return null;", ("a", "b", "c", "e")),
        (ENTRY % "payload = 1; metadata.x = 2; o.p = 3; return [o];", ()),
        ("var f = (a) => { a = 1; b = 2; }, g = c => c = 3;", ("b",)),
        ("var o = {m(a) { a = 1; }, get n() { z = 1; return 1; }};", ("z",)),
        ("try { } catch (e) { e = 1; }\nclass C { m(a) { a = 1; } }", ()),
        ("Decoder = function () {}; Date = 5;", ("Decoder", "Date")),
        ("'use strict';\nx = 1;", ()),
        ("for (k in {}) for (v of []) ;", ("k", "v")),
    ],
)  # fmt: skip
def test_names_that_are_assigned_and_not_declared_are_found(script, names):
    assert analyse(script).undeclared == names


@pytest.mark.parametrize(
    ("script", "opened"),
    [
        ("Math.seed = 1;", [(("Math",), "seed")]),
        ("String.prototype.x = function () {};", [(("String", "prototype"), "x")]),
        ("Math['seed'] = 1; delete Date.now; JSON.x++;", [(("Math",), None), (("Date",), "now"), (("JSON",), "x")]),
        ("Object.defineProperty(Object, 'assign', {});", [(("Object",), "assign")]),
        ("Object.assign(Math, {a: 1});", [(("Math",), None)]),
        ("var p = Array.prototype; p.x = 1;", [(("Array", "prototype"), None)]),
        ("var M = Math;", [(("Math",), None), (("Math", "prototype"), None)]),
        ("(function (S) { S.x = 1; })(String);", [(("String",), None), (("String", "prototype"), None)]),
        ("globalThis.x = 1;", [((), None)]),
        ("function Decoder() { this.x = 1; }", [((), None)]),
        ("function P() { this.x = 1; } new P();", []),
        ("var o = {m: function () { this.x = 1; }, get n() { this.y = 2; }};", []),
        ("var f = function () { [1].map(() => { this.x = 1; }); };", [((), None)]),
        ("[1].map(Number); Math.max(1); new Date(); a instanceof Array; Array.prototype.slice.call(a);", []),
        ("function Math() {} Math.x = 1;", []),
        ("var o = {Map: 1, Date: 2}; o.Date = 3;", []),
    ],
)  # fmt: skip
def test_built_ins_that_a_script_means_to_change_are_found(script, opened):
    assert analyse(script).open == tuple(opened)


def test_a_text_that_is_not_understood_is_said_to_be_that():
    assert not analyse("function f() {}\n/x/.test(1)").is_understood


@pytest.mark.parametrize(
    "script",
    ["a=>" * 20_000 + "1", "(" * 50_000 + ")" * 50_000, "[a]=b;" * 20_000, "f(" + "Number," * 20_000 + ")", "{" * 50_000, "/*a " * 50_000],
    ids=["arrows", "parentheses", "patterns", "arguments", "open", "comments"],
)  # fmt: skip
def test_a_script_that_is_made_to_be_hard_to_read_is_read_all_the_same(script):
    analyse(script)
