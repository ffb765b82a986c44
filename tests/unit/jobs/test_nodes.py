"""Jobs of several nodes: each does its part, whichever is asked, and dead ones' parts are done by whoever has adopted them."""

from __future__ import annotations

import itertools

import pytest
from twisted.internet.task import Clock

from iotgw import testing
from iotgw.core.errors import NotFound
from iotgw.jobs.run import KIND
from iotgw.jobs.service import CANCEL, JobService

from .test_service import Counting


class PartCounting(Counting):
    """Counts to ten in each partition."""

    is_of_partition = True


class Nodes:
    """Two nodes on one registry. A turn is one step of each job."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.registry = testing.MemoryRegistry(self.clock)
        self.kinds = {name: PartCounting() for name in "ab"}
        self.a, self.b = (self.node(name) for name in "ab")

    def node(self, name: str) -> JobService:
        others = [each for each in "ab" if each != name]
        made = JobService(
            self.registry, [self.kinds[name]], self.clock, self.clock, lambda: name, lambda: others
        )
        made.start()
        return made

    def begin(self, starts_at: int = 0) -> str:
        return testing.fired(self.a.begin("count", "default", {}, "anna", starts_at)).id

    def turns(self, count: int = 30) -> None:
        for _ in range(count):
            self.clock.advance(0)

    def look(self) -> None:
        """Long enough for whoever waits for other nodes."""
        self.clock.pump(itertools.repeat(0.2, 30))


@pytest.fixture
def nodes() -> Nodes:
    return Nodes()


def test_each_node_does_its_part_and_both_show_the_sum(nodes: Nodes) -> None:
    id = nodes.begin()
    nodes.turns()
    for node in (nodes.a, nodes.b):
        (seen,) = node.list("default")
        assert (seen.id, seen.state, seen.total, seen.done) == (id, "done", 20, 20)
        assert seen.counts == {"odd": 10, "even": 10}
        assert seen.before == {"left": 20}
        assert node.get("default", id) == seen


def test_it_is_under_way_while_one_part_is(nodes: Nodes) -> None:
    nodes.kinds["b"].waits_at = 5
    id = nodes.begin()
    nodes.turns()
    seen = nodes.a.get("default", id)
    assert (seen.state, seen.after, seen.ended_at) == ("running", {}, 0)
    nodes.kinds["b"].gate.callback(None)
    nodes.turns()
    assert nodes.a.get("default", id).state == "done"


def test_it_fails_with_the_reason_of_the_part_that_does(nodes: Nodes) -> None:
    nodes.kinds["b"].fails_at = (3, NotFound("no such thing"))
    id = nodes.begin()
    nodes.turns()
    seen = nodes.a.get("default", id)
    assert (seen.state, seen.problem) == ("failed", "no such thing")


def test_whichever_node_is_asked_ends_all_parts(nodes: Nodes) -> None:
    for kind in nodes.kinds.values():
        kind.waits_at = 5
    id = nodes.begin()
    nodes.turns()
    ended = nodes.b.cancel("default", id)
    for kind in nodes.kinds.values():
        kind.gate.callback(None)
    nodes.look()
    assert testing.fired(ended).state == "cancelled"
    assert nodes.registry.list(CANCEL) == []


def test_a_part_that_nobody_runs_now_is_ended_when_somebody_does(nodes: Nodes) -> None:
    nodes.kinds["b"].waits_at = 5
    testing.fired(nodes.b.stop())
    id = nodes.begin()
    ended = nodes.a.cancel("default", id)
    nodes.look()
    assert testing.fired(ended).state == "running"
    nodes.kinds["b"] = PartCounting()
    nodes.b = nodes.node("b")
    nodes.turns()
    assert nodes.a.get("default", id).state == "cancelled"


def test_a_dead_nodes_part_is_done_by_whoever_has_adopted_it_until_it_is_back(nodes: Nodes) -> None:
    testing.fired(nodes.b.stop())
    id = nodes.begin()
    nodes.turns()
    assert nodes.a.get("default", id).done == 10
    adopted = PartCounting()
    adopted.waits_at = 6
    end = nodes.a.adopt("b", [adopted])
    nodes.turns()
    assert nodes.a.get("default", id).done == 15
    ended = end()
    adopted.gate.callback(None)
    nodes.turns()
    testing.fired(ended)
    nodes.b = nodes.node("b")
    nodes.turns()
    seen = nodes.b.get("default", id)
    assert (seen.state, seen.done, seen.total) == ("done", 20, 20)


def test_a_job_that_was_begun_on_a_dead_node_goes_on_elsewhere(nodes: Nodes) -> None:
    nodes.kinds["a"].waits_at = 4
    id = nodes.begin()
    nodes.turns()
    stopped = nodes.a.stop()
    nodes.kinds["a"].gate.callback(None)
    nodes.turns()
    testing.fired(stopped)
    nodes.b.adopt("a", [PartCounting()])
    nodes.turns()
    assert nodes.b.get("default", id).state == "done"


def test_what_is_forgotten_is_so_with_its_parts(nodes: Nodes) -> None:
    for _ in range(52):
        nodes.begin()
        nodes.turns()
        nodes.clock.advance(1)
    parts = [each for each in nodes.registry.list(KIND) if each.body.get("of")]
    assert len(parts) == len(nodes.a.list("default"))
