"""The record of events: what is found again, what is dropped, what survives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from msgspec import structs
from twisted.internet import reactor
from twisted.logger import formatEvent, globalLogPublisher

from iotgw.observe.events import EventLog
from iotgw.store.sqlite.events import EventFile
from iotgw.testing.contracts import EventsContract, Threaded
from iotgw.testing.contracts.events import happened


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


class TestEventLog(Threaded, EventsContract):
    @pytest.fixture(autouse=True)
    def in_directory(self, tmp_path: Path) -> None:
        self.path = tmp_path / "data" / "events.db"

    def open(self) -> EventLog:
        log = EventLog(EventFile(self.path), self.clock)
        self.wait(log.start())
        return log

    def close(self, log: EventLog) -> None:
        self.wait(log.stop())


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Any]:
    logs: list[EventLog] = []

    async def make(**settings: Any) -> EventLog:
        log = EventLog(EventFile(tmp_path / "data" / "events.db"), reactor, **settings)
        logs.append(log)
        await log.start()
        return log

    yield make
    for log in logs:
        pytest_twisted.blockon(log.stop())


async def names(log: EventLog, before: int = 0, limit: int = 100, **more: Any) -> list[str]:
    return [found.name for _, found in await log.query(more.pop("tenant", "default"), before, limit, **more)]


@inline
async def test_the_ring_keeps_the_newest(opened: Any) -> None:
    log = await opened(capacity=10)
    for number in range(35):
        log.emit(happened(number))
        if number % 7 == 0:
            await log.query("default", 0, 1)
    assert await names(log) == [f"n{number}" for number in range(34, 24, -1)]


@inline
async def test_nobody_loses_events_by_another_tenant_s_in_this_process_or_the_next(opened: Any) -> None:
    log = await opened(capacity=10)
    for number in range(4):
        log.emit(structs.replace(happened(number), tenant="quiet"))
    for number in range(20):
        log.emit(happened(number))
    assert [len(await names(log, tenant=each)) for each in ("quiet", "default")] == [4, 6]
    await log.stop()
    again = await opened(capacity=10)
    for number in range(20, 40):
        again.emit(happened(number))
    assert [len(await names(again, tenant=each)) for each in ("quiet", "default")] == [4, 6]
    assert (await names(again))[0] == "n39"


@inline
async def test_more_than_may_wait_is_dropped_and_counted(opened: Any) -> None:
    log = await opened(pending=5)
    for number in range(20):
        log.emit(happened(number))
    assert len(await names(log)) == 6  # the first was on its way to the disk, five waited
    assert log.dropped == 14


@inline
async def test_events_outlast_a_restart_and_a_stop_writes_what_waits(opened: Any) -> None:
    first = await opened()
    for number in range(50):
        first.emit(happened(number))
    await first.stop()
    second = await opened()
    assert len(await names(second)) == 50


@inline
async def test_a_damaged_file_is_put_aside(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "events.db").write_bytes(b"no database " * 1000)
    log = await opened()
    log.emit(happened(1))
    assert await names(log) == ["n1"]
    assert (tmp_path / "data" / "events.damaged").exists()


@inline
async def test_an_event_that_is_too_long_loses_its_detail_only(opened: Any) -> None:
    log = await opened()
    log.emit(happened(1, detail={"input": "x" * 100_000}))
    ((_, found),) = await log.query("default", 0, 1)
    assert found.name == "n1"
    assert len(found.detail["omitted"]) < 20


@inline
async def test_a_disk_that_refuses_costs_events_and_nothing_else(opened: Any) -> None:
    log = await opened()
    await log._in_thread(log._rows.database.execute, "DROP TABLE event")
    log.emit(happened(1))
    await log._in_thread(lambda: None)
    assert log.dropped == 1


@inline
async def test_events_of_the_gateways_parts_are_lines_of_the_log_and_those_of_devices_are_not(
    opened: Any,
) -> None:
    seen: list[Any] = []
    globalLogPublisher.addObserver(seen.append)
    try:
        log = await opened()
        log.emit(happened(1, severity="error", type="failed"))
        log.emit(happened(1, severity="error", type="failed"))
        log.emit(happened(2))
        log.emit(happened(2))
        log.emit(happened(3, "downlink"))
    finally:
        globalLogPublisher.removeObserver(seen.append)
    lines = [(each["log_namespace"], each["log_level"].name, formatEvent(each)) for each in seen]
    assert lines == [
        ("iotgw.datasource", "error", "n1: text"),
        ("iotgw.datasource", "info", "n2: text"),
        ("iotgw.datasource", "info", "n2: text"),
    ]
