"""What converters state of a connection: its later messages carry it, in order, and nobody else's."""

from __future__ import annotations

import msgspec
import pytest

from iotgw.core.model import Answer, DeviceReply, Downlink, Status
from iotgw.core.session_facts import MAX_FACTS, merged
from iotgw.datasources.vendors.dragino import DraginoSettings, DraginoType
from tests.unit.datasources.fakes import FakeDevice, FakeIntake, clock, context
from tests.unit.datasources.socket.test_stream import Field
from tests.unit.datasources.vendors.test_dragino import NDDS75


def states(reply: bytes = b"", **facts) -> Answer:
    said = DeviceReply(reply) if reply else None
    return Answer(Status.STORED, "1-1", 0.0, (), said, facts)


@pytest.fixture
def field() -> Field:
    made = Field()
    made.intake.auto = False
    made.intake.sets_facts = True
    return made


def whose(field: Field) -> list[str]:
    return [facts.get("identity", "") for _, facts in field.intake.received]


def test_what_follows_a_login_waits_for_its_conversion_and_carries_the_name(field):
    device = field.connect()
    device.send(b"login\nplace 1\nplace 2\n")
    assert field.lines == [b"login"] and device.is_paused
    field.intake.answers[0](states(b"welcome", identity="867"))
    assert field.lines == [b"login", b"place 1"] and device.read() == b"welcome"
    field.intake.answers[1](Answer(Status.STORED))
    assert field.lines == [b"login", b"place 1", b"place 2"] and not device.is_paused
    assert whose(field) == ["", "867", "867"]


def test_other_connections_do_not_wait_and_are_not_named(field):
    first, second = field.connect(), field.connect("192.0.2.8")
    first.send(b"login\nplace\n")
    second.send(b"hello\n")
    assert field.lines == [b"login", b"hello"]
    field.intake.answers[0](states(identity="867"))
    field.intake.answers[1](Answer(Status.STORED))
    second.send(b"again\n")
    assert whose(field) == ["", "", "867", ""]


def test_answers_that_come_at_once_keep_the_order_however_many_there_are(field):
    field.intake.auto = True
    field.intake.says = states(identity="867")
    field.connect().send(b"".join(b"%d\n" % n for n in range(5000)))
    assert field.lines == [b"%d" % n for n in range(5000)]
    assert whose(field)[:2] == ["", "867"]


def test_what_a_device_sent_before_it_closed_is_still_handed_over_in_order(field):
    device = field.connect()
    device.send(b"login\nplace 1\nplace 2")
    device.half_close()
    for number in range(3):
        assert not device.is_closed
        field.intake.answers[number](states(identity="867"))
    assert field.lines == [b"login", b"place 1", b"place 2"] and device.is_closed
    assert whose(field) == ["", "867", "867"]


def test_a_connection_that_is_gone_loses_none_of_its_messages(field):
    device = field.connect()
    device.send(b"login\nplace 1\nplace 2\n")
    device.vanish()
    field.intake.answers[0](states(b"welcome", identity="867"))
    field.intake.answers[1](Answer(Status.STORED))
    assert whose(field) == ["", "867", "867"] and device.read() == b""
    assert field.intake.sessions == {}


def test_a_full_gateway_and_a_slow_conversion_both_keep_it_from_reading(field):
    device = field.connect()
    field.intake.fill()
    device.send(b"login\nplace\n")
    assert device.is_paused and field.lines == []
    field.intake.drain()
    assert device.is_paused and field.lines == [b"login"]
    field.intake.answers[0](states(identity="867"))
    assert not device.is_paused and field.lines == [b"login", b"place"]


def test_a_device_that_waits_for_a_conversion_is_not_timed_out(field):
    device = field.connect()
    device.send(b"login\nplace\n")
    field.clock.advance(500)
    assert not device.is_closed


def test_later_facts_are_added_and_null_takes_one_away(field):
    device = field.connect()
    device.send(b"login\n")
    field.intake.answers[0](states(identity="867", fw="1", old=True))
    device.send(b"two\n")
    field.intake.answers[1](states(fw="2", old=None))
    device.send(b"three\n")
    facts = field.intake.received[2][1]
    assert (facts["identity"], facts["fw"], "old" in facts) == ("867", "2", False)


def test_what_the_transport_knows_outranks_what_a_converter_states(field):
    device = field.connect()
    device.send(b"login\n")
    field.intake.answers[0](states(remoteIp="6.6.6.6", protocol="none", integrationName="x", contentType="x"))
    device.send(b"two\n")
    facts = field.intake.received[1][1]
    assert (facts["remoteIp"], facts["protocol"]) == ("192.0.2.7", "tcp")
    assert (facts["integrationName"], facts["contentType"]) == ("field", "TEXT")


def test_an_identity_by_address_stays():
    field = Field(identity="address")
    field.intake.sets_facts = True
    field.intake.says = states(identity="867")
    device = field.connect()
    device.send(b"login\ntwo\n")
    assert whose(field) == ["192.0.2.7", "192.0.2.7"] and set(field.intake.sessions) == {"192.0.2.7"}


def test_too_many_facts_are_refused_and_the_earlier_ones_stay(field):
    device = field.connect()
    device.send(b"login\n")
    field.intake.answers[0](states(identity="867"))
    device.send(b"two\n")
    field.intake.answers[1](states(**{f"f{n}": n for n in range(MAX_FACTS)}))
    device.send(b"three\n")
    assert "f1" not in field.intake.received[2][1] and whose(field)[2] == "867"
    assert field.source.counts["factsRefused"] == 1
    why = f"facts of a connection from 192.0.2.7 were refused: expected at most {MAX_FACTS} facts of a connection, got {MAX_FACTS + 1}"
    assert field.intake.events == [("malformed", why)]
    with pytest.raises(ValueError, match="bytes of facts"):
        merged({}, {"a": "x" * 5000})


def test_a_named_device_can_be_reached_until_its_connection_ends(field):
    device = field.connect()
    device.send(b"login\n")
    field.intake.answers[0](states(b"welcome", identity="867"))
    field.intake.sessions["867"]((Downlink("1", "867", b"go"),))
    assert device.read() == b"welcomego" and field.intake.outcomes == [("1", "sent")]
    device.send(b"logout\n")
    field.intake.answers[1](states(identity=None))
    assert field.intake.sessions == {}
    device.send(b"login\n")
    field.intake.answers[2](states(identity="868"))
    assert set(field.intake.sessions) == {"868"}
    device.hang_up()
    assert field.intake.sessions == {}


def test_bytes_that_are_no_message_carry_the_name_too(field):
    device = field.connect()
    device.send(b"login\n")
    field.intake.answers[0](states(identity="867"))
    device.send(b"x" * 200)
    assert field.intake.rejected[0][1]["identity"] == "867"


def test_without_such_a_converter_nothing_waits(field):
    field.intake.sets_facts = False
    field.connect().send(b"one\ntwo\n")
    assert field.lines == [b"one", b"two"]


def test_a_vendor_s_frames_say_themselves_whose_they_are():
    intake, time = FakeIntake(), clock()
    intake.sets_facts = True
    intake.says = states(identity="somebody else", site="north")
    source = DraginoType(time).build(msgspec.convert({}, DraginoSettings), context(intake, time))
    device = FakeDevice(source)
    for _ in range(2):
        device.send(NDDS75)
        time.advance(3)
    facts = intake.received[1][1]
    assert (facts["identity"], facts["site"]) == ("867787054545078", "north")
