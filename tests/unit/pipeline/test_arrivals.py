"""Waiting until what devices have sent has come through."""

from __future__ import annotations

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock

from iotgw import testing
from iotgw.core.model import Outcome, State, Uplink
from iotgw.core.specs import DatasourceSpec
from iotgw.pipeline.arrivals import PATIENCE, PAUSE, PipelineArrivals
from iotgw.pipeline.sources import Source


class Field:
    """Two tenants with a datasource each, and the journal."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.journal = testing.MemoryJournal()
        self.sources = {
            tenant: Source(tenant, tenant, DatasourceSpec(name="in", type="http")) for tenant in ("a", "b")
        }
        self.arrivals = PipelineArrivals(self.sources, self.journal, self.clock)

    @property
    def ends(self) -> list[State]:
        """The durable states of what was converted."""
        return [self.journal.storage.state(seq) for seq in self.journal.storage.uplinks]

    def waits(self, tenant: str) -> Deferred[None]:
        """Somebody waits for what a tenant's devices have sent."""
        return ensureDeferred(self.arrivals.settled(tenant))

    def converts(self, tenant: str) -> None:
        """An uplink of a tenant has its outcome, which is being written."""
        self.sources[tenant].counts["converted"] += 1
        seq = self.journal.append(Uplink(tenant, tenant, 0, b"", b"{}"), (lambda answer: None, None))
        self.journal.settle(tenant, seq, [Outcome(seq, State.CONVERTED, "")])
        self.clock.advance(PAUSE)


def test_who_finds_nothing_under_way_does_not_wait() -> None:
    assert Field().waits("a").called


def test_what_is_stored_is_waited_for_until_its_outcome_is_durable() -> None:
    field = Field()
    field.sources["a"].counts["received"] = 2
    done = field.waits("a")
    field.converts("a")
    assert not done.called
    field.sources["a"].counts["received"] += 1  # what comes later holds nobody up
    assert field.ends == []
    field.converts("a")
    assert done.called
    assert field.ends == [State.CONVERTED, State.CONVERTED]
    assert not field.clock.getDelayedCalls()


def test_other_tenants_and_datasources_that_are_gone_are_not_waited_for() -> None:
    field = Field()
    field.sources["b"].counts["received"] = 1
    assert field.waits("a").called
    done = field.waits("b")
    del field.sources["b"]
    field.clock.advance(PAUSE)
    assert done.called


def test_a_backlog_is_waited_for_some_seconds_and_no_longer() -> None:
    field = Field()
    field.sources["a"].counts["received"] = 1000
    done = field.waits("a")
    field.clock.pump([PATIENCE / 10] * 9)
    assert not done.called
    field.clock.advance(PATIENCE)
    assert done.called
    assert not field.clock.getDelayedCalls()


def test_a_disk_that_takes_nothing_is_not_waited_for_without_end() -> None:
    field = Field()
    never: Deferred[None] = Deferred()
    field.journal.durable = lambda: never  # type: ignore[method-assign]
    done = field.waits("a")
    assert not done.called
    field.clock.advance(PATIENCE)
    assert done.called
    never.callback(None)  # the disk takes it again
