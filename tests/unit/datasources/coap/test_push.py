"""Downlinks that are pushed to a device, on a real loopback socket: what its answers make of them."""

from __future__ import annotations

import base64

import pytest
from pytest_twisted import ensureDeferred

from iotgw.core.errors import SettingsError
from iotgw.core.model import Answer, Downlink, Status
from iotgw.core.validate import convert
from iotgw.datasources.coap.settings import CoapSettings
from iotgw.datasources.vendors.dragino import DraginoCoapSettings
from iotgw.datasources.vendors.lobaro import LobaroCoapSettings
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import encode, options
from tests.unit.datasources.coap.test_datasource import house, says  # noqa: F401


@pytest.fixture
def field(house):  # noqa: F811
    return Field(house)


class Field:
    """A device that takes downlinks, and the datasource that pushes them."""

    def __init__(self, home):
        self.house = home

    async def open(self, **configuration):
        self.source, self.intake = await self.house.datasource(
            "k", says(Answer(Status.STORED)), **configuration
        )
        self.device = self.house.device(self.source)

    def push(self, *downlinks):
        where = {"remoteIp": "127.0.0.1", "remotePort": self.device.transport.getHost().port}
        self.source.push(where, downlinks)

    async def pushed(self, *downlinks):
        self.push(*downlinks)
        return await self.device.next()

    async def answer(self, request, code, payload=b"", *pairs):
        """Answer a push, and go on when that has been read."""
        self.device.transport.write(
            encode(n.ACK, code, request.mid, request.token if code else b"", options(*pairs), payload),
            self.device.address,
        )
        self.mid = getattr(self, "mid", 100) + 1
        return await self.device.post("i/k", b"x", mid=self.mid)


@ensureDeferred
async def test_the_answer_is_handed_up_whole_with_its_code_its_options_and_its_payload(field):
    await field.open()
    request = await field.pushed(Downlink("1", "dev", b"go", "TEXT"))
    assert (request.type, request.code, request.options.path) == (n.CON, n.POST, ("downlink",))
    await field.answer(request, n.CHANGED, b'{"ok":1}', (n.CONTENT_FORMAT, n.JSON), (n.LOCATION_PATH, "a"))
    assert field.intake.outcomes == [("1", "sent"), ("1", "delivered")]
    assert field.intake.results["1"] == {
        "code": "2.04",
        "contentFormat": n.JSON,
        "contentType": "application/json",
        "options": {"Location-Path": "a"},
        "payload": base64.b64encode(b'{"ok":1}').decode(),
    }


@ensureDeferred
async def test_a_permanent_refusal_is_final_and_another_error_is_not(field):
    await field.open()
    request = await field.pushed(Downlink("1", "dev", b"go"))
    await field.answer(request, n.NOT_FOUND, b"no such thing")
    request = await field.pushed(Downlink("2", "dev", b"go"))
    await field.answer(request, n.SERVICE_UNAVAILABLE)
    assert field.intake.outcomes == [
        ("1", "sent"),
        ("1", "refused: the device answered 4.04: no such thing"),
        ("2", "sent"),
        ("2", "lost: the device answered 5.03"),
    ]
    assert {id: result["code"] for id, result in field.intake.results.items()} == {"1": "4.04", "2": "5.03"}


@ensureDeferred
async def test_a_reset_is_no_answer(field):
    await field.open()
    request = await field.pushed(Downlink("1", "dev", b"go"))
    field.device.send(n.RST, n.EMPTY, request.mid)
    await field.device.post("i/k", b"x", mid=2)
    assert field.intake.outcomes == [("1", "sent"), ("1", "lost: reset by the peer")]
    assert field.intake.results == {}


@ensureDeferred
async def test_an_item_counts_as_sent_when_it_leaves_and_not_when_it_waits_behind_another(field):
    await field.open(ackTimeout=0.01, maxRetransmit=0)
    first = await field.pushed(Downlink("1", "dev", b"one"), Downlink("2", "dev", b"two"))
    assert field.intake.outcomes == [("1", "sent")]
    assert first.payload == b"one"
    while len(field.intake.outcomes) < 3:  # nobody answers
        await field.device.post("i/k", b"x", mid=500 + len(field.device.inbox))
    assert field.intake.outcomes == [("1", "sent"), ("1", "lost: not acknowledged"), ("2", "returned")]


@ensureDeferred
async def test_an_answer_whose_rest_is_missing_is_an_answer(field):
    await field.open()
    request = await field.pushed(Downlink("1", "dev", b"go"))
    device = field.device
    data = encode(n.ACK, n.CHANGED, request.mid, request.token, options((n.BLOCK2, 8)), b"a" * 16)
    device.transport.write(data, device.address)
    following = await device.next()
    assert following.options.get_uint(n.BLOCK2) == 16
    await field.answer(following, n.NOT_FOUND)
    assert field.intake.outcomes == [("1", "sent"), ("1", "delivered")]
    result = field.intake.results["1"]
    assert (result["code"], result["missing"]) == ("2.04", "the response changed between its blocks")
    assert base64.b64decode(result["payload"]) == b"a" * 16


@ensureDeferred
async def test_a_large_answer_is_cut_and_its_size_is_told(field):
    await field.open()
    request = await field.pushed(Downlink("1", "dev", b"go"))
    body = bytes(17 * 1024)
    for number in range(17):
        block = body[number * 1024 : (number + 1) * 1024]
        data = encode(
            n.ACK,
            n.CHANGED,
            request.mid,
            request.token,
            options((n.BLOCK2, number << 4 | (number < 16) << 3 | 6)),
            block,
        )
        field.device.transport.write(data, field.device.address)
        if number < 16:
            request = await field.device.next()
    await field.device.post("i/k", b"x", mid=2)
    result = field.intake.results["1"]
    assert (len(base64.b64decode(result["payload"])), result["size"]) == (16_384, len(body))


@ensureDeferred
async def test_observers_of_a_datasource_that_closes_are_told_to_come_back_later(field):
    await field.open()
    other, _ = await field.house.datasource("k2")
    device = field.device
    observed = await device.post("i/k/downlink/dev", b"", (n.OBSERVE, 0), code=n.GET)
    assert observed.options.get(n.OBSERVE) is not None
    await field.source.stop()
    end = await device.next()
    assert (end.code, end.options.get_uint(n.MAX_AGE)) == (n.SERVICE_UNAVAILABLE, 10)
    assert other.status()["state"] == "listening"


@ensureDeferred
async def test_a_device_that_has_acknowledged_a_push_has_the_time_of_the_setting_to_answer(field):
    await field.open(responseTimeout=0.01)
    request = await field.pushed(Downlink("1", "dev", b"go"))
    field.device.send(n.ACK, n.EMPTY, request.mid)
    while len(field.intake.outcomes) < 2:  # with the default it would be 93 s
        await field.device.post("i/k", b"x", mid=500 + len(field.intake.received))
    assert field.intake.outcomes == [("1", "sent"), ("1", "lost: acknowledged, but no response came")]


@pytest.mark.parametrize("settings", [CoapSettings, DraginoCoapSettings, LobaroCoapSettings])
def test_each_type_has_that_setting_and_without_it_the_time_follows_from_the_timing(settings):
    assert convert({"responseTimeout": 20}, settings).policy.response_timeout == 20.0
    assert convert({}, settings).policy.response_timeout == 0.0
    with pytest.raises(SettingsError, match="responseTimeout"):
        convert({"responseTimeout": 0}, settings)
