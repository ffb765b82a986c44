"""Downlinks by a platform's API: a real HTTP server on loopback that answers as platforms do, or doesn't."""

from __future__ import annotations

import json

import msgspec
import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from iotgw import testing
from iotgw.connect import api_caller
from iotgw.connect.endpoint import Connector
from iotgw.core.destination import MOVED, destination, to_keep
from iotgw.core.downlink_item import ItemState, payload
from iotgw.core.model import Downlink
from iotgw.core.shared import SharedResources
from iotgw.core.specs import DownlinkSpec, RetrySpec
from iotgw.datasources.http.datasource import HttpSourceType
from iotgw.datasources.http.mounts import HttpMounts
from iotgw.datasources.http.settings import HttpSourceSettings
from iotgw.downlinks.leaving import LastSeen
from iotgw.downlinks.queue import DownlinkQueue
from tests.peers.patience import Patience

UPLINK = {"identity": "70b3d57ed0000017", "deviceId": "d4922d8a"}
ITEM = Downlink("dl0123456789abcde0", "meter", b"\xbe\xef", "BINARY", {"fPort": 2})


class Platform(Resource):
    """An API. ``answers`` are (status, body, headers) in order, the last one again and again; None never answers."""

    isLeaf = True

    def __init__(self):
        super().__init__()
        self.answers = [(200, {}, {})]
        self.asked = []

    def render(self, request):
        self.asked.append((request.uri.decode(), request.getAllHeaders(), request.content.read()))
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if answer is None:
            return NOT_DONE_YET
        status, body, headers = answer
        request.setResponseCode(status)
        for name, value in headers.items():
            request.setHeader(name.encode(), value.encode())
        return json.dumps(body).encode() if body is not None else b""


class Field:
    """A datasource with an API, and what it reports."""

    def __init__(self, monkeypatch, preset="the-things-stack", forbid=(), **more):
        monkeypatch.setattr(api_caller, "BACKOFF", RetrySpec(initial=0.001, cap=0.002))
        self.platform = Platform()
        self.port = reactor.listenTCP(0, Site(self.platform), interface="127.0.0.1")
        self.server = f"http://127.0.0.1:{self.port.getHost().port}"
        self.intake = testing.FakeIntake()
        self.forbid = forbid
        self.settings = self.configured(preset, **more)
        self.open()

    def configured(self, preset, **more):
        api = {
            "server": self.server,
            "values": {"application": "app", "webhook": "iotgw"},
            "secrets": {"token": "NNSXS.hush"},
            "timeout": 60,
            **more,
        }
        return msgspec.convert({"preset": preset, "downlinkApi": api}, HttpSourceSettings)

    def open(self):
        context = testing.datasource_context(self.intake, reactor, shares=SharedResources(HttpMounts()))
        self.source = HttpSourceType(reactor, Connector(reactor, self.forbid)).build(self.settings, context)
        assert testing.fired(self.source.start()) is None

    def push(self, *items):
        for item in items or (ITEM,):
            self.source.push(UPLINK, (item,))

    async def until(self, condition):
        patience = Patience(20)
        while not condition():
            assert not patience.is_over(), (self.intake.outcomes, self.platform.asked)
            await deferLater(reactor, 0.005)

    async def outcome(self, count=1):
        await self.until(lambda: len(self.intake.outcomes) >= count)
        return self.intake.outcomes

    def close(self):
        pytest_twisted.blockon(self.source.stop())
        pytest_twisted.blockon(self.port.stopListening())


@pytest.fixture
def make(monkeypatch):
    fields = []

    def made(*args, **more):
        fields.append(Field(monkeypatch, *args, **more))
        return fields[-1]

    yield made
    for field in fields:
        field.close()


def asynchronous(test):
    return pytest_twisted.ensureDeferred(test)


@asynchronous
async def test_a_downlink_is_offered_by_a_call_that_carries_the_item_s_id(make):
    field = make()
    assert field.source.keeps_downlinks and field.source.can_push
    await field.until(lambda: field.intake.wakes == 1)
    field.push()
    assert await field.outcome() == [(ITEM.id, "offered")]
    ((uri, headers, body),) = field.platform.asked
    assert uri == "/api/v3/as/applications/app/webhooks/iotgw/devices/70b3d57ed0000017/down/push"
    assert headers[b"authorization"] == b"Bearer NNSXS.hush" and headers[b"user-agent"].startswith(b"iotgw/")
    assert json.loads(body)["downlinks"][0]["correlation_ids"] == [f"iotgw:{ITEM.id}"]
    assert field.source.status()["downlinkApi"] == {"state": "closed", "waiting": 0}


