"""The life and death of workers, and who notices."""

import json
import os
import re
import select
import signal
import subprocess
import sys

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from iotgw.converters import protocol
from iotgw.converters import service as service_module
from iotgw.converters.breaker import STRIKES
from iotgw.converters.protocol import Define, Run, ScriptCall, frame, replies
from iotgw.converters.service import ConverterService
from tests.unit.converters.conftest import convert, job, version

GOOD = version("return {deviceName: 'd', deviceType: 't', telemetry: {a: payload[0]}};", id="good")
ENDLESS = "for (;;) {}"


@ensureDeferred
async def test_a_script_that_dies_five_times_is_suspended_and_its_owner_hears_of_it():
    reports = []
    service = ConverterService(reactor, workers=1, report=lambda *told: reports.append(told))
    await service.start()
    try:
        endless = version(ENDLESS, id="endless", time_limit=0.05)
        made = await convert(service, *[job(endless) for _ in range(STRIKES + 2)], job(GOOD))
        assert [one.error.name for one in made[:-1]] == ["TimeLimit"] * STRIKES + ["Suspended"] * 2
        assert made[-1].outputs
        assert [(type_, who.id) for type_, who, _, _ in reports][-1] == ("converter.suspended", "endless")
        assert list(service.status()["suspended"]) == ["default/endless/1"]
        (later,) = await convert(service, job(endless))
        assert re.search(r"suspended for \d\d s more", later.error.message)
        mended = version("return null;", id="endless")  # another version is another matter
        assert (await convert(service, job(mended)))[0].error is None
    finally:
        await service.stop()


@ensureDeferred
async def test_a_suspect_that_behaves_is_trusted_again():
    reports = []
    service = ConverterService(reactor, workers=1, report=lambda *told: reports.append(told))
    await service.start()
    try:
        moody = version("if (payload[0]) for (;;) {} return null;", id="moody", time_limit=0.3)
        made = await convert(service, job(moody, b"\x01"), *[job(moody, b"\x00") for _ in range(40)])
        assert made[0].error.name == "TimeLimit" and not any(one.error for one in made[1:])
        assert [type_ for type_, *_ in reports] == ["converter.trusted"]
    finally:
        await service.stop()


@ensureDeferred
async def test_a_template_that_is_killed_is_replaced_and_nothing_is_lost():
    service = ConverterService(reactor, workers=2)
    await service.start()
    try:
        await convert(service, job(GOOD))
        done = convert(service, *[job(GOOD, bytes([i % 256])) for i in range(3000)])
        os.kill(service.pool.template_pid, 9)
        made = await done
        values = [json.loads(one.outputs[0].body)["telemetry"][0]["values"]["a"] for one in made]
        assert values == [i % 256 for i in range(3000)]
    finally:
        await service.stop()


@ensureDeferred
async def test_signals_for_the_whole_group_leave_workers_to_the_gateway():
    service = ConverterService(reactor, workers=1)
    await service.start()
    try:
        await convert(service, job(GOOD))
        pids = [service.pool.template_pid, *[slot.pid for slot in service.pool.slots.values() if slot.pid]]
        for pid in pids:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                os.kill(pid, number)
        assert (await convert(service, job(GOOD)))[0].outputs
        assert pids == [service.pool.template_pid, *[s.pid for s in service.pool.slots.values() if s.pid]]
    finally:
        await service.stop()


@pytest.mark.parametrize("engine", ["duktape", "quickjs"])
@ensureDeferred
async def test_a_script_that_hoards_memory_fails_and_its_neighbours_do_not(engine):
    service = ConverterService(reactor, workers=1)
    await service.start()
    try:
        hoard = version(
            "var all = []; for (var i = 0; i < 80; i++) all.push(new Uint8Array(1 << 20).fill(7)); return null;",
            id="hoard",
            engine=engine,
            time_limit=20.0,
        )
        made = await convert(service, job(GOOD), job(hoard), job(GOOD), job(hoard), job(GOOD))
        assert [one.error and one.error.name for one in made] == [
            None,
            "MemoryLimit",
            None,
            "MemoryLimit",
            None,
        ]
    finally:
        await service.stop()


@ensureDeferred
async def test_the_second_watchdog_ends_a_worker_that_makes_no_progress():
    service = ConverterService(reactor, workers=1)
    await service.start()
    try:
        await convert(service, job(GOOD))
        slot = next(slot for slot in service.pool.slots.values() if slot.pid)
        os.kill(slot.pid, 19)  # SIGSTOP: the kernel's timer can't help
        done = convert(service, job(GOOD))
        for _ in range(8):
            slot.watch(40.0)
        assert (await done)[0].outputs
        assert slot.deaths == 1
    finally:
        await service.stop()


