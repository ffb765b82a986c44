"""Uploads whose envelope says more than one thing: several uplinks, receipts by id, one answer for all."""

from __future__ import annotations

import json

import msgspec
import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.server import Site

from iotgw.core.model import Status
from iotgw.datasources.http.datasource import HttpSourceType
from iotgw.datasources.http.mounts import HttpMounts, MountRoot
from iotgw.datasources.http.settings import HttpSourceSettings
from iotgw.envelopes.presets.choices import HTTP_PROFILES
from tests.unit.datasources.fakes import FakeIntake, clock, context
from tests.unit.datasources.platform import Platform


class Field:
    """A listener without a socket. A profile is an entry of the table: here it is a platform of the test's."""

    def __init__(self, monkeypatch, envelope=Platform, **settings) -> None:
        monkeypatch.setitem(HTTP_PROFILES, "sigfox", envelope)
        self.intake = FakeIntake()
        self.clock = clock()
        type_ = HttpSourceType(self.clock)
        settings = msgspec.convert({"profile": "sigfox", **settings}, HttpSourceSettings)
        given = context(self.intake, self.clock)
        self.source = type_.build(settings, given)
        self.source.start()
        self.site = Site(MountRoot(given.shared(HttpMounts)))
        self.channel = None

    def post(self, body, path: str = "/i/key", headers: bytes = b"", method: str = "POST") -> StringTransport:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        peer = IPv4Address("TCP", "192.0.2.7", 4000)
        self.channel = self.site.buildProtocol(peer)
        transport = StringTransport(peerAddress=peer)
        self.channel.makeConnection(transport)
        self.channel.dataReceived(
            b"%b %b HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n%b"
            % (method.encode(), path.encode(), headers, len(data), data)
        )
        return transport


def status(transport: StringTransport) -> int:
    return int(transport.value().split(b" ", 2)[1])


def body(transport: StringTransport) -> bytes:
    """What follows the head."""
    return transport.value().partition(b"\r\n\r\n")[2]


def fails(said: Deferred) -> None:
    said.errback(OSError("the disk is full"))


@pytest.fixture
def field(monkeypatch) -> Field:
    return Field(monkeypatch)


def test_one_request_is_several_uplinks_each_with_what_the_envelope_adds(field):
    answer = field.post([{"device": "a", "data": "1", "n": 5}, {"device": "b", "data": "2", "n": 6}])
    assert status(answer) == 204
    assert [payload for payload, _ in field.intake.received] == [b"1", b"2"]
    facts = [facts for _, facts in field.intake.received]
    assert [(each["identity"], each["counter"]) for each in facts] == [("a", 5), ("b", 6)]
    assert all(each["protocol"] == "http" and each["remoteIp"] == "192.0.2.7" for each in facts)


def test_the_answer_waits_for_all_and_is_the_worst(field):
    field.intake.auto = False
    answer = field.post([{"device": name, "data": name} for name in "abc"])
    field.intake.answer(0)
    field.intake.answer(2, Status.BUSY)
    assert answer.value() == b""
    field.intake.answer(1)
    assert status(answer) == 503


def test_one_answer_offers_an_item_for_each_device_and_loses_what_never_fits(field):
    field.intake.put("a", b"\x01\x02")
    field.intake.put("b", b"too long")
    field.intake.put("c", b"\x03")
    answer = field.post([{"device": name, "data": name} for name in "abc"])
    assert status(answer) == 200 and b'{"a":"0102","c":"03"}' in body(answer)
    assert field.intake.outcomes == [
        ("b-0", "lost: expected at most 4 bytes"),
        ("a-0", "offered"),
        ("c-0", "offered"),
    ]


def test_an_answer_with_nothing_that_fits_is_empty(field):
    field.intake.put("a", b"too long")
    assert status(field.post([{"device": "a", "data": "1"}])) == 204
    assert field.intake.outcomes == [("a-0", "lost: expected at most 4 bytes")]


def test_receipts_name_items_and_a_request_may_have_nothing_else(field):
    field.intake.known = {"item-1", "item-2"}
    receipts = [{"receipt": f"item-{n}", "ok": n < 2} for n in (1, 2, 3)]
    assert status(field.post([*receipts, {"join": 1}])) == 204
    assert field.intake.outcomes == [
        ("item-1", "confirmed"),
        ("item-2", "not confirmed: told so"),
        ("item-3", "not confirmed: told so"),
    ]
    assert field.intake.received == []
    counts = field.source.status()
    assert (counts["unknownReceipts"], counts["joins"]) == (1, 1)


