"""The opc-ua datasource against asyncua's server: values in, downlinks out."""

from __future__ import annotations

import datetime
import json
import time

import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from iotgw.connect.endpoint import Connector
from iotgw.core.model import Downlink
from iotgw.core.validate import convert
from iotgw.datasources.opcua.datasource import OpcuaType
from iotgw.datasources.opcua.settings import OpcuaSettings
from iotgw.testing import FakeIntake
from iotgw.testing import datasource_context as context
from tests.peers.opcua import OpcuaServer

from .delivering import until

ua = pytest.importorskip("asyncua").ua
pytestmark = pytest.mark.interop
QUICK = {"publishingInterval": 0.05, "samplingInterval": 0.05, "timeout": 2}


class Source:
    """A datasource that reads ``Line1``."""

    def __init__(self, server, **settings):
        self.intake = FakeIntake()
        settings = {"url": server.url, "browse": ["nsu=urn:plant;s=Line1"], **QUICK, **settings}
        connector = Connector(reactor, allow=["127.0.0.0/8"])
        self.stand_still = lambda seconds: connector.asyncio().call(time.sleep, seconds)
        made = OpcuaType(reactor, connector)
        self.source = made.build(
            convert(settings, OpcuaSettings, "configuration"), context(self.intake, reactor)
        )

    async def __aenter__(self):
        await self.source.start()
        await until(lambda: self.state == "connected", what="a connection")
        return self

    async def __aexit__(self, *exc):
        await self.source.stop()

    @property
    def state(self):
        return self.source.status()["state"]

    def values(self, name):
        """What came of a variable."""
        return [
            json.loads(payload)[name] for payload, _ in self.intake.received if name in json.loads(payload)
        ]

    def facts(self, name):
        """The metadata of the latest value."""
        return next(facts for payload, facts in reversed(self.intake.received) if name in json.loads(payload))

    async def send(self, payload, **metadata):
        """A downlink for Line1; what became of it, and its result."""
        item = Downlink("1", "Line1", json.dumps(payload).encode(), metadata=metadata)
        before = len(self.intake.outcomes)
        self.source.push(self.facts("speed"), (item,))
        await until(lambda: len(self.intake.outcomes) > before + 1)
        return self.intake.outcomes[-1][1]


@pytest.fixture(scope="module")
def server():
    made = OpcuaServer()
    pytest_twisted.blockon(Deferred.fromCoroutine(made.start()))
    yield made
    pytest_twisted.blockon(Deferred.fromCoroutine(made.stop()))


@ensureDeferred
async def test_all_values_below_an_object_are_read_once_and_then_what_changes(server):
    await server.write("Line1", "speed", 10.0)
    async with Source(server) as it:
        await until(lambda: it.source.counts["values"] == 8)
        assert it.source.status()["variables"] == 8  # no properties
        assert it.values("speed") == [10.0] and it.values("name") == ["pump"] and it.values("on") == [False]
        assert it.values("raw") == ["AQI="] and it.values("list") == [[1.0, 2.0]]
        assert it.values("when") == ["2026-01-01T00:00:00+00:00"]
        source = datetime.datetime(2026, 2, 3, 4, 5, 6, tzinfo=datetime.UTC)
        await server.write("Line1", "speed", 11.5, source=source)
        await until(lambda: it.values("speed") == [10.0, 11.5])
        facts = it.facts("speed")
        assert (
            facts["sourceTime"] == facts["time"] == 1770091506000
            and facts["serverTime"] > facts["sourceTime"]
        )
        assert (facts["deviceName"], facts["status"], facts["name"]) == ("Line1", "Good", "speed")
        assert facts["nodeId"].endswith(";s=Line1.speed") and facts["identity"].endswith(";s=Line1")
        assert json.loads(it.intake.received[-1][0]) == {"speed": 11.5, "ts": 1770091506000}
        assert "at most once" in it.source.status()["delivery"]


@ensureDeferred
async def test_values_of_one_time_that_go_to_and_fro_are_all_told(server):
    """Such as those of a server whose clock has whole seconds."""
    at = datetime.datetime(2026, 2, 3, 4, 5, 7, tzinfo=datetime.UTC)
    async with Source(server, nodes=["nsu=urn:plant;s=Line2.on"], browse=[]) as it:
        await until(lambda: len(it.values("on")) == 1)
        for on in (True, False, True, False):
            await server.write("Line2", "on", on, source=at)
        await until(lambda: len(it.values("on")) == 5)
        assert it.values("on")[1:] == [True, False, True, False]


@ensureDeferred
async def test_single_nodes_and_one_name_for_all(server):
    nodes = ["nsu=urn:plant;s=Line1.speed", "nsu=urn:plant;s=Line2.speed"]
    async with Source(server, browse=[], nodes=nodes, deviceName="plant") as it:
        await until(lambda: len(it.intake.received) == 2)
        assert {facts["deviceName"] for _, facts in it.intake.received} == {"plant"}
        assert len({facts["identity"] for _, facts in it.intake.received}) == 2


