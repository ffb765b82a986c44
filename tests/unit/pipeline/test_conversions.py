"""What is converted while it is being stored counts once it is stored, and not at all if it was refused."""

import msgspec
import pytest

from iotgw import testing
from iotgw.core.model import Conversion, ConverterVersion, Output, StoredUplink, Uplink
from iotgw.core.ports.usage import Amounts, DeviceTally
from iotgw.core.specs import DatasourceSpec
from iotgw.observe.usage import DeviceMeter
from iotgw.pipeline.conversions import BATCH, Conversions
from iotgw.pipeline.sources import Source
from iotgw.store.sqlite.salvage import unreadable_uplink
from iotgw.testing.journal_storage import Storage

VERSION = ConverterVersion("c", 1, "json", "UPLINK", "", "thingsboard", "duktape")


def uplinks(*positions, metadata=b"{}"):
    return [StoredUplink(seq, Uplink("default", "ds", 1, b"p%d" % seq, metadata)) for seq in positions]


class Journal(testing.MemoryJournal):
    """Notes what is settled: the cursor, the positions that have an outcome, and how many were only kept."""

    def __init__(self, in_journal):
        stored = {each.seq: each.uplink for each in in_journal}
        super().__init__(testing.clock(), Storage(uplinks=stored))
        self.settled = []

    def settle(self, datasource, cursor, outcomes, haste=True, kept=0):
        self.settled.append((cursor, [outcome.seq for outcome in outcomes], kept))
        super().settle(datasource, cursor, outcomes, haste, kept)


def converted(job):
    """An output and a receipt."""
    return Conversion((Output("d", "", b"{}"),), acks=(msgspec.json.encode({"id": job.seq}),))


class World:
    """A datasource's conversions, and all that they tell the others."""

    def __init__(self, in_journal=(), unreadable=None, debug=None, **spec):
        self.journal = Journal(in_journal)
        spec.setdefault("converter", "json")
        self.source = Source("ds", "default", DatasourceSpec(name="ds", type="plain", **spec))
        self.converters = testing.FakeConverters(converted)
        self.converters.held = []
        self.scripts = {"json": VERSION}
        self.downlinks = testing.MemoryDownlinks()
        self.told = []
        self.meter = DeviceMeter()
        self.conversions = Conversions(
            source=self.source, position=0, journal=self.journal, converters=self.converters,
            versions=testing.MemoryConverterVersions(self.scripts), downlinks=self.downlinks,
            converted=lambda outcomes: self.told.extend(outcome.seq for outcome in outcomes),
            **({"unreadable": unreadable} if unreadable else {}), meter=self.meter, debug=debug,
        )  # fmt: skip
        self.conversions.start()

    @property
    def under_way(self):
        return self.converters.held

    @property
    def settled(self):
        return self.journal.settled

    @property
    def counts(self):
        return self.source.counts

    @property
    def receipts(self):
        return [ack["id"] for _, _, ack in self.downlinks.receipts]

    def finish(self):
        """The oldest batch is back."""
        self.converters.release()


@pytest.fixture
def world():
    return World()


def test_conversion_begins_while_the_uplinks_are_being_stored(world):
    world.conversions.storing(uplinks(1, 2))
    assert [job.seq for job in world.under_way[0][0]] == [1, 2]


def test_a_script_that_remembers_sees_only_what_is_stored(world):
    world.scripts["json"] = msgspec.structs.replace(VERSION, options={"state": True})
    world.conversions.storing(uplinks(1, 2))
    assert world.under_way == []
    world.conversions.stored(uplinks(1, 2))
    assert [job.seq for job in world.under_way[0][0]] == [1, 2]


def test_one_converter_of_several_that_remembers_is_enough_to_wait():
    world = World(converters={"LHT65": "other"})
    world.scripts["other"] = msgspec.structs.replace(VERSION, options={"state": True})
    world.conversions.storing(uplinks(1))
    assert world.under_way == []


def test_what_came_of_it_counts_once_it_is_stored(world):
    world.conversions.storing(uplinks(1, 2))
    world.finish()
    assert world.told == world.settled == world.receipts == []
    assert world.counts["converted"] == 0
    world.conversions.stored(uplinks(1, 2))
    assert world.told == world.receipts == [1, 2]
    assert world.settled == [(2, [1, 2], 0)]
    assert (world.counts["received"], world.counts["converted"]) == (2, 2)
    assert world.conversions.idle


def test_what_is_debugged_is_told_once_it_is_stored_and_never_if_it_was_refused():
    told = []

    class Debug:
        def picked(self, tenant, datasource, jobs, conversions):
            return list(zip(jobs, conversions, strict=True))

        def converted(self, tenant, datasource, name, picked):
            told.append((tenant, datasource, name, [job.seq for job, _ in picked]))

    world = World(debug=Debug())
    world.conversions.storing(uplinks(1, 2, 3))
    world.finish()
    assert told == []
    world.conversions.refused({2})
    world.conversions.stored(uplinks(1, 3))
    assert told == [("default", "ds", "ds", [1, 3])]


