"""CoAP requests that an envelope reads: several uplinks, receipts, offers, and where a downlink goes."""

from __future__ import annotations

import json
from typing import Any

import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from iotgw.core.model import Answer, Downlink, Status
from iotgw.core.ports.datasources import DatasourceContext
from iotgw.core.validate import convert
from iotgw.datasources.coap.served import ServedCoapSettings, ServedCoapType
from iotgw.wire.coap import numbers as n
from tests.unit.datasources.coap.test_datasource import LOCAL, House
from tests.unit.datasources.fakes import FakeIntake
from tests.unit.datasources.platform import Platform


class PlatformType(ServedCoapType):
    name = "platform"
    settings = ServedCoapSettings

    def envelope(self, settings: Any) -> Platform:
        return Platform()


class Field(House):
    async def platform(self, **configuration):
        type_ = PlatformType(reactor)
        intake = FakeIntake()
        settings = convert({**LOCAL, **configuration}, type_.settings)
        source = type_.build(
            settings,
            DatasourceContext("p", "p", "default", "", {}, intake, reactor, None, shares=self.shares),
        )
        await source.start()
        self.open.append(source)
        return self.device(source), intake, source


@pytest.fixture
def field():
    made = Field()
    yield made
    pytest_twisted.blockon(Deferred.fromCoroutine(made.close()))


def reports(*found) -> bytes:
    return json.dumps(found).encode()


@ensureDeferred
async def test_a_request_is_answered_once_for_all_its_uplinks(field):
    device, intake, _ = await field.platform()
    reply = await device.post("x", reports({"device": "a", "data": "1"}, {"device": "b", "data": "2"}))
    assert reply.code == n.CHANGED
    assert [(payload, facts["identity"]) for payload, facts in intake.received] == [(b"1", "a"), (b"2", "b")]


@ensureDeferred
async def test_the_worst_answer_is_the_request_s(field):
    device, intake, _ = await field.platform(emptyAckDelay=60)
    intake.auto = False
    device.send(n.CON, n.POST, 1, "x", reports({"device": "a", "data": "1"}, {"device": "b", "data": "2"}))
    while len(intake.answers) < 2:
        await later()
    intake.answers[0](Answer(Status.STORED, "1"))
    intake.answers[1](Answer(Status.TOO_LARGE))
    assert (await device.next()).code == n.REQUEST_ENTITY_TOO_LARGE


@ensureDeferred
async def test_receipts_alone_are_answered_at_once(field):
    device, intake, _ = await field.platform()
    intake.known = {"item"}
    assert (await device.post("x", reports({"receipt": "item", "ok": True}, {"join": 1}))).code == n.CHANGED
    assert intake.outcomes == [("item", "confirmed")] and intake.received == []


@ensureDeferred
async def test_a_request_of_which_a_part_is_none_does_nothing(field):
    device, intake, _ = await field.platform()
    assert (await device.post("x", b"rubbish")).code == n.BAD_REQUEST
    assert intake.rejected[0][2] == "expected an array of reports" and intake.received == []


@ensureDeferred
async def test_a_response_carries_what_the_envelope_loads_it_with(field):
    device, intake, _ = await field.platform(confirmDownlinks=False)
    intake.put("a", b"\x01")
    intake.put("b", b"too long")
    intake.put("c", b"\x03")
    reply = await device.post("x", reports(*({"device": name, "data": name} for name in "abc")))
    assert json.loads(reply.payload) == {"a": "01", "c": "03"}
    assert reply.options.get_uint(n.CONTENT_FORMAT) == n.JSON
    assert intake.outcomes == [
        ("b-0", "lost: expected at most 4 bytes"),
        ("a-0", "offered"),
        ("c-0", "offered"),
    ]


@ensureDeferred
async def test_the_envelope_says_where_a_downlink_is_sent(field):
    device, intake, source = await field.platform()
    host, port = device.transport.getHost().host, device.transport.getHost().port
    where = {"remoteIp": "127.0.0.1", "remotePort": port, "identity": "a"}
    source.push(where, (Downlink("1", "a", b"too long"), Downlink("2", "a", b"\x07")))
    request = await device.next()
    assert (request.options.path, request.options.queries, request.payload) == (("to", "a"), ("p=7",), b"07")
    assert intake.outcomes == [("1", "lost: expected at most 4 bytes"), ("2", "sent")], host


async def later() -> None:
    turn: Deferred[None] = Deferred()
    reactor.callLater(0, turn.callback, None)
    await turn
