"""Any order of appends, outcomes, parking and restarts leaves what a plain model says."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from iotgw.core.model import ConversionError, Counters, DeliveryState, Outcome, Parked, Progress, State
from iotgw.store.sqlite.journal import Journal
from iotgw.testing import ThreadClock
from tests.unit.store.sqlite.world import World, output

DATASOURCES = st.sampled_from(["ds1", "ds2"])


class JournalModel(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.uplinks = {}  # position → (datasource, payload)
        self.outcomes = {}  # position → the last outcome
        self.kept = set()
        self.cursors = {}
        self.records = {}  # position → record
        self.parked = {}

    @initialize()
    def open(self):
        path = Path(self.directory.name) / "journal.db"
        self.world = World(ThreadClock(), lambda clock: Journal(clock, path))

    @rule(datasource=DATASOURCES, payloads=st.lists(st.binary(max_size=40), min_size=1, max_size=20))
    def store(self, datasource, payloads):
        for seq, payload in zip(self.world.store(*payloads, datasource=datasource), payloads, strict=True):
            assert seq > max(self.uplinks, default=0)
            self.uplinks[seq] = (datasource, payload)

    @rule(datasource=DATASOURCES, count=st.integers(1, 9), data=st.data())
    def convert(self, datasource, count, data):
        """The next ones of a datasource, in order."""
        todo = self.next(datasource, count)
        if todo:
            self.settle(datasource, todo, data)
            self.cursors[datasource] = todo[-1]

    def next(self, datasource, count):
        cursor = self.cursors.get(datasource, 0)
        return sorted(s for s, (of, _) in self.uplinks.items() if of == datasource and s > cursor)[:count]

    @rule(datasource=DATASOURCES, count=st.integers(1, 9))
    def keep(self, datasource, count):
        """The next ones of a datasource without a converter."""
        todo = self.next(datasource, count)
        if todo:
            self.world.journal.settle(datasource, todo[-1], [], haste=False, kept=len(todo))
            self.store(datasource, [b"it is written with the next commit"])
            self.cursors[datasource] = todo[-1]
            self.kept.update(todo)

    @rule(data=st.data())
    def convert_kept(self, data):
        """They have a converter now, and are converted again."""
        if self.kept:
            seq = data.draw(st.sampled_from(sorted(self.kept)))
            self.kept.remove(seq)
            self.settle(self.uplinks[seq][0], [seq], data)

    @rule(data=st.data())
    def convert_again(self, data):
        if self.outcomes:
            seq = data.draw(st.sampled_from(sorted(self.outcomes)))
            self.settle(self.uplinks[seq][0], [seq], data)

    def settle(self, datasource, positions, data):
        outcomes = [Outcome(seq, *data.draw(RESULTS)) for seq in positions]
        cursor = max(self.cursors.get(datasource, 0), positions[0])
        records = self.world.settle(
            outcomes, datasource, max(cursor, *positions) if len(positions) > 1 else cursor
        )
        assert [r.seq for r in records] == sorted(r.seq for r in records)
        assert all(r.seq > max(self.records, default=0) for r in records)
        self.outcomes |= {outcome.seq: (outcome, []) for outcome in outcomes}
        for record in records:
            self.records[record.seq] = record
            self.outcomes[record.uplink][1].append(record)

    @rule(data=st.data(), state=st.sampled_from([DeliveryState.RETRYING, DeliveryState.DEAD]))
    def park(self, data, state):
        if self.records:
            record = self.records[data.draw(st.sampled_from(sorted(self.records)))]
            self.parked[record.seq] = item = Parked("int", record, state, len(self.parked), 5, "error")
            self.world.journal.progress(Progress("int", max(self.records), Counters(), (item,)))

    @rule(data=st.data())
    def release(self, data):
        if self.parked:
            seq = data.draw(st.sampled_from(sorted(self.parked)))
            del self.parked[seq]
            self.world.journal.progress(Progress("int", max(self.records), Counters(), (), (seq,)))

    @rule()
    def restart(self):
        self.world.reopen()
        assert self.world.journal.last_uplink == max(self.uplinks, default=0)
        assert self.world.journal.head == max(self.records, default=0)
        assert self.world.journal.conversion_cursors() == self.cursors

    @invariant()
    def everything_is_there(self):
        wait, journal = self.world.wait, self.world.journal
        stored = {
            s.seq: (s.uplink.datasource, s.uplink.payload)
            for datasource in ("ds1", "ds2")
            for s in wait(journal.read_uplinks(datasource, 0, 10_000))
        }
        assert stored == self.uplinks
        assert wait(journal.read_telemetry(0, 10_000)) == list(self.records.values())
        parked = wait(journal.read_parked("int", None, 0, 10_000))
        assert {item.record.seq: item for item in parked} == self.parked
        for message in wait(journal.messages("default", 0, 10_000)):
            outcome, records = self.outcomes.get(message.seq, (None, []))
            assert message.state == (outcome.state if outcome else self.unconverted(message.seq))
            assert message.error == (outcome.error if outcome else None)
            assert list(message.records) == records
        stats = wait(journal.stats())
        states = [outcome.state for outcome, _ in self.outcomes.values()]
        assert stats["received"] == len(self.uplinks)
        states += [State.FILTERED for _ in self.kept]
        assert [stats[s.name.lower()] for s in State][1:] == [states.count(s) for s in State][1:]
        filtered = [seq for seq, (outcome, _) in self.outcomes.items() if outcome.state is State.FILTERED]
        found = wait(journal.messages("default", 0, 10_000, state=State.FILTERED))
        assert [message.seq for message in found] == sorted({*filtered, *self.kept}, reverse=True)

    def unconverted(self, seq):
        return State.FILTERED if seq in self.kept else State.RECEIVED

    def teardown(self):
        if hasattr(self, "world"):
            self.world.wait(self.world.journal.stop())
        self.directory.cleanup()


RESULTS = st.one_of(
    st.lists(st.sampled_from(["dev-ä", "b"]), min_size=1, max_size=3).map(
        lambda names: (State.CONVERTED, "c/1", tuple(output(name) for name in names))
    ),
    st.just((State.FILTERED, "c/2", ())),
    st.text(max_size=9).map(lambda text: (State.FAILED, "", (), ConversionError(text, line=3))),
)

TestJournalModel = JournalModel.TestCase
TestJournalModel.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
