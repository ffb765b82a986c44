"""A downlink for each device of a group, as a job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import defer, reactor, task
from twisted.internet.task import Clock

from iotgw import testing
from iotgw.core.clock import PlainCalendar
from iotgw.core.device_entry import DeviceSpec
from iotgw.core.errors import NoSpace
from iotgw.core.specs import DownlinkSpec
from iotgw.devices.fleet import Fleet
from iotgw.downlinks.leaving import LastSeen
from iotgw.downlinks.queue import DownlinkQueue
from iotgw.jobs.downlinks import DownlinkJobs
from iotgw.jobs.service import JobService
from iotgw.store.sqlite.downlinks import DownlinkStore

TEXT = {"data": "on", "contentType": "TEXT"}


class World:
    """Ten devices, the even ones in a group; a job is run turn by turn."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(100)
        self.queue = testing.MemoryDownlinks(self.clock)
        self.fleet = Fleet(
            testing.MemoryDeviceEntries(), testing.MemoryDevices(), testing.FakeSpeakers(),
            testing.MemoryRegistry(self.clock), self.clock, PlainCalendar(self.clock), lambda *changed: None,
        )  # fmt: skip
        testing.fired(self.fleet.start())
        for number in range(10):
            groups = ["even"] if number % 2 == 0 else []
            testing.fired(self.fleet.save("default", DeviceSpec(name=f"dev-{number}", groups=groups)))
        self.kind = DownlinkJobs(self.fleet, self.queue, self.clock)

    def run(self, job: Any = None, rate: float = 1000, **what: Any) -> Any:
        job = job or testing.FakeJobRun({"downlink": TEXT, "rate": rate, **what})
        self.done = self.kind.run(job)
        return job

    def devices(self) -> list[str]:
        return [item.device for item in self.queue.items.values()]


def test_each_device_of_a_group_gets_an_item_in_order() -> None:
    world = World()
    job = world.run(group="even")
    testing.fired(world.done)
    assert world.devices() == ["dev-0", "dev-2", "dev-4", "dev-6", "dev-8"]
    assert (job.total, job.counts, job.place) == (5, {"queued": 5}, "dev-8")
    assert {item.spec.data for item in world.queue.items.values()} == {"on"}


def test_a_list_and_a_filter_choose_devices() -> None:
    world = World()
    world.run(devices=["dev-7", "dev-1", "dev-7"])
    assert world.devices() == ["dev-1", "dev-7"]
    world.queue.items.clear()
    world.run(text="DEV-3")
    assert world.devices() == ["dev-3"]
    world.queue.items.clear()
    world.run()
    assert len(world.devices()) == 10


def test_items_are_queued_at_a_rate() -> None:
    world = World()
    world.run(rate=2)
    seen = [len(world.queue.items)]
    for _ in range(4):
        world.clock.advance(1)
        seen.append(len(world.queue.items))
    assert seen == [2, 4, 6, 8, 10]
    testing.fired(world.done)
    world.queue.items.clear()
    world.run(rate=0.1, devices=["dev-1", "dev-2"])
    world.clock.pump([1] * 9)
    assert world.devices() == ["dev-1"]
    world.clock.pump([1])
    assert world.devices() == ["dev-1", "dev-2"]


def test_a_job_that_waits_for_its_rate_ends_within_a_second_when_it_is_cancelled() -> None:
    world = World()
    job = testing.FakeJobRun({"downlink": TEXT, "rate": 0.01})
    job.went = lambda cursor, **counts: (
        defer.fail(InterruptedError()) if counts == {} and world.devices() else defer.succeed(None)
    )  # type: ignore[method-assign]
    world.run(job)
    world.clock.advance(1)
    with pytest.raises(InterruptedError):
        testing.fired(world.done)
    assert world.devices() == ["dev-0"]


def test_it_goes_on_behind_the_device_that_it_has_reached() -> None:
    world = World()
    job = testing.FakeJobRun({"downlink": TEXT, "rate": 1000}, cursor=7, place="dev-6")
    world.run(job)
    assert (world.devices(), job.total) == (["dev-7", "dev-8", "dev-9"], 3)


def test_a_device_whose_queue_is_full_is_counted_and_the_others_get_theirs() -> None:
    world = World()
    world.queue = testing.MemoryDownlinks(world.clock, capacity=8)
    world.kind = DownlinkJobs(world.fleet, world.queue, world.clock)
    job = world.run()
    testing.fired(world.done)
    assert job.counts == {"queued": 8, "refused": 2}


def test_a_disk_without_room_ends_the_job_with_the_reason() -> None:
    world = World()

    async def push(*args: Any) -> Any:
        raise NoSpace("the disk is full")

    world.queue.push = push  # type: ignore[method-assign]
    world.run()
    with pytest.raises(NoSpace):
        testing.fired(world.done)


class Process:
    """A process on a data directory: a job service and a queue with its real store. Progress is saved so late that a kill loses all of it."""

    def __init__(self, path: Path, registry: Any, fleet: Any, clock: Clock) -> None:
        self.store = DownlinkStore(path, reactor)
        self.queue = DownlinkQueue(
            self.store,
            lambda *_: defer.Deferred(),
            lambda *_: defer.succeed(LastSeen("ds", None, "")),
            lambda event, item: None,
            clock,
        )
        self.jobs = JobService(registry, [DownlinkJobs(fleet, self.queue, clock)], clock, clock)


async def turns(clock: Clock, jobs: Any, id: str, done: int) -> None:
    """Let a job go on until it has done so much."""
    while jobs.get("default", id).done < done and jobs.get("default", id).state == "running":
        await task.deferLater(reactor, 0)  # what the store's thread has done
        clock.advance(0.1)


@pytest_twisted.ensureDeferred
async def test_no_device_gets_two_items_when_the_process_is_killed(tmp_path: Path) -> None:
    world = World()
    clock = world.clock
    clock.rightNow = reactor.seconds()  # type: ignore[attr-defined]
    registry = testing.MemoryRegistry(clock)
    first = Process(tmp_path, registry, world.fleet, clock)
    await first.queue.start()
    first.jobs.start()
    what = {"downlink": TEXT, "rate": 1.0}
    begun = await first.jobs.begin("downlinks", "default", what, "anna")
    left = dict(registry.get("job", begun.id).body)  # what a kill leaves, at worst
    await turns(clock, first.jobs, begun.id, 5)
    stopped = first.jobs.stop()
    while not stopped.called:
        await task.deferLater(reactor, 0)
        clock.advance(0.1)
    await first.queue.stop()
    await registry.replace("job", begun.id, left)
    second = Process(tmp_path, registry, world.fleet, clock)
    await second.queue.start()
    second.jobs.start()
    await turns(clock, second.jobs, begun.id, 11)
    over = second.jobs.get("default", begun.id)
    assert (over.state, over.problem, over.counts) == ("done", "", {"queued": 10})
    found = await second.queue.of_job("default", begun.id)
    assert sorted(item.device for item in found.items) == [f"dev-{number}" for number in range(10)]
    assert found.states == {"QUEUED": 10}
    second.jobs.stop()
    await second.queue.stop()


def test_the_same_item_is_meant_only_by_the_same_job_tenant_and_device() -> None:
    world = World()
    spec = DownlinkSpec(data="on", content_type="TEXT")
    push = world.queue.push
    ids = {
        testing.fired(push(tenant, device, spec, job)).id
        for tenant, device, job in [("a", "b", "c"), ("a", "b", "d"), ("a", "c", "c"), ("b", "b", "c")]
    }
    assert len(ids) == 4
