"""Frames that a network delivers several times."""

from iotgw.core.model import STORED, Answer, Downlink, Status
from iotgw.datasources.frames import MOST, FrameGroups, HeldFrames, joined, with_gateways
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


def test_a_frame_that_comes_under_another_key_is_the_same_one():
    field, frame = Field(), {"devEui": "70B3D57ED0000017", "fCnt": 7, "fPort": 2, "frame": "00e7"}
    field.take(b"rx", "17/3040/7", **frame, rssi=-40)
    field.take(b"gw", "17/1795305600000/7", **frame, gateways=[CELLAR, ROOF], rssi=-110)
    field.take(b"next", "17/3041/8", **{**frame, "fCnt": 8})
    field.clock.advance(1.0)
    assert [(payload, key) for payload, _, _, key in field.received] == [
        (b"gw", "17/3040/7"),
        (b"next", "17/3041/8"),
    ]
    assert field.frames.gathered == 0
    field.take(b"later", "17/3050/7", **frame)
    field.clock.advance(1.0)
    assert len(field.received) == 3


def test_several_networks_with_a_gateway_each_are_joined():
    assert joined({"a": 1, **CELLAR}, {"a": 2, "b": 3, **ROOF}) == {
        "a": 1,
        "b": 3,
        **ROOF,
        "gateways": [ROOF, CELLAR],
    }
    assert joined({"a": 1, **ROOF}, {"a": 2, **ROOF}) == {"a": 1, **ROOF}
    assert joined({"gateways": [7, {"gatewayId": "x"}]}, ROOF)["gateways"] == [ROOF, {"gatewayId": "x"}]


def test_a_signal_that_is_no_float_is_a_signal_all_the_same():
    loud = {"gatewayId": "x", "rssi": 10**400}
    assert joined(CELLAR, loud)["gateways"] == [loud, CELLAR]


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


class Networks:
    """Two datasources that gather together."""

    def __init__(self):
        self.clock = clock()
        self.received, self.answers = [], []
        groups = FrameGroups()
        self.frames = [
            HeldFrames(self.clock, 1.0, self.receiver(number), groups.group("default", "fields"))
            for number in range(2)
        ]

    def receiver(self, number):
        def receive(payload, metadata, answer, listens, key):
            self.received.append((number, payload, metadata, key))
            answer(Answer(Status.STORED, f"m{len(self.received)}"))

        return receive

    def take(self, number, payload, key, **metadata):
        said = {"devEui": "70b3d57ed0000017", "fCnt": 7, "fPort": 2, "frame": "00e7", **metadata}
        self.frames[number].take(payload, said, self.answers.append, False, key)


def test_a_frame_that_comes_through_two_networks_is_one_message_of_the_first_with_all_gateways():
    networks = Networks()
    networks.take(0, b"tts", "a", deviceName="probe-7", **CELLAR)
    networks.take(
        1, b"chirpstack", "b", devEui="70-B3-D5-7E-D0-00-00-17", deviceName="other", applicationId="x", **ROOF
    )
    networks.clock.advance(1.0)
    ((number, payload, metadata, key),) = networks.received
    assert (number, payload, key) == (0, b"tts", "a")
    assert metadata["deviceName"] == "probe-7" and "applicationId" not in metadata
    assert metadata["gateways"] == [ROOF, CELLAR] and metadata["gatewayId"] == "roof"
    assert [answer.message_id for answer in networks.answers] == ["m1", "m1"]
    assert [each.gathered for each in networks.frames] == [0, 1]


def test_another_frame_or_another_group_is_a_message_of_its_own():
    networks = Networks()
    networks.take(0, b"1", "a")
    for more in (
        {"fCnt": 8},
        {"frame": "00e8"},
        {"fPort": 3},
        {"devEui": "70b3d57ed0000018"},
        {"fCnt": None},
        {"devEui": 7},
    ):
        networks.take(1, b"2", str(more), **more)
    other = FrameGroups().group("default", "fields")
    HeldFrames(networks.clock, 1.0, networks.receiver(2), other).take(
        b"3",
        {"devEui": "70b3d57ed0000017", "fCnt": 7, "fPort": 2, "frame": "00e7"},
        networks.answers.append,
        False,
        "c",
    )
    networks.clock.advance(1.0)
    assert len(networks.received) == 8


def test_what_comes_when_the_window_is_over_is_a_message_of_its_own_and_nothing_stays_behind():
    networks = Networks()
    networks.take(0, b"1", "a")
    networks.clock.advance(1.0)
    networks.take(1, b"2", "b")
    networks.frames[1].flush()
    assert [each[0] for each in networks.received] == [0, 1]
    assert not networks.frames[0]._group


def test_a_network_that_says_no_gateway_takes_the_other_s():
    assert with_gateways({"a": 1}, {"b": 2, **ROOF}) == {"a": 1, **ROOF}
    assert with_gateways({"a": 1, **ROOF}, {"b": 2}) == {"a": 1, **ROOF}
