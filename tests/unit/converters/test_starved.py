"""Workers that get little of the machine, or are ended by somebody else: no script is to blame for that."""

import contextlib
import os
import signal
import threading

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.task import deferLater

from iotgw.converters.protocol import BETWEEN, PROGRESS
from iotgw.converters.service import ConverterService
from iotgw.converters.slot import ASLEEP, UNEXPLAINED
from iotgw.core.errors import ConversionFailed, SettingsError
from iotgw.core.specs import ConverterSpec
from tests.unit.converters.conftest import convert, job, version

ENGINES = pytest.mark.parametrize("engine", ["duktape", "quickjs"])
GOOD = "return {deviceName: 'd', deviceType: 't', telemetry: {a: payload[0]}};"
BUSY = "var x = 0; for (var i = 0; i < 200000; i++) x += i; " + GOOD
LIMIT = 0.5
"""CPU seconds, of which BUSY uses a tenth at most, on a slow machine."""


@pytest.fixture
def told():
    """What the service reports about its converters."""
    return []


@contextlib.asynccontextmanager
async def running(told):
    service = ConverterService(reactor, workers=1, report=lambda *report: told.append(report))
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


def worker(service):
    return service.pool.slots[1]


async def until_at_work(slot):
    """Wait until the slot's worker is at a call."""
    while not (slot.pid and slot._progress and PROGRESS.unpack_from(slot._progress, 0)[1] != BETWEEN):
        await deferLater(reactor, 0)


@contextlib.contextmanager
def starving(pid, on, off):
    """A process that the machine lets work for ``on`` seconds, then not for ``off`` seconds, and so on."""
    enough, pause = threading.Event(), threading.Event()

    def run():
        while not enough.is_set():
            for number, seconds in ((signal.SIGSTOP, off), (signal.SIGCONT, on)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
                pause.wait(seconds)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def good(made):
    return [one.error for one in made if one.error] == []


@ENGINES
@ensureDeferred
async def test_a_call_may_wait_for_its_turn_longer_than_its_limit(told, engine):
    async with running(told) as service:
        slot = worker(service)
        done = convert(service, *[job(version(BUSY, engine=engine, time_limit=LIMIT)) for _ in range(40)])
        await until_at_work(slot)
        os.kill(slot.pid, signal.SIGSTOP)
        await deferLater(reactor, 1.5 * LIMIT)
        os.kill(slot.pid, signal.SIGCONT)
        assert good(await done) and slot.deaths == 0 and told == []


@ENGINES
@ensureDeferred
async def test_a_worker_with_a_twentieth_of_a_processor_fails_no_message(told, engine):
    async with running(told) as service:
        script = version(
            GOOD, engine=engine, time_limit=0.03
        )  # less than the worker waits for its turn each time
        await convert(service, job(version("return null;")))
        slot = worker(service)
        with starving(slot.pid, 0.002, 0.038):
            made = [await convert(service, *[job(script) for _ in range(100)]) for _ in range(5)]
        assert all(map(good, made)) and slot.deaths == 0 and told == []


@ENGINES
@ensureDeferred
async def test_a_script_that_works_too_long_is_stopped_however_little_it_gets(told, engine):
    async with running(told) as service:
        await convert(service, job(version("return null;")))
        with starving(worker(service).pid, 0.005, 0.01):
            made = await convert(service, job(version("for (;;) {}", engine=engine, time_limit=0.03)))
        assert made[0].error.name == "TimeLimit"


@ensureDeferred
async def test_a_worker_that_is_killed_from_outside_makes_no_script_a_suspect(told):
    async with running(told) as service:
        slot = worker(service)
        done = convert(service, *[job(version(BUSY, time_limit=LIMIT)) for _ in range(40)])
        for _ in range(UNEXPLAINED):
            await until_at_work(slot)
            pid = slot.pid
            os.kill(pid, signal.SIGKILL)
            while slot.pid == pid:
                await deferLater(reactor, 0)
        assert good(await done) and told == []
        assert slot.deaths == UNEXPLAINED


@ensureDeferred
async def test_a_call_whose_workers_are_killed_again_and_again_fails_in_the_end(told):
    async with running(told) as service:
        done = convert(service, job(version("for (;;) {}", time_limit=60.0)))
        while not done.called:
            for slot in service.pool.slots.values():
                if slot.pid and slot.is_busy:
                    with contextlib.suppress(ProcessLookupError):  # we hear of its end a little later
                        os.kill(slot.pid, signal.SIGKILL)
            await deferLater(reactor, 0)
        (made,) = await done
        assert made.error.message == "its worker ended again and again: the worker was ended by SIGKILL"


@ensureDeferred
async def test_a_worker_that_sleeps_over_a_call_is_replaced_and_its_script_is_not_blamed(told):
    async with running(told) as service:
        await convert(service, job(version(GOOD)))
        slot = worker(service)
        os.kill(slot.pid, signal.SIGSTOP)
        done = convert(service, job(version(GOOD)))
        slot.watch(ASLEEP)  # sees the call
        slot.watch(ASLEEP)
        assert not done.called
        slot.watch(1.0)
        assert good(await done) and slot.deaths == 1 and told == []


@ensureDeferred
async def test_a_worker_that_the_kernels_timer_does_not_end_is_ended_by_the_watchdog(told):
    async with running(told) as service:
        script = version("for (;;) {}", time_limit=60.0)
        done = convert(service, job(script))
        while not done.called:
            for slot in service.pool.slots.values():
                for _, work in slot._inflight:
                    work.patience = 0.01
                slot.watch(1.0)
            await deferLater(reactor, 0.001)
        assert (await done)[0].error.name == "TimeLimit"


@pytest.mark.parametrize(("options", "limit"), [({}, 70), ({"timeLimit": 0.09}, 90)])
@ensureDeferred
async def test_every_call_has_the_limit_that_its_converter_or_else_the_gateway_sets(options, limit):
    service = ConverterService(reactor, workers=1, time_limit=0.07)
    await service.start()
    try:
        uplink = version("for (;;) {}", time_limit=0.0, options=options)
        said = f"the script did not finish within {limit} ms"
        (made,) = await convert(service, job(uplink))
        assert made.error.message == said
        assert (await service.test(uplink, b"", {}, 1))["error"]["message"] == said
        downlink = version("for (;;) {}", time_limit=0.0, options=options, direction="DOWNLINK")
        with pytest.raises(ConversionFailed, match=said):
            await service.encode(downlink, {}, {}, "", {})
        with pytest.raises(SettingsError, match=f"within {limit} ms"):
            await service.compile(ConverterSpec(name="x", script="for (;;) {}", options=options))
    finally:
        await service.stop()
