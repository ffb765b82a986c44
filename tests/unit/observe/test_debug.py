"""Everything of a thing is kept for a while, and of all others what failed."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from twisted.internet.task import Clock

from iotgw import testing
from iotgw.core.clock import PlainCalendar
from iotgw.core.epochs import Epochs
from iotgw.core.errors import NotFound, TooMany
from iotgw.core.model import Conversion, ConversionError, ConverterVersion, Job, Output
from iotgw.core.recorder import Recorder
from iotgw.observe import debug
from iotgw.observe.debug import DebugLog
from iotgw.observe.debug_entries import LONGEST

VERSION = ConverterVersion("c1", 3, "meters", "UPLINK", "", "thingsboard", "duktape")
FINE = Conversion((Output("dev-1", "t", b'{"deviceName":"dev-1"}'),), logs=("hello",))
FAILED = Conversion(error=ConversionError("boom", line=2), logs=("before it failed",))


def job(
    seq: int = 1, metadata: bytes = b"{}", payload: bytes = b"x", version: ConverterVersion = VERSION
) -> Job:
    return Job(version, payload, metadata, 5, seq)  # type: ignore[arg-type]


class World:
    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.store, self.events = testing.MemoryDebugStore(), testing.MemoryEvents()
        recorder = Recorder(self.events, self.clock)
        self.log = DebugLog(self.store, lambda: Epochs("e"), recorder, self.clock, PlainCalendar(self.clock))

    def on(
        self, kind: Any, target: str, seconds: float = 60, count: int | None = None, tenant: str = "default"
    ) -> Any:
        return self.log.switch_on(tenant, kind, target, f"the {target}", seconds, count, "anna")

    def convert(
        self, *pairs: tuple[Job, Conversion], tenant: str = "default", datasource: str = "ds1"
    ) -> None:
        """A batch on its way."""
        jobs, conversions = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        picked = self.log.picked(tenant, datasource, jobs, conversions)
        self.log.converted(tenant, datasource, "field", picked)

    @property
    def kept(self) -> list[str]:
        return [id for _, id, _ in self.store.kept]

    @property
    def said(self) -> list[tuple[str, str, str]]:
        return [(event.type, event.source, event.name) for event in self.events.emitted]


@pytest.fixture
def world() -> World:
    return World()


def test_failures_are_kept_always_with_what_the_script_logged(world: World) -> None:
    world.convert((job(1), FINE), (job(2, b'{"port":2}', b"\x01"), FAILED))
    [(tenant, id, entry)] = world.store.kept
    assert (tenant, id, entry.at, entry.stage) == ("default", "e-2", 1_000_000, "conversion")
    assert entry.said["logs"] == ["before it failed"]
    assert entry.said["error"]["message"] == "boom"
    assert (entry.said["payload"], entry.said["metadata"]) == (
        base64.b64encode(b"\x01").decode(),
        {"port": 2},
    )
    assert (entry.said["datasource"], entry.said["converter"], entry.said["version"]) == (
        "field",
        "meters",
        3,
    )


def test_a_fleet_that_fails_fills_nothing(world: World) -> None:
    world.convert(*[(job(seq), FAILED) for seq in range(1000)])
    assert len(world.kept) == debug.FAILURES
    world.clock.advance(60)
    world.convert((job(7), FAILED))
    assert len(world.kept) == debug.FAILURES + 1


@pytest.mark.parametrize(
    ("kind", "target"), [("datasource", "ds1"), ("converter", "c1"), ("device", "dev-1")]
)
def test_everything_of_a_thing_is_kept(world: World, kind: str, target: str) -> None:
    world.on(kind, target)
    world.convert((job(1), FINE))
    other = ConverterVersion("c2", 1, "other", "UPLINK", "", "thingsboard", "duktape")
    elsewhere = Conversion((Output("dev-2", "t", b"{}"),))
    world.convert((job(2, version=other), elsewhere), datasource="ds2")
    world.convert((job(3), FINE), tenant="north")
    assert world.kept == ["e-1"]
    assert world.store.kept[0][2].said["outputs"] == [{"deviceName": "dev-1"}]


def test_a_device_that_got_no_output_is_known_by_its_identity(world: World) -> None:
    world.on("device", "imei-1")
    world.convert(
        (job(1, b'{"identity":"imei-1"}'), Conversion()), (job(2, b'{"identity":"imei-2"}'), Conversion())
    )
    assert world.kept == ["e-1"]


def test_it_ends_by_itself_when_its_time_is_over_and_says_so(world: World) -> None:
    world.on("datasource", "ds1", seconds=60)
    world.convert((job(1), FINE))
    world.clock.advance(60)
    world.convert((job(2), FINE))
    assert world.kept == ["e-1"]
    assert world.said == [
        ("debug.started", "datasource", "the ds1"),
        ("debug.ended", "datasource", "the ds1"),
    ]
    assert world.events.emitted[1].message == "only its failures are kept again: its time is over"
    assert world.log.list("default") == []


def test_it_ends_by_itself_after_so_many_messages(world: World) -> None:
    world.on("datasource", "ds1", count=2)
    world.convert((job(1), FINE))
    assert [switch.left for switch in world.log.list("default")] == [1]
    world.convert((job(2), FINE))
    world.convert((job(3), FINE))
    assert world.kept == ["e-1", "e-2"]
    assert world.events.emitted[-1].message == "only its failures are kept again: 2 messages were kept"
    assert world.clock.getDelayedCalls() == []


def test_one_that_is_on_gets_a_new_end_and_somebody_may_end_it(world: World) -> None:
    world.on("datasource", "ds1", seconds=10)
    again = world.on("datasource", "ds1", seconds=100)
    world.clock.advance(50)
    assert world.log.list("default") == [again]
    with pytest.raises(NotFound):
        world.log.switch_off("north", again.id)
    assert world.log.switch_off("default", again.id) == again
    with pytest.raises(NotFound):
        world.log.switch_off("default", again.id)
    assert world.clock.getDelayedCalls() == []


def test_only_so_many_are_on(world: World) -> None:
    for number in range(debug.MOST):
        world.on("device", f"dev-{number}")
    with pytest.raises(TooMany):
        world.on("device", "one more")
    world.on("device", "dev-0")
    world.on("device", "one more", tenant="north")


def test_requests_and_answers_of_a_target_are_kept_without_secrets(world: World) -> None:
    record = testing.telemetry(9, "dev-1", uplink=4)
    assert world.log.shown("default", "int1", [record]) is None
    world.on("integration", "int1")
    assert world.log.shown("default", "int1", [record]) is record
    assert world.log.shown("default", "int2", [record]) is None
    assert world.log.shown("north", "int1", [record]) is None
    request = "POST /?key=abc\nAuthorization: Bearer eyJhbGciOi"
    world.log.exchanged("default", "cloud", record, request, "200 OK at https://u:p@x/y?token=abc")
    [(_, id, entry)] = world.store.kept
    assert (id, entry.stage) == ("e-4", "delivery")
    assert entry.said == {
        "integration": "cloud", "device": "dev-1",
        "request": "POST /?key=abc\nAuthorization: Bearer ***", "answer": "200 OK at https://***@x/y?token=***",
    }  # fmt: skip


def test_of_a_batch_the_device_that_is_debugged_is_shown(world: World) -> None:
    world.on("device", "dev-2")
    records = [testing.telemetry(number, f"dev-{number}") for number in (1, 2)]
    assert world.log.shown("default", "int1", records) is records[1]
    world.on("datasource", records[0].datasource)
    assert world.log.shown("default", "int1", records) is records[0]


def test_what_metadata_calls_a_secret_is_masked_and_all_is_bounded(world: World) -> None:
    world.on("datasource", "ds1")
    metadata = (
        b'{"headers":{"Authorization":"Basic abc","x-api-key":"k","accept":"*/*"},"password":"p","port":2}'
    )
    long = Conversion((Output("d", "t", b'"' + b"x" * LONGEST + b'"'),), logs=("y" * 2 * LONGEST,) * 500)
    world.convert((job(1, metadata, b"z" * 10 * LONGEST), long))
    said = world.store.kept[0][2].said
    assert said["metadata"] == {
        "headers": {"Authorization": "***", "x-api-key": "***", "accept": "*/*"}, "password": "***", "port": 2,
    }  # fmt: skip
    assert said["payloadBytes"] == 10 * LONGEST
    assert len(base64.b64decode(said["payload"])) == LONGEST
    assert (len(said["logs"]), len(said["logs"][0]) < LONGEST + 50) == (100, True)
    assert said["outputs"][0].endswith(f"({LONGEST + 2} bytes)")


def test_nothing_is_on_after_a_stop(world: World) -> None:
    world.on("datasource", "ds1")
    world.log.stop()
    assert (world.log.list("default"), world.clock.getDelayedCalls()) == ([], [])


def test_what_is_nested_without_an_end_is_kept_as_far_as_it_is_looked_at(world: World) -> None:
    world.on("datasource", "ds1")
    metadata = b'{"a":' + b"[" * 600 + b"]" * 600 + b"}"
    deep = Conversion((Output("d", "t", b"[" * 6000 + b"]" * 6000),))
    world.convert((job(1, metadata, b"x"), deep))
    said = world.store.kept[0][2].said
    assert said["outputs"] == ["[" * 6000 + "]" * 6000]
    assert str(said["metadata"]).count("[") == 99


class Nodes:
    """Two nodes on one registry."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.registry = testing.MemoryRegistry(self.clock)
        self.a, self.b = self.node(), self.node()

    def node(self) -> DebugLog:
        recorder, dates = Recorder(testing.MemoryEvents(), self.clock), PlainCalendar(self.clock)
        made = DebugLog(
            testing.MemoryDebugStore(), lambda: Epochs("e"), recorder, self.clock, dates, self.registry
        )
        made.start()
        return made

    def on(self) -> list[list[str]]:
        return [[switch.name for switch in node.list("default")] for node in (self.a, self.b)]


