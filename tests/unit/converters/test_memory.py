"""Memory that stays where it is: a worker lives for months."""

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor

from iotgw.converters.service import ConverterService
from tests.unit.converters.conftest import convert, job, version

BATCH = 250
SCRIPT = """
function Decoder(payload, metadata) {
  if (payload[0]) throw new Error("as told");
  return {deviceName: metadata.n, deviceType: "t", telemetry: {a: payload[1], s: decodeToString(payload)}};
}"""


def megabytes(pid, field="Rss"):
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return sum(int(line.split()[1]) for line in rollup if line.startswith(field + ":")) / 1024


KEEPING = {
    "one that is run anew": """
var data = {}, table = {a: {b: 1}};
function add(a) { return function () { return a + table.a.b; }; }
function Decoder(payload, metadata) { data.a = add(payload[1])(); return {deviceName: metadata.n, telemetry: data}; }""",
    "one that changes built-ins": """
String.prototype.twice = function () { return this + this; };
function Decoder(payload, metadata) {
  x = payload[1]; Math.last = x;
  return {deviceName: metadata.n, telemetry: {a: 'a'.twice(), b: x}};
}""",
}


async def run(service, jobs, batches):
    for _ in range(batches):
        await convert(service, *jobs)


@pytest.mark.parametrize("engine", ["duktape", "quickjs"])
@pytest.mark.parametrize("first", [0, 1], ids=["that return", "that throw"])
@ensureDeferred
async def test_conversions_leave_nothing_behind(engine, first):
    # pyduktape2 leaks 0.27 KB for each exception that leaves a call: 20,000 of them would show
    service = ConverterService(reactor, workers=1)
    await service.start()
    try:
        converter = version(SCRIPT, dialect="thingsboard", engine=engine)
        jobs = [job(converter, bytes([first, i]), b'{"n":"d"}') for i in range(BATCH)]
        await run(service, jobs, 10_000 // BATCH)
        (pid,) = [slot.pid for slot in service.pool.slots.values() if slot.pid]
        before = megabytes(pid)
        await run(service, jobs, 20_000 // BATCH)
        assert [slot.pid for slot in service.pool.slots.values() if slot.pid] == [pid], "it was replaced"
        assert megabytes(pid) - before < 1.0
    finally:
        await service.stop()


@pytest.mark.parametrize(
    "messages",
    [pytest.param(20_000, id="20,000"), pytest.param(1_000_000, id="a million", marks=pytest.mark.soak)],
)
@pytest.mark.parametrize("engine", ["duktape", "quickjs"])
@pytest.mark.parametrize("what", KEEPING)
@ensureDeferred
async def test_messages_that_find_a_script_in_its_initial_state_leave_nothing_behind(engine, what, messages):
    service = ConverterService(reactor, workers=1)
    await service.start()
    try:
        converter = version(KEEPING[what], dialect="thingsboard", engine=engine)
        jobs = [job(converter, bytes([0, i]), b'{"n":"d"}') for i in range(BATCH)]
        await run(service, jobs, 5_000 // BATCH)
        (pid,) = [slot.pid for slot in service.pool.slots.values() if slot.pid]
        before = megabytes(pid)
        await run(service, jobs, messages // BATCH)
        assert [slot.pid for slot in service.pool.slots.values() if slot.pid] == [pid], "it was replaced"
        assert megabytes(pid) - before < 1.0
    finally:
        await service.stop()


@pytest.mark.interop
@ensureDeferred
async def test_a_thousand_converters_fit_in_150_megabytes():
    service = ConverterService(reactor, workers=2)
    await service.start()
    try:
        scripts = [
            version(SCRIPT + f"//{i} " + "x" * 2000, dialect="thingsboard", id=f"many-{i}")
            for i in range(1000)
        ]
        made = await convert(service, *[job(script, b"\x00\x01", b'{"n":"d"}') for script in scripts])
        assert not any(one.error for one in made)
        pids = [slot.pid for slot in service.pool.slots.values() if slot.pid]
        assert len(pids) == 2
        assert sum(megabytes(pid, "Pss") for pid in [*pids, service.pool.template_pid]) < 150
    finally:
        await service.stop()
