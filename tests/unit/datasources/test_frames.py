"""Frames that a network delivers several times."""

from iotgw.core.model import STORED, Answer, Downlink, Status
from iotgw.datasources.frames import MOST, HeldFrames, joined
from iotgw.testing import clock

ROOF = {"gatewayId": "roof", "rssi": -40, "snr": 9}
CELLAR = {"gatewayId": "cellar", "rssi": -110, "snr": -3}


class Field:
    def __init__(self):
        self.clock = clock()
        self.received = []
        self.says = STORED
        self.frames = HeldFrames(self.clock, 1.0, self.receive)
        self.answers = []

    def receive(self, payload, metadata, answer, listens, key):
        self.received.append((payload, metadata, listens, key))
        answer(self.says)

    def take(self, payload, key="k", listens=False, **metadata):
        self.frames.take(payload, metadata, self.answers.append, listens, key)


def test_a_frame_is_one_message_with_all_gateways_that_heard_it():
    field = Field()
    field.take(b"rx", rssi=-40, fCnt=7)
    assert field.received == [] and field.answers == []
    field.take(b"gw", fCnt=7, gateways=[CELLAR, ROOF], rssi=-110)
    field.clock.advance(1.0)
    ((payload, metadata, _, key),) = field.received
    assert (payload, key) == (b"gw", "k")
    assert metadata == {"fCnt": 7, **ROOF, "gateways": [ROOF, CELLAR]}
    assert field.answers == [STORED, STORED]


def test_several_networks_with_a_gateway_each_are_joined():
    assert joined({"a": 1, **CELLAR}, {"a": 2, "b": 3, **ROOF}) == {
        "a": 1,
        "b": 3,
        **ROOF,
        "gateways": [ROOF, CELLAR],
    }
    assert joined({"a": 1, **ROOF}, {"a": 2, **ROOF}) == {"a": 1, **ROOF}
    assert joined({"gateways": [7, {"gatewayId": "x"}]}, ROOF)["gateways"] == [ROOF, {"gatewayId": "x"}]


def test_each_frame_has_its_own_window():
    field = Field()
    field.take(b"1", "a")
    field.clock.advance(0.6)
    field.take(b"2", "b")
    field.clock.advance(0.5)
    assert [key for *_, key in field.received] == ["a"]
    field.clock.advance(0.6)
    assert [key for *_, key in field.received] == ["a", "b"]
    field.take(b"3", "c")
    field.clock.advance(1.0)
    assert len(field.received) == 3 and len(field.frames) == 0


def test_downlinks_go_to_the_first_and_a_refusal_to_all():
    field = Field()
    field.says = Answer(Status.BUSY, "", 5.0, (Downlink("1", "d", b"x"),))
    field.take(b"1", listens=False)
    field.take(b"1", listens=True)
    field.clock.advance(1.0)
    assert [(answer.status, answer.retry_after, len(answer.downlinks)) for answer in field.answers] == [
        (Status.BUSY, 5.0, 1),
        (Status.BUSY, 5.0, 0),
    ]
    assert field.received[0][2] is True


def test_an_end_hands_everything_over_and_too_many_go_on_at_once():
    field = Field()
    for number in range(MOST + 2):
        field.take(b"x", str(number))
    assert [key for *_, key in field.received] == ["0", "1"]
    field.frames.flush()
    assert len(field.received) == MOST + 2 and field.clock.getDelayedCalls() == []