def test_bytes_and_devices_are_counted_for_the_usage_once_for_each_batch(world):
    calls = []
    real = world.meter.converted
    world.meter.converted = lambda *said: calls.append(len(said[1])) or real(*said)
    world.conversions.storing(uplinks(1, 2, 3))
    world.conversions.refused({2})
    world.finish()
    world.conversions.stored(uplinks(1, 3))
    assert world.source.amounts == Amounts(2, 4)
    assert (calls, world.meter.take()) == ([2], [DeviceTally("default", "d", 2, 4)])


def test_an_uplink_that_is_stored_before_its_conversion_ends_counts_when_that_ends(world):
    world.conversions.storing(uplinks(1))
    world.conversions.stored(uplinks(1))
    assert world.settled == []
    world.finish()
    assert world.settled == [(1, [1], 0)]


@pytest.mark.parametrize("is_back", [True, False], ids=["converted before", "converted after"])
def test_refused_uplinks_have_never_been(world, is_back):
    """The cursor stays before them: after a restart their positions are given again."""
    world.conversions.storing(uplinks(1, 2))
    if is_back:
        world.finish()
    world.conversions.refused({1, 2})
    if not is_back:
        world.finish()
    assert world.told == world.settled == world.receipts == []
    assert world.conversions.position == 0
    assert world.conversions.idle
    world.conversions.storing(uplinks(3))
    world.finish()
    world.conversions.stored(uplinks(3))
    assert world.settled == [(3, [3], 0)]
    assert world.counts["converted"] == 1


@pytest.mark.parametrize("is_back", [True, False], ids=["converted before", "converted after"])
def test_of_a_group_only_what_was_stored_counts(world, is_back):
    world.conversions.storing(uplinks(1, 2, 3))
    if is_back:
        world.finish()
    world.conversions.refused({1, 3})
    world.conversions.stored(uplinks(2))
    if not is_back:
        world.finish()
    assert world.told == world.receipts == [2]
    assert world.settled == [(2, [2], 0)]


def test_refused_uplinks_that_wait_for_a_batch_are_not_converted(world):
    world.conversions.storing(uplinks(*range(1, 3 * BATCH + 1)))
    world.conversions.refused(set(range(1, 3 * BATCH + 1)))
    assert len(world.under_way) == 2
    world.finish()
    world.finish()
    assert world.under_way == [] and world.settled == []


def test_without_a_converter_what_was_refused_is_not_counted_as_kept():
    world = World(converter="")
    world.conversions.storing([*uplinks(1, 2), *uplinks(3, metadata=b'{"rejected":"no frame"}')])
    assert world.settled == []
    world.conversions.refused({1})
    world.conversions.stored([*uplinks(2), *uplinks(3)])
    assert world.settled == [(3, [3], 1)]
    assert (world.counts["filtered"], world.counts["failed"]) == (1, 1)


def test_of_what_is_given_up_that_ends_which_is_under_conversion_and_the_rest_has_failed(world):
    for seq in range(1, 6):
        world.conversions.storing(uplinks(seq))
        world.conversions.stored(uplinks(seq))
    world.conversions.give_up("it was deleted")
    assert (world.settled, world.conversions.is_done) == ([], False)
    world.finish()
    world.finish()
    assert [seqs for _, seqs, _ in world.settled] == [[1], [2], [3, 4, 5]]
    assert (world.counts["converted"], world.counts["failed"], world.conversions.dropped) == (2, 3, 3)
    assert world.conversions.is_done


def test_what_is_only_stored_loses_nothing_when_it_is_given_up():
    world = World(converter="")
    world.conversions.give_up("it was deleted")
    world.conversions.stored(uplinks(1))
    assert (world.counts["filtered"], world.conversions.dropped) == (1, 0)


def test_outcomes_of_uplinks_read_from_the_journal_count_at_once():
    world = World(uplinks(7, 9))
    world.finish()
    assert world.settled == [(9, [7, 9], 0)]


def test_an_uplink_that_the_journal_can_not_read_has_failed_and_is_told(world):
    told = []
    lost = unreadable_uplink(2, "ds", "malformed")
    world = World([*uplinks(1), lost, *uplinks(3)], unreadable=lambda *what: told.append(what))
    world.finish()
    assert world.settled == [(3, [1, 2, 3], 0)]
    assert told == [([2], "the journal can't read it: malformed")]
    assert world.counts["failed"] == 1


def test_a_device_can_not_pretend_that_its_uplink_is_unreadable(world):
    told = []
    false = uplinks(1, metadata=b'{"rejected":"x","unreadable":true}')
    World(false, unreadable=lambda *what: told.append(what))
    assert told == []
