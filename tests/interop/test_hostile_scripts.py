"""Scripts that were written to break things: each costs its own message, and nobody else anything."""

import json
import os

import pytest
from pytest_twisted import ensureDeferred

from tests.unit.converters.conftest import convert, job, service, version  # noqa: F401 - a fixture

GOOD = version("return {deviceName: 'good', deviceType: 't', telemetry: {a: payload[0]}};", id="good")
GOODS = {
    engine: version(GOOD.script, id=f"good-{engine}", engine=engine) for engine in ("duktape", "quickjs")
}

# Each comes to an end by itself: an error, or a result that is checked like any other.
ABRUPT = {
    "throw null": "throw null",
    "throw undefined": "throw undefined",
    "a throwing getter in what is thrown": "throw {get stack() { throw 1; }, get message() { throw 2; }}",
    "a thrown proxy": "throw new Proxy({}, {get: function () { throw 1; }})",
    "a throwing toString": "throw {toString: function () { throw 3; }, toJSON: function () { throw 4; }}",
    "an error with a throwing name": "var e = new Error('x'); Object.defineProperty(e, 'name', {get: function () { throw 1; }}); throw e",
    "a throwing getter in the result": "return {deviceName: 'x', get deviceType() { throw 1; }}",
    "a throwing toJSON": "return {toJSON: function () { throw null; }}",
    "a result that is a proxy": "return new Proxy({}, {ownKeys: function () { throw null; }})",
    "a circular result": "var a = {}; a.a = a; return a",
    "a function as the result": "return function () {}",
    "a symbol as the result": "return Symbol('x')",
    "a number as the result": "return 5",
    "deep nesting": "var a = []; for (var i = 0; i < 1e5; i++) a = [a]; return a",
    "deep recursion": "function f() { return 1 + f(); } return f()",
    "deep JSON": "return JSON.parse(new Array(1e5).join('[') + new Array(1e5).join(']'))",
    "a deep regular expression": "return new RegExp(new Array(5e4).join('('))",
    "a deep expression": "return eval(new Array(5e4).join('(') + '1' + new Array(5e4).join(')'))",
    "a huge buffer": "return new Uint8Array(2147483647)",
    "a huge string": "var s = 'x'; for (var i = 0; i < 40; i++) s += s; return s",
    "a huge result": "return {deviceName: new Array(2e6).join('x'), deviceType: 't'}",
    "a huge error": "throw new Error(new Array(1e6).join('x'))",
    "too many log lines": "var x = new Array(1e4).join('x'); for (var i = 0; i < 1e3; i++) console.log(x); return 5",
    "tampered JSON": "JSON.stringify = JSON.parse = function () { throw null; }; return 5",
    "tampered prototypes": "Array.prototype.push = String.prototype.slice = Function.prototype.call = Function.prototype.apply = null; Object.prototype.toJSON = function () { throw null; }; return {}",
    "a setter on Object.prototype": "Object.defineProperty(Object.prototype, 'name', {set: function () { throw null; }, get: function () { throw null; }}); throw new Error('x')",
    "a frozen global object": "Object.freeze((0, eval)('this')); throw null",
    "deleted built-ins": "var g = (0, eval)('this'); Object.getOwnPropertyNames(g).forEach(function (n) { try { delete g[n]; } catch (e) {} }); return 5",
    "an error constructor that throws": "Error = TypeError = RangeError = function () { throw null; }; return null.x",
    "a surrogate half as a name": "return {deviceName: '\\ud800', deviceType: 5, telemetry: 5}",
    "Duktape.modSearch": "return Duktape.modSearch('/etc/hostname')",
    "Duktape.errCreate": "Duktape.errCreate = function () { throw null; }; return null.x",
    "require": "return require('/etc/hostname')",
    "print": "print('x'); alert('y')",
    "waiting for another thread": "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)",
    "a promise": "return (0, eval)('(async function () { return {}; })()')",
    "import": "return eval('import(\"os\")')",
    "the constructor's way to globals": "return Function('return process')().exit()",
    "escaping the scope of the runtime": "return [typeof run, typeof invoke, typeof logs, typeof __iotgw_run].join()",
    "a caller's arguments": "return String(arguments.callee.caller)",
}  # fmt: skip

# These do not: the kernel ends them, or the engine.
ENDLESS = {
    "a loop": "while (true) {}",
    "a loop with a catch": "for (;;) { try { for (;;) {} } catch (e) {} }",
    "a tail call": "function f() { return f(); } return f()",
    "a regular expression": "return /^(a+)+$/.test(new Array(40).join('a') + 'b')",
    "an endless toString": "throw {toString: function () { for (;;) {} }, toJSON: function () { for (;;) {} }}",
    "an endless getter": "return {get deviceName() { for (;;) {} }}",
    "growing without end": "var a = []; for (;;) a.push(new Array(100).join(String(a.length)))",
}


