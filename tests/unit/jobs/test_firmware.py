"""Devices are updated as a job: each by its datasource, over restarts, until it is over or the job's time is."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from twisted.internet.task import Clock
from zope.interface import implementer

from iotgw import testing
from iotgw.core.clock import PlainCalendar
from iotgw.core.errors import Conflict, NotFound
from iotgw.core.ports.firmware import IUpdatesDevices, UpdateState
from iotgw.jobs.firmware import AWAY, FirmwareJobs
from iotgw.jobs.service import JobService


class Update:
    """An update that a test plays."""

    def __init__(self, state: UpdateState, changed: Any) -> None:
        self.state, self.changed, self.is_closed = state, changed, False

    def become(self, **changes: Any) -> None:
        self.state = replace(self.state, **changes)
        self.is_closed = self.state.is_over
        self.changed(self.state)

    def cancel(self) -> None:
        self.become(phase="cancelled")

    def leave(self) -> None:
        self.is_closed = True


@implementer(IUpdatesDevices)
class Field:
    """A datasource with these devices."""

    def __init__(self, *devices: str) -> None:
        self.devices = set(devices)
        self.updates: dict[str, Update] = {}
        self.orders: list[Any] = []
        self.busy: set[str] = set()

    def has(self, device: str) -> bool:
        return device in self.devices

    def update(self, order: Any, state: UpdateState, changed: Any) -> Update:
        if state.device in self.busy:
            raise Conflict("another update of the device is under way")
        self.orders.append(order)
        self.updates[state.device] = Update(state, changed)
        return self.updates[state.device]


class Fleet:
    """Three devices, of which two are a group."""

    def names(self, tenant: str, wanted: Any, after: str, limit: int) -> list[str]:
        return {"north": ["a", "b"]}.get(wanted.group, [])


class World:
    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.registry = testing.MemoryRegistry(self.clock)
        self.pipeline = testing.FakePipeline()
        self.files = testing.MemoryStoredFiles()
        self.kept = testing.MemoryKept()
        self.told: list[tuple[str, str]] = []
        self.field = Field("a", "b", "c")
        source = testing.fired(self.registry.create("datasource", "default", "field", {}))
        self.pipeline.running[source.id] = self.field  # type: ignore[assignment]
        self.file = testing.fired(self.files.begin("default", "app.bin", 3, b"abc"))
        self.again()

    def again(self) -> None:
        self.kind = FirmwareJobs(
            self.registry, self.pipeline, self.files, Fleet(), self.kept, self.clock, PlainCalendar(self.clock),
            lambda tenant, job, file, state: self.told.append((state.device, state.phase)),
        )  # type: ignore[arg-type]  # fmt: skip
        self.jobs = JobService(self.registry, [self.kind], self.clock, self.clock)
        self.jobs.start()

    def begin(self, **what: Any) -> str:
        wanted = {"file": self.file.id, "name": "app.bin", **what}
        id = testing.fired(self.jobs.begin("firmware", "default", wanted, "anna")).id
        self.turns()
        return id

    def turns(self, seconds: float = 1.0) -> None:
        for _ in range(5):
            self.clock.advance(seconds / 5)
            self.clock.advance(0)

    def states(self, id: str) -> dict[str, UpdateState]:
        return {state.device: state for state in testing.fired(self.kind.devices("default", id))}


@pytest.fixture
def world() -> World:
    return World()


def test_a_device_is_updated_and_its_end_is_told(world: World) -> None:
    id = world.begin(device="a", method="push", retries=5)
    (order,) = world.field.orders
    assert (order.image.name, order.image.size, order.method, order.retries) == ("app.bin", 3, "push", 5)
    world.field.updates["a"].become(phase="transferring", sent=2)
    assert world.states(id)["a"].sent == 2
    world.field.updates["a"].become(phase="updated")
    world.turns(2)
    job = world.jobs.get("default", id)
    assert (job.state, job.counts, job.total, job.after) == ("done", {"updated": 1}, 1, {"devices": 1})
    assert world.told == [("a", "updated")]
    assert world.states(id)["a"].phase == "updated"


def test_the_devices_of_a_group_go_their_own_ways(world: World) -> None:
    id = world.begin(group="north")
    assert sorted(world.states(id)) == ["a", "b"]
    world.field.updates["a"].become(phase="failed", reason="not enough flash memory")
    world.turns(2)
    assert world.jobs.get("default", id).counts == {"failed": 1}
    world.field.updates["b"].become(phase="updated")
    world.turns(2)
    assert world.jobs.get("default", id).counts == {"failed": 1, "updated": 1}


def test_a_group_without_devices_is_a_failure_that_says_so(world: World) -> None:
    assert "has no devices" in world.jobs.get("default", world.begin(group="south")).problem


def test_a_file_that_is_gone_is_a_failure_that_says_so(world: World) -> None:
    assert "no file" in world.jobs.get("default", world.begin(device="a", file="gone")).problem


def test_a_device_that_is_away_or_busy_is_waited_for(world: World) -> None:
    world.field.devices.discard("a")
    id = world.begin(device="a")
    assert (world.states(id)["a"].reason, world.field.updates) == (AWAY, {})
    world.field.devices.add("a")
    world.field.busy.add("a")
    world.turns(2)
    assert world.states(id)["a"].reason == "another update of the device is under way"
    world.field.busy.clear()
    world.turns(2)
    assert "a" in world.field.updates


def test_a_datasource_that_is_opened_anew_goes_on_with_its_devices(world: World) -> None:
    id = world.begin(device="a")
    first = world.field.updates["a"]
    first.become(phase="downloading", tries=1)
    first.leave()
    world.turns(2)
    assert world.field.updates["a"] is not first
    assert world.field.updates["a"].state == world.states(id)["a"]
    assert world.states(id)["a"].phase == "downloading"


def test_a_cancel_ends_each_device_that_is_not_done(world: World) -> None:
    world.field.devices.discard("b")
    id = world.begin(group="north")
    cancelled = world.jobs.cancel("default", id)
    world.turns(2)
    job = testing.fired(cancelled)
    assert (job.state, job.counts) == ("cancelled", {"cancelled": 2})
    assert {state.phase for state in world.states(id).values()} == {"cancelled"}


def test_the_next_process_goes_on_where_the_last_one_was(world: World) -> None:
    id = world.begin(group="north")
    world.field.updates["a"].become(phase="updated")
    world.field.updates["b"].become(phase="downloading", tries=1, link="secret")
    world.turns(2)
    stopped = world.jobs.stop()
    world.turns(2)
    testing.fired(stopped)
    assert world.field.updates["b"].is_closed
    world.field.updates.clear()
    world.again()
    world.turns(2)
    assert (sorted(world.field.updates), world.field.updates["b"].state.link) == (["b"], "secret")
    world.field.updates["b"].become(phase="updated")
    world.turns(2)
    job = world.jobs.get("default", id)
    assert (job.state, job.counts, job.total) == ("done", {"updated": 2}, 2)


def test_what_is_not_done_within_its_time_has_failed_and_says_why(world: World) -> None:
    world.field.devices.discard("a")
    id = world.begin(device="a", within=60.0)
    world.turns(70)
    assert world.jobs.get("default", id).counts == {"failed": 1}
    assert world.states(id)["a"].reason == f"not done within 60 s: {AWAY}"


def test_a_disk_without_room_stops_no_update(world: World) -> None:
    world.kept.problem = OSError("no space left")
    id = world.begin(device="a")
    world.field.updates["a"].become(phase="updated")
    world.turns(2)
    assert world.jobs.get("default", id).state == "done"


def test_a_job_that_is_forgotten_leaves_no_rows(world: World) -> None:
    id = world.begin(device="a")
    assert world.kept.owners[id]
    world.kind.forget(id)
    assert id not in world.kept.owners


def test_nobody_sees_the_devices_of_another_tenant(world: World) -> None:
    id = world.begin(device="a")
    with pytest.raises(NotFound):
        testing.fired(world.kind.devices("acme", id))
    assert "link" not in world.states(id)["a"].view()