@ensureDeferred
async def test_scripts_that_were_not_used_for_long_are_forgotten_and_come_back(monkeypatch):
    monkeypatch.setattr(service_module, "SCRIPTS_KEPT", 2_000)
    service = ConverterService(reactor, workers=1)
    await service.start()
    try:
        scripts = [version(GOOD.script + "//" + str(i) * 500, id=f"s{i}") for i in range(9)]
        for script in [*scripts, *scripts]:
            assert (await convert(service, job(script)))[0].outputs
        assert len(service._loaded) < 5
    finally:
        await service.stop()


@ensureDeferred
async def test_a_draft_under_a_known_name_replaces_what_was_there():
    service = ConverterService(reactor, workers=1)
    await service.start()
    try:
        for name in ("one", "two", "one"):
            draft = version(f"return {{deviceName: '{name}', deviceType: 't'}};", id="draft")
            assert (await convert(service, job(draft)))[0].outputs[0].device_name == name
    finally:
        await service.stop()


@ensureDeferred
async def test_a_script_that_fails_as_it_loads_fails_each_message(service):
    broken = version("var a = null.b; function Decoder() {}", dialect="thingsboard", id="broken")
    made = await convert(service, *[job(broken) for _ in range(500)], job(GOOD))
    assert {(one.error.name, one.error.line) for one in made[:-1]} == {("TypeError", 1)}
    assert made[-1].outputs


@ensureDeferred
async def test_a_caller_that_fails_costs_other_callers_nothing(service):
    def done(_conversions):
        raise RuntimeError("the caller's own fault")

    service.convert([job(GOOD)], done)
    assert (await convert(service, job(GOOD)))[0].outputs


@ensureDeferred
async def test_an_idle_service_gives_an_empty_batch_back_later():
    service = ConverterService(reactor, workers=1)
    done = convert(service)
    assert not done.called
    assert await done == []
    await service.start()
    await service.stop()


@ensureDeferred
async def test_jobs_that_come_before_the_start_are_done_after_it():
    service = ConverterService(reactor, workers=1)
    done: Deferred = convert(service, job(GOOD))
    await deferLater(reactor, 0, lambda: None)
    assert not done.called
    await service.start()
    assert (await done)[0].outputs
    await service.stop()


def test_a_worker_by_itself_speaks_the_protocol_on_its_stdin_and_stdout():
    orders = [
        Define(7, GOOD),
        Run(1, [ScriptCall(7, b"\x05", b"{}", 1000), ScriptCall(7, b"\x06", b"{}", 1000)]),
    ]
    told = subprocess.run(
        [sys.executable, "-m", "iotgw.converters.worker"],
        input=b"".join(map(frame, orders)),
        stdout=subprocess.PIPE,
        timeout=120,
        check=True,
    ).stdout
    (length,) = protocol.LENGTH.unpack(told[:4])
    reply = replies.decode(told[4:])
    assert len(told) == 4 + length and reply.seq == 1
    assert [json.loads(one.outputs[0].body)["telemetry"][0]["values"]["a"] for one in reply.results] == [5, 6]
    imported = (
        "import sys, iotgw.converters.worker; print([m for m in sys.modules if m.startswith('twisted')])"
    )
    assert subprocess.check_output([sys.executable, "-c", imported], text=True).strip() == "[]"


GATEWAY = """
import os, signal, sys
from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred
from iotgw.converters.service import ConverterService
from tests.unit.converters.conftest import convert, job, version

async def run():
    service = ConverterService(reactor, workers=1)
    await service.start()
    await convert(service, job(version("return null;")))
    pids = [service.pool.template_pid, *[slot.pid for slot in service.pool.slots.values() if slot.pid]]
    print(*pids, flush=True)
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGKILL)

ensureDeferred(run())
reactor.run()
"""


def test_workers_end_with_a_gateway_that_is_killed():
    gateway = subprocess.Popen(
        [sys.executable, "-c", GATEWAY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    pids = [int(pid) for pid in gateway.stdout.readline().split()]
    assert len(pids) == 2
    ends = [os.pidfd_open(pid) for pid in pids]
    gateway.stdin.write("now\n")
    gateway.stdin.close()
    assert gateway.wait(120) == -signal.SIGKILL
    for end in ends:
        assert select.select([end], [], [], 120)[0], "a worker outlived its gateway"
        os.close(end)
    gateway.stdout.close()