@pytest.mark.parametrize("engine", ["duktape", "quickjs"])
@pytest.mark.parametrize("what", ABRUPT)
@ensureDeferred
async def test_a_hostile_script_costs_its_own_message_only(service, engine, what):  # noqa: F811
    good = GOODS[engine]
    deaths = sum(slot.deaths for slot in service.pool.slots.values())
    hostile = version(ABRUPT[what], engine=engine, time_limit=30.0)  # they end by themselves, on any machine
    made = await convert(service, job(good), job(hostile), job(good), job(hostile), job(good))
    for index in (0, 2, 4):
        assert made[index].outputs[0].device_name == "good"
    for index in (1, 3):
        assert made[index].outputs == ()
        assert made[index].error is not None and made[index].error.message
        if made[index].error.name != "MemoryLimit":
            assert made[index].error.line == 1 and made[index].error.column, made[index].error
        assert len(made[index].error.message) < 5000 and sum(map(len, made[index].logs)) < 150_000
    if "MemoryLimit" in (made[1].error.name, made[3].error.name):
        return  # a worker that gave so much memory away is replaced
    assert sum(slot.deaths for slot in service.pool.slots.values()) == deaths, "a worker died"


@pytest.mark.parametrize("engine", ["duktape", "quickjs"])
@pytest.mark.parametrize("what", ENDLESS)
@ensureDeferred
async def test_an_endless_script_is_ended_and_its_neighbours_are_converted(service, engine, what):  # noqa: F811
    good = GOODS[engine]
    hostile = version(ENDLESS[what], engine=engine, time_limit=0.02)
    jobs = [job(good, bytes([i])) for i in range(100)]
    jobs[37:37] = [job(hostile)]
    made = await convert(service, *jobs)
    if what != "a tail call":  # which QuickJS ends as too deep
        assert made[37].error.name in ("TimeLimit", "MemoryLimit")
        assert made[37].error.line == 1 and made[37].error.column, made[37].error
    del made[37]
    got = [json.loads(one.outputs[0].body)["telemetry"][0]["values"]["a"] for one in made]
    assert got == list(range(100)), "a neighbour was lost, doubled or out of order"


@pytest.mark.parametrize("engine", ["duktape", "quickjs"])
@ensureDeferred
async def test_the_error_of_an_endless_script_names_the_loop(service, engine):  # noqa: F811
    script = "var x = 1;\nfunction spin() {\n  while (x) {\n    x++;\n  }\n}\nspin();"
    (made,) = await convert(service, job(version(script, engine=engine, time_limit=0.02)))
    assert made.error.name == "TimeLimit"
    assert made.error.line in (3, 4) and made.error.column


@pytest.mark.parametrize("engine", ["duktape", "quickjs"])
@ensureDeferred
async def test_nothing_leaks_from_one_converter_into_another(service, engine):  # noqa: F811
    writer = version(
        "leak = 'secret'; Array.prototype.leak = Object.prototype.leak = 1; return null", engine=engine
    )
    reader = version(
        "return {deviceName: typeof leak + typeof [].leak + typeof {}.leak, deviceType: 't'}", engine=engine
    )
    made = await convert(service, *[job(writer) for _ in range(4)], job(reader), job(writer), job(reader))
    assert [one.outputs[0].device_name for one in made if one.outputs] == ["undefined" * 3] * 2


@ensureDeferred
async def test_a_million_throws_do_not_fill_a_stack(service):  # noqa: F811
    # pyduktape2 leaks a stack slot for each exception that leaves a call, and aborts at about 850,000
    hostile = version(
        "var i = 0; for (i = 0; i < 2000; i++) { try { null.x } catch (e) {} } throw null", time_limit=5.0
    )
    made = await convert(service, *[job(hostile) for _ in range(500)])
    assert {one.error.message for one in made} == {"threw null"}


@ensureDeferred
async def test_a_worker_killed_from_outside_costs_nobody_anything(service):  # noqa: F811
    good = GOODS["duktape"]
    await convert(service, job(good))
    jobs = [job(good, bytes([i % 256])) for i in range(2000)]
    done = convert(service, *jobs)
    for slot in service.pool.slots.values():
        if slot.is_busy:
            os.kill(slot.pid, 9)
    made = await done
    got = [json.loads(one.outputs[0].body)["telemetry"][0]["values"]["a"] for one in made]
    assert got == [i % 256 for i in range(2000)]
