"""Whatever a target does, in whatever order, with crashes in between: the accounts add up, nothing is lost,
first arrivals are in order per device."""

import random

import pytest
from msgspec.structs import replace

from iotgw.core import errors
from iotgw.core.model import DeliveryState
from iotgw.core.specs import DeadLetterSpec, QueueSpec, RetrySpec
from iotgw.core.verdict import DELIVERED, Apart, Rejected, Retry, Unavailable
from tests.unit.delivery.worlds import World

VERDICTS = (
    [DELIVERED] * 8
    + [Retry("no"), Retry("later", after=3.0), Rejected("never")]
    + [Unavailable("down"), Unavailable("busy", after=2.0), Apart("one of them")]
)


class Run:
    def __init__(self, chance, batch):
        self.random = chance
        retry = RetrySpec(initial=0.5, cap=5.0, max_attempts=4)
        self.world = World(batch=batch, window=6, retry=retry)
        self.world.journal.lazy = True
        self.got = []
        self.given_up = set()
        """Dead at some time; a crash may have forgotten it, and the next try have succeeded."""
        self.watch()

    def watch(self):
        self.world.target.got = self.got

    def verdict(self, records):
        verdict = self.random.choice(VERDICTS)
        if isinstance(verdict, Apart) and len(records) == 1:
            return DELIVERED
        return verdict

    def step(self):
        chance, world = self.random, self.world
        what = chance.random()
        if what < 0.35:
            world.store(*chance.choices("abcd", k=chance.randint(1, 5)))
        elif what < 0.75 and world.target.open:
            which = chance.randrange(len(world.target.open))
            world.target.answer(self.verdict(world.target.open[which][0]), which)
        elif what < 0.8:
            world.target.context.available()
        elif what < 0.84:
            world.journal.commit()
        elif what < 0.86:
            self.world = world.crash()
            self.world.journal.lazy = True
            self.watch()
        else:
            world.clock.advance(chance.uniform(0.05, 2))
        assert self.world.stats()["balanced"]
        outbox = self.world.outbox
        assert outbox.accounts.held_bytes == sum(len(record.body) for record in outbox.flight)
        rows = [*self.world.journal.parked.values(), *self.world.outbox.rows._changed.values()]
        self.given_up |= {row.record.seq for row in rows if row.state is DeliveryState.DEAD}

    def finish(self):
        world = self.world
        for _ in range(400):
            world.journal.commit()
            world.target.answer_all(DELIVERED)
            world.clock.advance(1)
            stats = world.stats()
            if not stats["waiting"] and not stats["inflight"]:
                break
        return stats


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("seed", range(60))
def test_nothing_is_lost_and_the_accounts_add_up(seed, batch):
    run = Run(random.Random(seed), batch)
    for _ in range(80):
        run.step()
    stats = run.finish()
    assert stats["waiting"] == stats["inflight"] == 0, stats
    world = run.world
    world.clock.advance(1)
    world.journal.commit()
    dead = {row.record.seq for row in world.journal.parked.values()}
    records = {record.seq: record.device_name for record in world.journal.records}
    assert set(run.got) | dead == set(records)
    assert stats["queued"] == len(records)
    assert stats["dead"] == len(dead)
    first = list(dict.fromkeys(run.got))
    for device in "abcd":
        line = [seq for seq in first if records[seq] == device and seq not in run.given_up]
        assert line == sorted(line), (device, line)


class RunWithOperator(Run):
    """Somebody purges, seeks, retries, drains and changes settings meanwhile."""

    def step(self):
        world = self.world
        if self.random.random() < 0.05:
            what = self.random.choice(["purge", "retry", "seek", "drain", "apply", "dismiss"])
            done = None
            if what == "seek":
                done = world.service.seek("i1", int(self.random.uniform(1_000_000_000, world.now_ms)))
            elif what == "apply":
                world.service.apply("i1", "one", "default", world.spec)
                for _ in range(8):
                    world.clock.advance(1)
                self.watch()
            else:
                done = getattr(world.service, what)("i1")
            if done is not None:  # it isn't done in time where the journal can't be written
                done.addErrback(lambda failure: failure.trap(errors.Unavailable) and None)
        super().step()


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("seed", range(60))
def test_the_accounts_add_up_whatever_an_operator_does(seed, batch):
    run = RunWithOperator(random.Random(seed), batch)
    for _ in range(80):
        run.step()
    stats = run.finish()
    assert stats["waiting"] == stats["inflight"] == stats["waitingBytes"] == 0, stats
    assert all(count >= 0 for count in stats["dropped"].values())


class RunWithinLimits(RunWithOperator):
    """The queue and the dead letters are small, whoever fills them."""

    def __init__(self, chance, batch, overflow):
        super().__init__(chance, batch)
        self.world.spec = replace(
            self.world.spec,
            queue=QueueSpec(max_bytes=2000, overflow=overflow, max_age=chance.choice([20, 1e6])),
            dead_letters=DeadLetterSpec(max_count=3, max_bytes=chance.choice([0, 250, 10_000])),
        )
        self.world.service.apply("i1", "one", "default", self.world.spec)
        self.watch()


@pytest.mark.parametrize("overflow", ["dropOldest", "rejectNew"])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("seed", range(60))
def test_the_accounts_add_up_whatever_the_limits_drop(seed, batch, overflow):
    run = RunWithinLimits(random.Random(seed), batch, overflow)
    for _ in range(80):
        run.step()
    stats = run.finish()
    assert stats["waiting"] == stats["inflight"] == stats["waitingBytes"] == 0, stats
    run.world.clock.advance(2)
    stats = run.world.stats()
    assert stats["dead"] <= 3
    assert all(count >= 0 for count in stats["dropped"].values())
    run.world.journal.commit()
    letters = [row.record.body for row in run.world.journal.parked.values()]
    assert (stats["dead"], stats["deadBytes"]) == (len(letters), sum(map(len, letters)))