def test_what_one_node_switches_on_is_on_on_all_and_off_where_any_ends_it() -> None:
    nodes = Nodes()
    nodes.a.switch_on("default", "device", "dev-1", "dev-1", 60, None, "anna")
    assert nodes.on() == [["dev-1"], ["dev-1"]]
    assert nodes.a.list("default") == nodes.b.list("default")
    again = nodes.b.switch_on("default", "device", "dev-1", "dev-1", 90, None, "anna")
    assert nodes.a.list("default") == [again]
    nodes.a.switch_off("default", again.id)
    assert nodes.on() == [[], []]
    assert nodes.registry.list("debugging") == []


def test_a_node_that_starts_later_has_it_on_and_its_time_ends_it_everywhere() -> None:
    nodes = Nodes()
    nodes.a.switch_on("default", "device", "dev-1", "dev-1", 60, None, "anna")
    nodes.b.stop()
    assert nodes.on() == [["dev-1"], []]
    nodes.b = nodes.node()
    assert nodes.on() == [["dev-1"], ["dev-1"]]
    nodes.clock.advance(60)
    assert nodes.on() == [[], []]
    assert nodes.registry.list("debugging") == []


def test_what_has_ended_while_nobody_was_there_is_not_on_again() -> None:
    nodes = Nodes()
    nodes.a.switch_on("default", "device", "dev-1", "dev-1", 60, None, "anna")
    nodes.a.stop()
    nodes.b.stop()
    nodes.clock.advance(61)
    nodes.a, nodes.b = nodes.node(), nodes.node()
    assert nodes.on() == [[], []]
    assert nodes.registry.list("debugging") == []
