"""A subscription that pushes: what its requests become, and who else is turned away."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.server import Site

from iotgw import testing
from iotgw.core.errors import SettingsError
from iotgw.core.model import Status
from iotgw.core.networks import Networks
from iotgw.core.validate import convert
from iotgw.datasources.http.mounts import HttpMounts, MountRoot
from iotgw.datasources.pubsub.push import PubsubPushType
from iotgw.datasources.pubsub.push_settings import PubsubPushSettings
from tests.token_issuer import ACCOUNT, AUDIENCE, TokenIssuer
from tests.unit.datasources.fakes import FakeIntake, clock, context
from tests.unit.json_server import JsonServer

NAME = "projects/plant/subscriptions/readings"
SETTINGS = {
    "project": "plant", "subscription": "readings", "audience": AUDIENCE, "serviceAccount": ACCOUNT,
    "keys": {"url": "https://keys.example/certs"},
}  # fmt: skip
ISSUER, STRANGER = TokenIssuer("one"), TokenIssuer("stranger")


class Subscription:
    """A listener without a socket; Google's keys are those of a test."""

    def __init__(self, are_published=True, allow=None, **more):
        self.clock = clock()
        self.intake = FakeIntake()
        connector = testing.FakeConnector()
        given = context(self.intake, self.clock)
        given = msgspec.structs.replace(given, allow=allow) if allow is not None else given
        self.now = given.date_ms() / 1000
        self.source = PubsubPushType(self.clock, connector).build(
            convert({**SETTINGS, **more}, PubsubPushSettings), given
        )
        self.keys = JsonServer(connector, "keys.example")
        self.source.start()
        self.site = Site(MountRoot(given.shared(HttpMounts)))
        if are_published:
            self.keys.answer({"keys": [ISSUER.published]})

    def post(self, body, token=None, headers=(), method="POST"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        token = ISSUER.token(self.now) if token is None else token
        lines = [("Authorization", f"Bearer {token}")] if token else []
        text = "".join(f"{name}: {value}\r\n" for name, value in [*lines, *headers])
        peer = IPv4Address("TCP", "192.0.2.7", 4000)
        self.channel = self.site.buildProtocol(peer)
        transport = StringTransport(peerAddress=peer)
        self.channel.makeConnection(transport)
        head = (
            f"{method} /i/key HTTP/1.1\r\nHost: gateway.example\r\n{text}Content-Length: {len(data)}\r\n\r\n"
        )
        self.channel.dataReceived(head.encode() + data)
        return transport

    def push(self, data, id="1", **more):
        """A wrapped message, as Google's page has it."""
        message = {
            "attributes": {}, "data": base64.b64encode(data).decode(), "messageId": id, "message_id": id,
            "publishTime": "2026-11-20T12:00:00Z", "publish_time": "2026-11-20T12:00:00Z", **more,
        }  # fmt: skip
        return self.post({"message": message, "subscription": NAME, "deliveryAttempt": 2})

    @property
    def payloads(self):
        return [payload for payload, _ in self.intake.received]


def fails(said):
    said.errback(OSError("the disk is full"))


def status(transport):
    return int(transport.value().split(b" ", 2)[1])


@pytest.fixture
def subscription():
    return Subscription()


def test_a_message_is_answered_when_it_is_durable(subscription):
    subscription.intake.auto = False
    answer = subscription.push(
        b"\x00\xff", "7", attributes={"serial": "9", "api-key": "x"}, orderingKey="meter-1"
    )
    assert answer.value() == b""
    subscription.intake.answer(0)
    assert status(answer) == 204
    ((payload, facts),) = subscription.intake.received
    assert payload == b"\x00\xff"
    shown = {
        name: facts[name]
        for name in ("subscription", "messageId", "orderingKey", "deliveryAttempt", "device")
    }
    assert shown == {
        "subscription": "readings", "messageId": "7", "orderingKey": "meter-1", "deliveryAttempt": 2, "device": "meter-1",
    }  # fmt: skip
    assert facts["Header:serial"] == "9" and "Header:api-key" not in facts
    assert subscription.intake.keys == ["7"]


def test_what_comes_again_is_answered_like_the_first_time_and_stored_once(subscription):
    assert status(subscription.push(b"a", "7")) == 204
    assert status(subscription.push(b"a", "7")) == 204
    assert subscription.payloads == [b"a"]


def test_a_body_without_wrapper_is_the_data_and_the_headers_say_the_rest():
    subscription = Subscription(unwrapped=True, deviceAttribute="Serial-No")
    said = [
        ("x-goog-pubsub-subscription-name", NAME), ("x-goog-pubsub-message-id", "7"),
        ("x-goog-pubsub-publish-time", "2026-11-20T12:00:00Z"), ("Serial-No", "9"), ("User-Agent", "APIs-Google"),
    ]  # fmt: skip
    assert status(subscription.post(b'{"message": 1}', headers=said)) == 204
    ((payload, facts),) = subscription.intake.received
    assert (payload, facts["messageId"], facts["device"]) == (b'{"message": 1}', "7", "9")
    assert [name for name in facts if name.startswith("Header:")] == ["Header:serial-no"]
    assert subscription.intake.keys == ["7"]


def test_a_message_without_metadata_is_taken_and_has_no_name():
    subscription = Subscription(unwrapped=True)
    assert [status(subscription.post(b"a")) for _ in range(2)] == [204, 204]
    assert subscription.payloads == [b"a", b"a"]


def test_a_platform_s_messages_are_read_by_its_preset():
    subscription = Subscription(preset="chirpstack")
    uplink = {
        "deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d", "time": "2026-11-20T12:00:00Z", "fPort": 2, "data": "AQI=",
        "deviceInfo": {"devEui": "70b3d57ed0000017", "deviceName": "m", "deviceProfileName": "p", "applicationName": "a"},
    }  # fmt: skip
    assert status(subscription.push(json.dumps(uplink).encode(), attributes={"event": "up"})) == 204
    assert subscription.intake.received[0][1]["device"] == "70b3d57ed0000017"


@pytest.mark.parametrize(("write", "wanted"), [(lambda said: said.callback(True), 204), (fails, 503)])
def test_a_networks_receipt_is_answered_when_it_is_durable_and_comes_again_where_it_cannot_be(
    monkeypatch, write, wanted
):
    subscription = Subscription(preset="chirpstack")
    said = Deferred()
    monkeypatch.setattr(subscription.intake, "downlink_confirmed", lambda *_: said)
    receipt = {
        "deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d", "queueItemId": "5e0d8a4c-0000-4000-8000-000000000001",
        "acknowledged": True, "deviceInfo": {"devEui": "70b3d57ed0000017"},
    }  # fmt: skip
    answer = subscription.push(json.dumps(receipt).encode(), attributes={"event": "ack"})
    assert answer.value() == b""
    write(said)
    assert status(answer) == wanted


def test_a_message_that_its_platform_did_not_send_is_kept_as_failed_and_does_not_come_again():
    subscription = Subscription(preset="chirpstack")
    assert status(subscription.push(b"rubbish")) == 204
    assert "rejected" in subscription.intake.received[0][1]


@pytest.mark.parametrize(
    ("outcome", "wanted"),
    [(Status.BUSY, 503), (Status.TOO_LARGE, 413), (Status.FAILED, 204), (Status.REFUSED, 204)],
)
def test_only_what_is_not_stored_may_come_again(subscription, outcome, wanted):
    subscription.intake.auto = False
    answer = subscription.push(b"a")
    subscription.intake.answer(0, outcome)
    assert status(answer) == wanted


def test_a_sender_that_has_gone_is_answered_nothing(subscription):
    subscription.intake.auto = False
    answer = subscription.push(b"a")
    subscription.channel.connectionLost(Failure(ConnectionLost()))
    subscription.intake.answer(0)
    assert answer.value() == b""


def tokens(now):
    return {
        "none at all": "",
        "of somebody else's key": STRANGER.token(now),
        "for another audience": ISSUER.token(now, aud="https://elsewhere.example"),
        "of another account": ISSUER.token(now, email="x@plant.iam.gserviceaccount.com"),
        "ended": ISSUER.token(now - 7200),
        "no token": "abc",
        "alg none": "eyJhbGciOiJub25lIn0.e30.",
    }


def test_whoever_has_no_token_of_the_subscription_is_401_counted_and_leaves_nothing(subscription):
    found = tokens(subscription.now)
    for token in found.values():
        answer = subscription.post({"message": {"data": "YQ=="}, "subscription": NAME}, token)
        assert status(answer) == 401
        assert b"another" not in answer.value()  # who has none learns nothing of what is expected
    assert [(reason, peer) for reason, peer, _ in subscription.intake.refusals] == [
        ("credentials", "192.0.2.7")
    ] * len(found)
    assert {text for *_, text in subscription.intake.refusals} >= {"no token", "a token for another audience"}
    assert subscription.payloads == [] and subscription.intake.rejected == []


def test_unknown_keys_cause_no_fetch_for_each_request(subscription):
    subscription.clock.advance(60)
    now = subscription.now + 60
    for _ in range(50):
        assert status(subscription.post(b"{}", STRANGER.token(now))) == 401
    assert len(subscription.keys.actions()) == 1
    subscription.keys.answer({"keys": [ISSUER.published, STRANGER.published]})
    body = {"message": {"data": "YQ==", "messageId": "1"}, "subscription": NAME}
    assert status(subscription.post(body, STRANGER.token(now))) == 204  # it was a new key of Google's


def test_without_keys_nobody_is_refused_and_nothing_taken():
    subscription = Subscription(are_published=False)
    assert subscription.source.status()["keys"] == "missing"
    assert status(subscription.push(b"a")) == 503
    subscription.keys.answer(b"", status=403)
    shown = subscription.source.status()
    assert shown["lastError"] == "the keys can't be fetched: HTTP 403"
    subscription.clock.advance(2)
    assert status(subscription.push(b"a")) == 503
    subscription.keys.answer({"keys": [ISSUER.published]})
    assert status(subscription.push(b"a")) == 204
    assert subscription.source.status()["keys"] == "known"
    assert subscription.intake.refusals == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"21.5", "set `unwrapped`"),
        ({"subscription": NAME}, "set `unwrapped`"),
        ({"message": {"data": "!"}, "subscription": NAME}, "set `unwrapped`"),
        ({"message": {"data": "YQ=="}, "subscription": NAME + "2"}, "another subscription"),
    ],
)
def test_a_request_that_can_not_be_read_stays_with_pubsub_and_its_reason_is_shown(subscription, body, words):
    for _ in range(3):
        assert status(subscription.post(body)) == 400
    shown = subscription.source.status()
    assert words in shown["lastError"] and shown["faults"] == 3
    assert len([each for each in subscription.intake.events if each[0] == "failed"]) == 1
    assert subscription.payloads == [] and subscription.intake.rejected == []
    subscription.push(b"a")
    assert "lastError" not in subscription.source.status()


