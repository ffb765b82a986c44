"""Long actions go on beside everything else, and over restarts."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface import implementer

from iotgw import testing
from iotgw.core.errors import NotFound, TooMany, Unavailable
from iotgw.core.ports.jobs import IJobKind, IJobRun
from iotgw.jobs import service
from iotgw.jobs.run import JobRun
from iotgw.jobs.service import JobService


@implementer(IJobKind)
class Counting:
    """Counts to ten. ``fails_at`` is where it fails, and with what; before ``waits_at`` it waits for ``gate``."""

    name = "count"
    at_a_time = 2
    is_of_partition = False

    def __init__(self) -> None:
        self.fails_at: tuple[int, Exception] | None = None
        self.waits_at = 0
        self.forgotten: list[str] = []
        self.gate: Deferred[None] = Deferred()

    def run(self, job: IJobRun) -> Deferred[None]:
        return Deferred.fromCoroutine(self._run(job))

    def forget(self, id: str) -> None:
        self.forgotten.append(id)

    async def _run(self, job: IJobRun) -> None:
        job.expect(10 - job.cursor, {"left": 10 - job.cursor})
        for number in range(job.cursor + 1, 11):
            if self.fails_at and self.fails_at[0] == number:
                raise self.fails_at[1]
            if number == self.waits_at:
                await self.gate
            await job.went(number, **{"odd" if number % 2 else "even": 1})
        job.ended({"left": 0})


class World:
    def __init__(self) -> None:
        self.clock = Clock()
        self.registry = testing.MemoryRegistry(self.clock)
        self.kind = Counting()
        self.again()

    def again(self) -> None:
        """Start a process on what is stored."""
        self.jobs = JobService(self.registry, [self.kind], self.clock, self.clock)
        self.jobs.start()

    def begin(self, tenant: str = "default", kind: str = "count") -> Any:
        return testing.fired(self.jobs.begin(kind, tenant, {"of": "x"}, "anna"))

    def turns(self, count: int) -> None:
        for _ in range(count):
            self.clock.advance(0)


@pytest.fixture
def world() -> World:
    return World()


def test_a_job_shows_how_far_it_is_and_how_it_ended(world: World) -> None:
    world.kind.waits_at = 5
    begun = world.begin()
    assert (begun.state, begun.what, begun.total, begun.by) == ("running", {"of": "x"}, 10, "anna")
    world.turns(3)
    half = world.jobs.get("default", begun.id)
    assert (half.state, half.done, half.counts) == ("running", 4, {"odd": 2, "even": 2})
    world.clock.advance(1)
    world.kind.gate.callback(None)
    world.turns(20)
    over = world.jobs.get("default", begun.id)
    assert (over.state, over.done, over.total) == ("done", 10, 10)
    assert (over.before, over.after, over.ended_at) == ({"left": 10}, {"left": 0}, 1000)


def test_a_job_that_is_cancelled_ends_and_what_is_done_stays(world: World) -> None:
    begun = world.begin()
    cancelled = world.jobs.cancel("default", begun.id)
    world.turns(2)
    over = testing.fired(cancelled)
    assert (over.state, over.total) == ("cancelled", 10)
    assert 0 < over.done < 10
    world.turns(9)
    assert testing.fired(world.jobs.cancel("default", begun.id)) == over


def test_a_job_goes_on_where_it_was_when_the_gateway_stopped(world: World) -> None:
    world.kind.waits_at = 5
    begun = world.begin()
    world.turns(3)
    stopped = world.jobs.stop()
    world.kind.gate.callback(None)
    world.turns(1)
    testing.fired(stopped)
    world.again()
    half = world.jobs.get("default", begun.id)
    assert (half.state, half.done) == ("running", 6)  # the next one was begun at once
    world.turns(20)
    over = world.jobs.get("default", begun.id)
    assert (over.state, over.done, over.total, over.counts) == ("done", 10, 10, {"odd": 5, "even": 5})
    assert over.before == {"left": 10}


def test_a_kill_loses_no_more_than_the_progress_of_two_seconds(world: World) -> None:
    world.kind.waits_at = 5
    begun = world.begin()
    world.turns(2)
    assert world.registry.get("job", begun.id).body["done"] == 0
    world.clock.advance(2)
    world.kind.gate, gate = Deferred(), world.kind.gate
    world.kind.waits_at = 7
    gate.callback(None)
    world.turns(2)
    assert world.registry.get("job", begun.id).body["done"] == 5
    world.again()
    assert world.jobs.get("default", begun.id).counts == {"odd": 3, "even": 3}


@pytest.mark.parametrize("error", [Unavailable("the journal is closed"), ValueError("a bug")])
def test_a_job_that_fails_says_why(world: World, error: Exception) -> None:
    world.kind.fails_at = (3, error)
    begun = world.begin()
    world.turns(9)
    over = world.jobs.get("default", begun.id)
    assert (over.state, over.problem, over.done) == ("failed", str(error), 2)


def test_a_kind_that_a_later_version_brought_fails_with_a_sentence(world: World) -> None:
    begun = world.begin(kind="unheard-of")
    assert "expected a kind of job" in world.jobs.get("default", begun.id).problem


def test_a_tenant_has_two_jobs_at_a_time(world: World) -> None:
    world.begin(), world.begin()
    with pytest.raises(TooMany):
        world.begin()
    world.begin("acme")
    world.turns(20)
    world.begin()


def test_a_tenant_sees_its_own_jobs_alone(world: World) -> None:
    begun = world.begin()
    assert world.jobs.list("acme") == []
    with pytest.raises(NotFound):
        world.jobs.get("acme", begun.id)
    with pytest.raises(NotFound):
        testing.fired(world.jobs.cancel("acme", begun.id))
    assert world.jobs.get("default", begun.id).state == "running"


def test_jobs_that_are_over_are_forgotten_when_they_are_many(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "KEPT", 2)
    ids = []
    for _ in range(5):
        ids.append(world.begin().id)
        world.turns(20)
        world.clock.advance(1)
    assert [view.id for view in world.jobs.list("default")] == ids[:1:-1]
    assert world.kind.forgotten == ids[:2]


def test_a_job_that_does_not_move_is_not_written_again(world: World) -> None:
    begun = world.begin()
    run = JobRun(world.registry.get("job", begun.id), world.registry, world.clock)
    run.went(3, odd=1)
    world.clock.advance(2)
    run.went(3, odd=1)
    revision = world.registry.get("job", begun.id).revision
    for _ in range(3):
        world.clock.advance(2)
        run.went(3)
    assert world.registry.get("job", begun.id).revision == revision


def test_a_job_waits_for_its_date(world: World) -> None:
    begun = testing.fired(world.jobs.begin("count", "default", {}, "anna", 100_000))
    assert (begun.state, begun.starts_at, begun.done) == ("waiting", 100_000, 0)
    world.clock.pump([10] * 9)
    assert world.jobs.get("default", begun.id).state == "waiting"
    world.clock.pump([10, *[0] * 20])
    assert world.jobs.get("default", begun.id).state == "done"


def test_a_date_that_comes_while_nothing_runs_is_kept(world: World) -> None:
    begun = testing.fired(world.jobs.begin("count", "default", {}, "anna", 100_000))
    testing.fired(world.jobs.stop())
    world.clock.advance(500)
    assert world.jobs.get("default", begun.id).state == "waiting"
    world.again()
    world.turns(20)
    assert world.jobs.get("default", begun.id).state == "done"


def test_a_date_is_noticed_when_the_machine_s_clock_is_set(world: World) -> None:
    testing.fired(world.jobs.stop())
    dates = Clock()
    world.jobs = JobService(world.registry, [world.kind], world.clock, dates)
    world.jobs.start()
    begun = testing.fired(world.jobs.begin("count", "default", {}, "anna", 10_000_000))
    dates.advance(10_000)
    world.clock.advance(service.LOOK)
    world.turns(20)
    assert world.jobs.get("default", begun.id).state == "done"


def test_jobs_whose_date_has_come_wait_for_those_that_are_under_way(world: World) -> None:
    world.kind.waits_at = 1
    later = [testing.fired(world.jobs.begin("count", "default", {}, "anna", 1000 + n)) for n in range(3)]
    world.clock.advance(2)
    states = [world.jobs.get("default", each.id).state for each in later]
    assert states == ["running", "running", "waiting"]
    world.kind.gate.callback(None)
    world.turns(40)
    assert {world.jobs.get("default", each.id).state for each in later} == {"done"}


def test_a_job_that_waits_can_be_cancelled_and_there_are_so_many(world: World) -> None:
    waiting = [
        testing.fired(world.jobs.begin("count", "default", {}, "anna", 100_000))
        for _ in range(service.WAITING)
    ]
    with pytest.raises(TooMany, match="wait for their date"):
        testing.fired(world.jobs.begin("count", "default", {}, "anna", 100_000))
    assert world.begin().state == "running"
    over = testing.fired(world.jobs.cancel("default", waiting[0].id))
    assert (over.state, over.done) == ("cancelled", 0)
    world.clock.advance(100)
    world.turns(300)
    assert world.jobs.get("default", waiting[0].id).state == "cancelled"
    assert world.jobs.get("default", waiting[1].id).state == "done"


def test_a_place_by_name_outlasts_a_restart(world: World) -> None:
    seen: list[str] = []

    @implementer(IJobKind)
    class Naming:
        name = "name"
        at_a_time = 2
        is_of_partition = False

        def forget(self, id: str) -> None:
            """Nothing is kept."""

        def run(self, job: IJobRun) -> Deferred[None]:
            seen.append(job.place)
            job.place = "kitchen"
            return Deferred()

    world.kind = Naming()  # type: ignore[assignment]
    world.again()
    begun = world.begin(kind="name")
    assert "place" not in begun.what
    run = world.jobs._running[begun.id]
    testing.fired(run.save())
    world.again()
    assert seen == ["", "kitchen"]