@asynchronous
async def test_without_an_api_nothing_is_pushed(make):
    settings = msgspec.convert({"preset": "the-things-stack"}, HttpSourceSettings)
    context = testing.datasource_context(testing.FakeIntake(), reactor, shares=SharedResources(HttpMounts()))
    source = HttpSourceType(reactor, Connector(reactor)).build(settings, context)
    assert not source.can_push and not source.keeps_downlinks


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ((409, {"message": "queue full"}, {}), "refused: The Things Stack: HTTP 409: queue full"),
        ((400, {"message": "token NNSXS.hush?"}, {}), "refused: The Things Stack: HTTP 400: token ***?"),
        ((500, None, {}), "lost: The Things Stack: HTTP 500"),
    ],
)
@asynchronous
async def test_what_is_refused_fails_with_the_platform_s_reason(make, answer, outcome):
    field = make()
    field.platform.answers = [answer]
    field.push()
    assert await field.outcome() == [(ITEM.id, outcome)]


@asynchronous
async def test_an_error_inside_of_a_200_is_a_refusal(make):
    field = make("loriot", values={"application": "BE7A0001"})
    field.platform.answers = [(200, {"error": "Device not found"}, {})]
    field.push()
    assert await field.outcome() == [(ITEM.id, "refused: LORIOT: HTTP 200: Device not found")]


@asynchronous
async def test_who_is_told_to_wait_waits_and_charges_nothing_to_the_item(make):
    field = make()
    field.platform.answers = [(429, None, {"retry-after": "0"}), (503, None, {}), (200, {}, {})]
    field.push()
    assert await field.outcome() == [(ITEM.id, "offered")]
    assert len(field.platform.asked) == 3
    assert (
        "downlink.api",
        "the platform's API takes no downlinks now: The Things Stack: HTTP 429",
    ) in field.intake.events


@asynchronous
async def test_a_call_that_is_never_answered_is_an_attempt_and_what_waits_is_asked_for_again(make):
    field = make(timeout=1)
    field.platform.answers = [None]
    field.push()
    assert await field.outcome() == [
        (ITEM.id, "lost: no answer to the call: no complete response within 1 s")
    ]
    await field.until(lambda: field.intake.wakes == 2)


@asynchronous
async def test_an_item_that_is_pushed_twice_is_called_for_once(make):
    field = make()
    field.push(ITEM, ITEM)
    await field.outcome()
    assert len(field.platform.asked) == 1


@asynchronous
async def test_what_was_cancelled_while_it_waited_is_not_sent(make):
    field = make(connections=1)
    other = Downlink("dl00000000000000ff", "meter", b"x")
    field.intake.gone.add(other.id)
    field.push(ITEM, other)
    assert await field.outcome() == [(ITEM.id, "offered")]
    await field.until(lambda: field.source.api.status()["waiting"] == 0)
    assert len(field.platform.asked) == 1


@asynchronous
async def test_an_item_that_the_network_can_t_take_fails_at_once(make):
    field = make()
    field.push(Downlink("dl0123456789abcde0", "meter", b"x" * 300))
    assert field.intake.outcomes == [("dl0123456789abcde0", "refused: expected at most 242 bytes, got 300")]
    assert field.platform.asked == []


@asynchronous
async def test_where_no_receipt_will_come_an_answer_is_all_that_is_known(make):
    field = make("element-iot", values={}, secrets={"key": "hush"})
    field.push()
    assert await field.outcome(2) == [(ITEM.id, "offered"), (ITEM.id, "answered")]


@asynchronous
async def test_a_network_s_own_name_of_a_downlink_is_kept(make):
    field = make("chirpstack", values={})
    field.platform.answers = [(200, {"id": "42cb6459"}, {})]
    field.push()
    assert await field.outcome() == [(ITEM.id, "offered as 42cb6459")]


@asynchronous
async def test_a_platform_with_a_login_is_asked_for_a_token_first(make):
    field = make("kerlink-wanesy", values={"username": "me"}, secrets={"password": "hush"})
    field.platform.answers = [
        (201, {"token": "t1"}, {}),
        (401, None, {}),
        (201, {"token": "t2"}, {}),
        (201, None, {"location": "/gms/application/dataDown/5e3f"}),
    ]
    field.push()
    assert await field.outcome() == [(ITEM.id, "offered as 5e3f")]
    assert [uri for uri, _, _ in field.platform.asked] == [
        "/gms/application/login", "/gms/application/dataDown", "/gms/application/login", "/gms/application/dataDown",
    ]  # fmt: skip
    assert field.platform.asked[-1][1][b"authorization"] == b"Bearer t2"


@asynchronous
async def test_a_network_that_the_operator_forbids_is_never_called(make):
    field = make(forbid=["loopback"])
    field.push()
    await field.until(lambda: field.source.api.status().get("lastError"))
    assert "forbidden" in field.source.api.status()["lastError"]
    assert field.platform.asked == [] and field.intake.outcomes == []