@pytest.mark.parametrize(("write", "wanted"), [(lambda said: said.callback(True), 204), (fails, 503)])
def test_a_receipt_is_answered_when_it_is_durable_and_refused_where_it_cannot_be(
    field, monkeypatch, write, wanted
):
    said = Deferred()
    monkeypatch.setattr(field.intake, "downlink_confirmed", lambda *_: said)
    answer = field.post([{"receipt": "item-1", "ok": True}])
    assert answer.value() == b""
    write(said)
    assert status(answer) == wanted


def test_a_body_of_which_a_part_is_no_message_is_kept_whole_and_nothing_of_it_is_done(monkeypatch):
    field = Field(monkeypatch, split="lines")
    data = b'[{"device": "a", "data": "1"}, {"receipt": "x", "ok": true}]\nrubbish\n'
    assert status(field.post(data)) == 400
    assert field.intake.received == [] and field.intake.outcomes == []
    ((kept, facts, reason),) = field.intake.rejected
    assert (kept, facts["protocol"], reason) == (data, "http", "expected an array of reports")


def test_many_messages_leave_others_their_turns_and_are_answered_when_all_are_stored(monkeypatch):
    field = Field(monkeypatch, split="lines")
    line = json.dumps([{"device": "a", "data": "x"}]).encode() + b"\n"
    answer = field.post(line * 1000)
    assert (answer.value(), field.intake.received) == (b"", [])
    field.clock.advance(0)
    assert (status(answer), len(field.intake.received)) == (204, 1000)


def test_a_part_that_is_no_message_is_found_in_a_later_turn_as_well(monkeypatch):
    field = Field(monkeypatch, split="lines")
    answer = field.post(json.dumps([{"join": 1}] * 500).encode() + b"\nx")
    field.clock.advance(0)
    assert status(answer) == 400 and b"an array of reports" in body(answer)
    ((kept, _, reason),) = field.intake.rejected
    assert (kept[-2:], reason, field.intake.received) == (b"\nx", "expected an array of reports", [])


def test_messages_of_messages_are_counted(monkeypatch):
    field = Field(monkeypatch, split="lines")
    line = json.dumps([{"device": "a", "data": ""}] * 1000).encode() + b"\n"
    answer = field.post(line * 11)
    field.clock.advance(0)
    assert status(answer) == 400 and b"at most 10000 messages in one request" in body(answer)
    assert field.intake.received == []


@pytest.mark.parametrize("query", ["", "?ttd=30"])
def test_a_network_is_answered_at_once_however_long_it_says_that_a_device_listens(field, query):
    assert status(field.post([{"device": "a", "data": "1"}], f"/i/key{query}")) == 204


def test_an_answer_whose_reader_has_gone_gives_the_items_back(field):
    field.intake.auto = False
    field.intake.put("a", b"\x01")
    field.post([{"device": "a", "data": "1"}])
    field.channel.connectionLost(Failure(ConnectionLost()))
    field.intake.answer(0)
    assert field.intake.outcomes == [("a-0", "returned")]


def test_plain_bodies_need_no_envelope(monkeypatch):
    field = Field(monkeypatch, profile="none")
    field.intake.put("", b"go")
    answer = field.post(b"anything")
    assert status(answer) == 200 and b"go" in body(answer)
    payload, facts = field.intake.received[0]
    assert payload == b"anything" and "identity" not in facts
    assert field.intake.outcomes[0] == ("-0", "sent")


@pytest.mark.parametrize(
    ("settings", "headers", "reason", "said"),
    [
        ({"security": {"mode": "bearer", "token": "s3cret"}}, b"", "credentials", "no credentials"),
        (
            {"security": {"mode": "bearer", "token": "s3cret"}},
            b"Authorization: Bearer s3creT\r\n",
            "credentials",
            "wrong credentials",
        ),
        (
            {"security": {"mode": "basic", "username": "u", "password": "s3cret"}},
            b"Authorization: Basic dTpx\r\n",
            "credentials",
            "wrong credentials",
        ),
        ({"headersFilter": {"X-Key": "s3cret"}}, b"", "header", "no header X-Key"),
        (
            {"headersFilter": {"X-Key": "s3cret"}},
            b"X-Key: s3creT\r\n",
            "header",
            "a wrong value of header X-Key",
        ),
    ],
)
def test_who_may_not_upload_leaves_a_trace_without_what_was_tried(
    monkeypatch, settings, headers, reason, said
):
    field = Field(monkeypatch, **settings)
    assert status(field.post([], headers=headers)) == 401
    assert field.intake.refusals == [(reason, "192.0.2.7", said)]
    assert field.intake.received == []