@ensureDeferred
async def test_without_nodes_all_objects_but_the_server_s_own_are_read(server):
    async with Source(server, browse=[], mostVariables=10) as it:
        await until(lambda: len(it.intake.received) == 10)
        assert {facts["deviceName"] for _, facts in it.intake.received} <= {"Line1", "Line2"}
        assert any("mostVariables" in text for _, text in it.intake.events)


@ensureDeferred
async def test_a_small_change_is_not_reported_where_a_deadband_says_so(server):
    await server.write("Line1", "speed", 10.0)
    async with Source(server, deadband=2.0) as it:
        await until(lambda: it.values("speed"))
        for value in (10.5, 11.0, 20.0):
            await server.write("Line1", "speed", value)
        await until(lambda: 20.0 in it.values("speed"))
        assert it.values("speed") == [10.0, 20.0]


@ensureDeferred
async def test_a_bad_value_is_counted_and_told_of_and_no_reading(server):
    async with Source(server) as it:
        await until(lambda: len(it.intake.received) == 8)
        before = len(it.intake.received)
        await server.write("Line1", "speed", 0.5, ua.StatusCodes.BadSensorFailure)
        await until(lambda: it.source.counts["bad"])
        assert len(it.intake.received) == before
        assert "BadSensorFailure" in it.intake.events[-1][1] and it.intake.events[-1][0] == "value.bad"
        await server.write("Line1", "speed", 0.6, ua.StatusCodes.UncertainLastUsableValue)
        await until(lambda: it.values("speed")[-1] == 0.6)
        assert it.facts("speed")["status"] == "UncertainLastUsableValue"


@ensureDeferred
async def test_while_the_gateway_is_full_the_server_keeps_values(server):
    async with Source(server, queueSize=100) as it:
        await until(lambda: it.values("speed"))
        it.intake.fill()
        await server.write("Line1", "speed", 100.0)
        await until(lambda: it.source.counts["paused"])
        for value in range(101, 106):
            await server.write("Line1", "speed", float(value))
        it.intake.drain()
        await until(lambda: 105.0 in it.values("speed"))
        assert it.values("speed")[-6:] == [100.0, 101.0, 102.0, 103.0, 104.0, 105.0]


@ensureDeferred
async def test_values_are_written_and_read_back(server):
    async with Source(server) as it:
        await until(lambda: it.values("list"))
        said = await it.send(
            {"speed": 21.5, "count": 7, "name": "x", "on": True, "raw": "AQ==", "list": [3, 4]}
        )
        assert said == "delivered"
        assert [await server.read("Line1", name) for name in ("speed", "count", "on", "list")] == [
            21.5,
            7,
            True,
            [3, 4],
        ]
        assert (await server.read("Line1", "raw"), await server.read("Line2", "speed")) == (b"\x01", 0.0)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"count": 70_000}, "expected a value of type Int16, got 70000"),
        ({"count": 1.5}, "expected a value of type Int16, got 1.5"),
        ({"on": 1}, "expected a value of type Boolean"),
        ({"speed": "fast"}, "expected a value of type Double"),
        ({"nothing": 1}, "expected a variable of the device, got 'nothing'"),
        ({"fixed": 8}, "BadUserAccessDenied"),
        ({"ns=99;s=x": 1}, "type of the variable is not known"),
        ({"method": "triple"}, "expected a method of the device"),
        ({"method": "double"}, "expected 1 arguments for double, got 0"),
        ({"method": "double", "arguments": ["x"]}, "expected a value of type Double"),
    ],
)  # fmt: skip
@ensureDeferred
async def test_what_the_server_does_not_take_fails_with_its_reason(server, payload, reason):
    async with Source(server) as it:
        await until(lambda: it.values("speed"))
        said = await it.send(payload)
        assert said.startswith("refused") and reason in said


@ensureDeferred
async def test_a_method_is_called_and_its_result_is_the_receipt(server):
    async with Source(server) as it:
        await until(lambda: it.values("speed"))
        assert await it.send({"method": "double", "arguments": [21]}) == "delivered"
        assert server.calls[-1] == 21.0 and it.intake.results["1"] == {"result": 42.0}


@ensureDeferred
async def test_a_server_that_is_not_there_is_told_of_and_tried_again():
    made = OpcuaServer()
    it = Source(made)
    await it.source.start()
    try:
        await until(lambda: it.intake.events)
        assert it.intake.events[0][0] == "failed" and "refused" in it.intake.events[0][1].lower()
    finally:
        await it.source.stop()
    assert it.source.status()["state"] == "connecting"


@ensureDeferred
async def test_nodes_that_are_not_there_are_told_of(server):
    wrong = ["nsu=urn:plant;s=Line1.speed", "nsu=urn:plant;s=Line9.speed"]
    it = Source(server, browse=[], nodes=wrong)
    await it.source.start()
    try:
        await until(lambda: it.intake.events)
        assert "BadNodeIdUnknown" in it.intake.events[0][1]
    finally:
        await it.source.stop()


@ensureDeferred
async def test_a_session_ends_at_whatever_moment_it_is_stopped(server):
    for hundredths in range(40):
        it = Source(server)
        await it.source.start()
        await deferLater(reactor, hundredths / 100)
        await it.source.stop().addTimeout(30, reactor)