def test_a_body_that_is_too_large_is_413():
    subscription = Subscription(maxBody=100)
    assert status(subscription.push(b"x" * 200)) == 413


def test_nothing_but_a_post_is_a_message(subscription):
    assert status(subscription.post(b"", method="GET")) == 405


def test_an_address_that_the_datasource_does_not_allow_is_turned_away():
    subscription = Subscription(allow=Networks(["198.51.100.0/24"]))
    assert status(subscription.push(b"a")) == 403
    assert subscription.intake.refusals[0][0] == "network"


def test_keys_of_before_a_restart_are_asked_for_and_the_path_is_free_after_the_end(subscription):
    assert subscription.intake.recalls == 1
    subscription.source.stop()
    assert status(subscription.push(b"a")) == 404


def test_what_to_type_in_at_google_is_said():
    about = PubsubPushType(clock(), testing.FakeConnector()).setup(convert(SETTINGS, PubsubPushSettings), "k")
    assert about.fields["Endpoint URL"] == "{gateway}/i/k"
    assert about.fields["Audience"] == AUDIENCE


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"project": "a/b"}, "project"),
        ({"subscription": "../x"}, "subscription"),
        ({"audience": ""}, "audience"),
        ({"serviceAccount": ""}, "serviceAccount"),
        ({"keys": {"url": "file:///etc/passwd"}}, "url"),
        ({"endpoint": "unix:/x"}, "endpoint"),
        ({"endpoint": "ssl:1:privateKey=a"}, "endpoint"),
        ({"tls": {"certificate": "a", "key": "b"}}, "endpoint"),
        ({"preset": "nobody"}, "preset"),
    ],
)
def test_what_is_no_subscription_is_refused(more, words):
    with pytest.raises(SettingsError, match=words):
        convert({**SETTINGS, **more}, PubsubPushSettings)
