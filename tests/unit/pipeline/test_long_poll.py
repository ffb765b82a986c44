"""Answers that are held back, with a queue in memory and a clock that the test advances."""

from iotgw import testing
from iotgw.core.model import Answer, Downlink, Outcome, Output, State, Status
from iotgw.core.specs import DatasourceSpec, DownlinkSpec
from iotgw.pipeline import long_poll as rooms
from iotgw.pipeline.long_poll import LongPoll
from iotgw.pipeline.sources import Source

STORED = Answer(Status.STORED, "1")


class World:
    """A datasource ``ds`` whose uplinks get positions from 1; ``refusal`` is what they are answered at once."""

    def __init__(self, converter="c"):
        self.clock = testing.clock()
        self.queue = testing.MemoryDownlinks(self.clock)
        self.source = Source("ds", "default", DatasourceSpec(name="ds", type="t", converter=converter))
        self.long_poll = LongPoll(self.queue, self.clock)
        self.refusal = None
        self.replies = []
        self.answers = []

    def accept(self, reply):
        if self.refusal is not None:
            reply(self.refusal)
            return 0
        self.replies.append(reply)
        return len(self.replies)

    def uplink(self, ttd=5.0, **metadata):
        held = self.long_poll.hold(self.source, str(metadata.get("identity", "")), self.answers.append)
        if held is None:
            self.accept(self.answers.append)
            return lambda: None
        self.long_poll.begin(held, self.accept(held.answered), ttd)
        return held.let_go

    def stored(self, number=1, answer=STORED):
        self.replies[number - 1](answer)

    def converted(self, *names, number=1):
        outputs = tuple(Output(name, "", b"") for name in names)
        self.long_poll.converted([Outcome(number, State.CONVERTED, "", outputs)])

    def push(self, text):
        spec = DownlinkSpec(data=text, content_type="TEXT")
        return testing.fired(self.queue.push("default", "d", spec)).id

    def is_idle(self):
        return not (
            self.queue.listeners
            or self.clock.getDelayedCalls()
            or self.long_poll._open
            or self.long_poll._unnamed
        )

    @property
    def payloads(self):
        return [[item.payload for item in answer.downlinks] for answer in self.answers]


def test_an_answer_waits_for_an_item_whichever_of_its_parts_comes_last():
    for last in range(3):
        world = World()
        world.uplink()
        steps = [
            world.stored,
            lambda world=world: world.converted("d"),
            lambda world=world: world.push("go"),
        ]
        for step in [*steps[:last], *steps[last + 1 :]]:
            step()
        assert world.answers == []
        steps[last]()
        assert world.payloads == [[b"go"]]
        assert world.answers[0].message_id == "1"
        assert world.is_idle()


def test_without_an_item_it_goes_when_the_time_is_over():
    world = World()
    world.uplink(ttd=5)
    world.stored()
    world.converted("d")
    world.clock.advance(4.9)
    assert world.answers == []
    world.clock.advance(0.1)
    assert world.answers == [STORED]
    assert world.is_idle()


def test_time_that_is_over_before_the_uplink_is_stored_or_converted_holds_nothing_back():
    world = World()
    world.uplink()
    world.clock.advance(5)
    world.converted("d")
    assert world.answers == []
    world.stored()
    assert world.answers == [STORED]
    assert world.is_idle()


def test_nobody_is_waited_for_where_nobody_is_named():
    world = World()
    world.uplink()
    world.stored()
    world.converted()
    assert world.answers == [STORED]
    assert world.is_idle()


def test_an_identity_is_waited_for_without_a_name():
    world = World()
    world.uplink(identity="d")
    world.stored()
    world.converted()
    world.push("go")
    assert world.payloads == [[b"go"]]


def test_what_is_refused_or_failed_or_has_an_item_is_answered_at_once():
    item = Downlink("1", "d", b"go")
    for answer in (Answer(Status.FAILED), Answer(Status.BUSY), Answer(Status.STORED, "1", 0.0, (item,))):
        world = World()
        world.uplink()
        world.stored(answer=answer)
        assert world.answers == [answer]
        assert world.is_idle()
    world = World()
    world.refusal = Answer(Status.BUSY)
    world.uplink()
    assert world.answers == [Answer(Status.BUSY)]
    assert world.is_idle()


def test_a_device_that_went_away_takes_nothing():
    world = World()
    let_go = world.uplink()
    world.stored()
    world.converted("d")
    let_go()
    world.push("go")
    assert world.queue.depth() == 1
    assert world.answers == []
    assert world.is_idle()


def test_an_item_whose_converter_runs_when_the_device_goes_away_is_returned():
    world = World()
    world.queue.held = []
    let_go = world.uplink()
    world.stored()
    world.converted("d")
    id = world.push("go")
    let_go()
    world.queue.held.pop()()
    assert world.queue.reports == [(id, "returned")]
    assert world.answers == []


def test_an_item_whose_converter_runs_when_the_time_is_over_still_goes():
    world = World()
    world.queue.held = []
    world.uplink()
    world.stored()
    world.converted("d")
    world.push("go")
    world.clock.advance(5)
    assert world.answers == []
    world.queue.held.pop()()
    assert world.payloads == [[b"go"]]
    assert world.is_idle()


def test_an_item_that_cannot_be_converted_leaves_the_answer_waiting_for_the_next():
    world = World()
    world.uplink()
    world.stored()
    world.converted("d")
    world.queue.held = []
    world.queue.unfit = {b"fails"}
    world.push("fails")
    world.push("good")
    (fails,), world.queue.held = world.queue.held, None
    fails()
    assert world.payloads == [[b"good"]]


def test_so_many_are_held_back_and_no_more(monkeypatch):
    monkeypatch.setattr(rooms, "MAX_HELD", 2)
    world = World()
    for number in (1, 2, 3):
        world.uplink()
        world.stored(number)
    assert world.answers == [STORED]
    world.clock.advance(5)
    assert len(world.answers) == 3
    world.uplink()
    world.stored(4)
    assert len(world.answers) == 3


def test_the_end_of_the_gateway_holds_nobody():
    world = World()
    world.uplink()
    world.stored()
    world.converted("d")
    world.long_poll.stop()
    assert world.answers == [STORED]
    assert world.is_idle()


def test_where_nothing_is_converted_the_identity_alone_is_waited_for():
    world = World(converter="")
    world.uplink(identity="d")
    world.stored()
    assert world.answers == []
    world.push("go")
    assert world.payloads == [[b"go"]]
    assert world.is_idle()
