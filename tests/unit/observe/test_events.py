"""The record of events: what is found again, what is dropped, what survives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.logger import formatEvent, globalLogPublisher
from zope.interface.verify import verifyObject

from iotgw.core.model import Event
from iotgw.core.ports.events import IEvents
from iotgw.observe.events import EventLog


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


def event(number: int, source: str = "datasource", **more: Any) -> Event:
    return Event(number, more.pop("type", "started"), source, f"n{number}", "text", **more)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Any]:
    logs: list[EventLog] = []

    async def make(**settings: Any) -> EventLog:
        log = EventLog(tmp_path / "data" / "events.db", reactor, **settings)
        logs.append(log)
        await log.start()
        return log

    yield make
    for log in logs:
        pytest_twisted.blockon(log.stop())


async def names(log: EventLog, before: int = 0, limit: int = 100, **more: Any) -> list[str]:
    return [found.name for _, found in await log.query(more.pop("tenant", "default"), before, limit, **more)]


@inline
async def test_events_are_found_newest_first_with_all_they_held(opened: Any) -> None:
    log = await opened()
    assert verifyObject(IEvents, log)
    full = Event(
        1, "failed", "datasource", "coap", "port taken", severity="error", device="d", detail={"port": 1}
    )
    log.emit(full)
    log.emit(event(2))
    (second, first) = await log.query("default", 0, 10)
    assert first == (1, full)
    assert second[1].name == "n2"


@inline
async def test_events_are_filtered_and_paged(opened: Any) -> None:
    log = await opened()
    for number in range(6):
        log.emit(event(number, "integration" if number % 2 else "datasource", type=f"t{number % 3}"))
    log.emit(event(9, tenant="north"))
    assert await names(log) == ["n5", "n4", "n3", "n2", "n1", "n0"]
    assert await names(log, source="integration") == ["n5", "n3", "n1"]
    assert await names(log, type="t0") == ["n3", "n0"]
    assert await names(log, name="n4") == ["n4"]
    assert await names(log, limit=2) == ["n5", "n4"]
    assert await names(log, before=5, limit=2) == ["n3", "n2"]
    assert await names(log, tenant="north") == ["n9"]


@inline
async def test_the_ring_keeps_the_newest(opened: Any) -> None:
    log = await opened(capacity=10)
    for number in range(35):
        log.emit(event(number))
        if number % 7 == 0:
            await log.query("default", 0, 1)
    assert await names(log) == [f"n{number}" for number in range(34, 24, -1)]


@inline
async def test_more_than_may_wait_is_dropped_and_counted(opened: Any) -> None:
    log = await opened(pending=5)
    for number in range(20):
        log.emit(event(number))
    assert len(await names(log)) == 6  # the first was on its way to the disk, five waited
    assert log.dropped == 14


@inline
async def test_events_outlast_a_restart_and_a_stop_writes_what_waits(opened: Any) -> None:
    first = await opened()
    for number in range(50):
        first.emit(event(number))
    await first.stop()
    second = await opened()
    assert len(await names(second)) == 50


@inline
async def test_a_damaged_file_is_put_aside(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "events.db").write_bytes(b"no database " * 1000)
    log = await opened()
    log.emit(event(1))
    assert await names(log) == ["n1"]
    assert (tmp_path / "data" / "events.damaged").exists()


@inline
async def test_an_event_that_is_too_long_loses_its_detail_only(opened: Any) -> None:
    log = await opened()
    log.emit(event(1, detail={"input": "x" * 100_000}))
    ((_, found),) = await log.query("default", 0, 1)
    assert found.name == "n1"
    assert len(found.detail["omitted"]) < 20


@inline
async def test_a_disk_that_refuses_costs_events_and_nothing_else(opened: Any) -> None:
    log = await opened()
    await log._in_thread(log._database.execute, "DROP TABLE event")
    log.emit(event(1))
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
        log.emit(event(1, severity="error", type="failed"))
        log.emit(event(1, severity="error", type="failed"))
        log.emit(event(2))
        log.emit(event(2))
        log.emit(event(3, "downlink"))
    finally:
        globalLogPublisher.removeObserver(seen.append)
    lines = [(each["log_namespace"], each["log_level"].name, formatEvent(each)) for each in seen]
    assert lines == [
        ("iotgw.datasource", "error", "n1: text"),
        ("iotgw.datasource", "info", "n2: text"),
        ("iotgw.datasource", "info", "n2: text"),
    ]
