"""Several partitions send to one target: it never has more than it takes, and each is told of its own records."""

from msgspec.structs import replace
from twisted.internet.defer import Deferred, succeed

from iotgw.core.epochs import Epoch, Epochs
from iotgw.core.model import TelemetryRecord
from iotgw.core.specs import IntegrationSpec, QueueSpec
from iotgw.core.times import DateMs
from iotgw.core.verdict import DELIVERED
from iotgw.delivery.shared_target import Share, SharedTargets

SPEC = IntegrationSpec(name="out", type="any", single=True)


class Target:
    capacity, max_batch, whole = 2, 2, False

    def __init__(self, epochs, log):
        self.epochs, self.log, self.sent = epochs, log, []
        self.started, self.stopped = 0, 0
        self.stopping = None

    def start(self):
        self.started += 1
        self.log.append("started")
        return succeed(None)

    def stop(self):
        self.stopped += 1
        self.log.append("stops")
        return self.stopping or succeed(None)

    def send(self, records, settle):
        self.sent.append(
            ([self.epochs.key(each) for each in records], [each.seq for each in records], settle)
        )

    def answer(self, at=0):
        _, seqs, settle = self.sent.pop(at)
        settle(seqs, DELIVERED)


class World:
    def __init__(self):
        self.log, self.made, self.is_ours = [], [], True
        self.targets = SharedTargets(lambda id_: self.is_ours)
        self.targets.epochs = Epochs("own")
        self.targets.make = self.make

    def make(self, id_, name, tenant, spec, tell, available, warn, epochs, is_ours):
        self.made.append(Target(epochs, self.log))
        return self.made[-1]

    def share(self, part, spec=SPEC):
        epochs = Epochs()
        epochs.begin([], Epoch(f"e{part}"))
        share = Share(part, epochs, lambda *said, **more: None, lambda: None, lambda text: None)
        return self.targets.join("id", spec.name, "default", spec, share)


def record(seq, uplink=7):
    return TelemetryRecord(seq, uplink, "default", "ds", DateMs(0), "dev", "t", b"{}")


def test_records_of_two_partitions_with_one_position_have_keys_of_their_own_and_are_told_apart():
    world, told = World(), []
    for part in (1, 2):
        share = world.share(part)
        share.start()
        share.send([record(5)], lambda seqs, verdict, part=part: told.append((part, list(seqs))))
    (target,) = world.made
    assert [keys for keys, *_ in target.sent] == [["e1-7.5"], ["e2-7.5"]]
    target.answer(1)
    target.answer()
    assert told == [(2, [5]), (1, [5])]


def test_the_target_never_has_more_than_it_takes_and_each_gets_its_turn():
    world = World()
    one, two = world.share(1), world.share(2)
    for share in (one, two, one):
        share.start()
        share.send([record(1), record(2)], lambda seqs, verdict: None)
    (target,) = world.made
    orders = []
    while target.sent:
        assert len(target.sent) == 1
        orders.append(target.sent[0][0][0])
        target.answer()
    assert orders == ["e1-7.1", "e2-7.1", "e1-7.1"]


def test_nothing_is_sent_once_the_integration_is_another_nodes():
    world = World()
    share = world.share(1)
    share.start()
    world.is_ours = False
    share.send([record(1)], lambda seqs, verdict: None)
    assert world.made[0].sent == []


def test_what_a_partition_had_to_send_goes_with_it():
    world = World()
    one, two = world.share(1), world.share(2)
    for share in (one, two):
        share.start()
        share.send([record(1), record(2)], lambda seqs, verdict: None)
    two.stop()
    world.made[0].answer()
    assert (world.made[0].sent, world.made[0].stopped) == ([], 0)
    one.stop()
    assert world.made[0].stopped == 1


def test_a_target_of_other_settings_starts_when_the_one_before_has_stopped():
    world = World()
    one, two = world.share(1), world.share(2)
    one.start(), two.start()
    world.made[0].stopping = Deferred()
    changed = replace(SPEC, queue=QueueSpec(rate=5))
    later = world.share(1, changed)
    one.stop()
    later.start()
    assert world.log == ["started"]
    two.stop()
    assert world.log == ["started", "stops"]
    world.made[0].stopping.callback(None)
    assert world.log == ["started", "stops", "started"]


def test_all_partitions_have_one_rate():
    world = World()
    spec = replace(SPEC, queue=QueueSpec(rate=10))
    assert world.targets.rate("id", spec) is world.targets.rate("id", spec)
    assert world.targets.rate("id", spec) is not world.targets.rate("other", spec)