@asynchronous
async def test_a_preset_of_one_s_own_calls_no_other_server_than_the_settings_name(make):
    field = make()
    custom = """
        [device]
        identity = "body.id"
        [downlink.http]
        url = "join('', ['http://127.0.0.9:9/', identity])"
        settings = ["server"]
        """
    api = {"server": field.server}
    configuration = {"preset": "custom", "custom": custom, "downlinkApi": api}
    field.settings = msgspec.convert(configuration, HttpSourceSettings)
    await field.source.stop()
    context = testing.datasource_context(field.intake, reactor, shares=SharedResources(HttpMounts()))
    field.source = HttpSourceType(reactor, Connector(reactor)).build(field.settings, context)
    await field.source.start()
    field.push()
    assert field.intake.outcomes == [
        (ITEM.id, "refused: the preset's URL is not on the server that the settings name")
    ]


@asynchronous
async def test_what_waits_at_the_end_goes_back_into_the_queue(make):
    field = make(connections=1)
    field.platform.answers = [None]
    field.push(ITEM, Downlink("dl00000000000000ff", "meter", b"x"))
    await field.until(lambda: field.platform.asked)
    await field.source.stop()
    assert sorted(field.intake.outcomes) == [("dl00000000000000ff", "returned"), (ITEM.id, "returned")]


class House:
    """The real queue over a store that outlasts it."""

    def __init__(self, field):
        self.field = field
        self.items = {}
        self.begin()

    def begin(self):
        async def encode(datasource, item):
            return payload(item.spec), "BINARY", item.spec.metadata

        async def find(tenant, device):
            return LastSeen("ds", lambda items: self.field.source.push(UPLINK, items), UPLINK["identity"])

        self.queue = DownlinkQueue(
            testing.MemoryDownlinkStore(self.items), encode, find, lambda event, item: None, reactor
        )
        intake = self.field.intake
        intake.downlink_offered = lambda item, network="": self.queue.outcome(
            item.id, "offered", "", None, network
        )
        intake.downlink_lost = lambda item, why, result=None: self.queue.outcome(item.id, "lost", why)
        intake.downlink_returned = lambda item: self.queue.outcome(item.id, "returned")
        intake.downlink_waits = lambda item: self.queue.is_waiting(item.id)
        intake.wake_downlinks = lambda: self.queue.wake("ds")

    async def again(self):
        await self.field.source.stop()
        await self.queue.stop()
        self.begin()
        await self.queue.start()
        self.field.open()


@asynchronous
async def test_an_item_that_was_not_sent_before_a_restart_is_sent_after_it_without_an_uplink(make):
    field = make()
    house = House(field)
    await house.queue.start()
    field.platform.answers = [(503, None, {})]
    item = await house.queue.push("default", "meter", DownlinkSpec(data="vu8=", metadata={"fPort": 2}))
    await field.until(lambda: len(field.platform.asked) >= 2)
    field.platform.answers = [(200, {}, {})]
    await field.source.stop()
    field.platform.asked.clear()
    house.begin()
    await house.queue.start()
    field.open()
    await field.until(lambda: house.items[item.id].state is ItemState.SENT)
    assert len(field.platform.asked) == 1
    assert await house.queue.confirmed("default", "", "ds", "sent", "", item.id)
    await house.again()
    assert (await house.queue.get("default", item.id)).state is ItemState.DELIVERED


# --- settings ---


@pytest.mark.parametrize(
    ("preset", "more", "reason"),
    [
        ("none", {}, "expected a preset that sends downlinks by calls"),
        ("milesight-gateway", {}, "expected a preset that sends downlinks by calls"),
        ("the-things-stack", {"secrets": {}}, "downlinkApi.secrets: expected 'token'"),
        ("the-things-stack", {"values": {}}, "downlinkApi.values: expected 'application'"),
        (
            "the-things-stack",
            {"values": {"token": "x"}},
            "downlinkApi.values.token: expected it in `secrets`",
        ),
        ("loriot", {}, "expected application, token, got 'webhook'"),
        ("the-things-stack", {"server": "ftp://x"}, "expected a URL that begins with"),
        ("the-things-stack", {"loginServer": "x"}, "expected a URL that begins with"),
        ("the-things-stack", {"secrets": {"token": "a\nb"}}, "token: expected printable"),
    ],
)
def test_settings_that_don_t_fit_the_platform_are_refused(preset, more, reason):
    api = {
        "server": "https://ns",
        "values": {"application": "a", "webhook": "w"},
        "secrets": {"token": "t"},
        **more,
    }
    with pytest.raises(msgspec.ValidationError, match=reason):
        msgspec.convert({"preset": preset, "downlinkApi": api}, HttpSourceSettings)


def test_a_masked_secret_stays_only_while_it_goes_to_the_same_server():
    def with_server(server):
        api = {"server": server, "values": {"application": "a", "webhook": "w"}, "secrets": {"token": "***"}}
        return {"preset": "the-things-stack", "downlinkApi": api}

    def unseal(text):
        return text

    stored = with_server("https://eu1.example")
    assert to_keep(with_server("https://eu1.example/x"), stored, HttpSourceSettings, unseal) == stored
    assert to_keep(with_server("https://evil.example"), stored, HttpSourceSettings, unseal) is MOVED
    assert destination(HttpSourceSettings()) is None
