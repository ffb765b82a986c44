"""Who sends to a CoAP datasource that isn't open now is told to come back later, at paths without a routing key as well."""

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from iotgw.core.needs import CoapPath, UdpPort
from iotgw.core.shared import SharedResources
from iotgw.datasources.coap.datasource import CoapType
from iotgw.datasources.coap.ports import CoapPorts
from iotgw.datasources.vendors.dragino import DraginoCoapType
from iotgw.datasources.vendors.lobaro import LobaroCoapType
from iotgw.pipeline.away import AwayPaths
from iotgw.wire.coap import numbers as n
from tests.peers.process import free_udp_port
from tests.unit.datasources.coap.test_datasource import Device
from tests.unit.pipeline.worlds import World, asynchronous

HOST = "127.0.0.1"
PORT = UdpPort(HOST, 5683, "coap")


def path(*segments, port=5683, protocol="coap"):
    return CoapPath(HOST, port, protocol, segments)


@pytest.mark.parametrize(
    ("served", "request_for", "is_found"),
    [
        (("m",), ("m",), True),
        (("m",), ("m", "x"), False),
        (("m",), (), False),
        (("data", "**"), ("data",), True),
        (("data", "**"), ("data", "a", "b"), True),
        (("data", "**"), ("date",), False),
        (("api", "v1", "*", "telemetry"), ("api", "v1", "token", "telemetry"), True),
        (("api", "v1", "*", "telemetry"), ("api", "v1", "token"), False),
        ((), (), True),
        ((), ("m",), False),
        (("**",), (), True),
        (("**",), ("any", "thing"), True),
        (("**",), ("x",) * 1000, True),
    ],
)
def test_a_request_is_found_the_path_that_it_would_go_to(served, request_for, is_found):
    away = AwayPaths()
    assert away.find(PORT, request_for) is None
    away.put("ds", [PORT, path(*served)])
    assert away.find(PORT, request_for) == (path(*served) if is_found else None)
    assert away.find(UdpPort(HOST, 5683, "coaps"), request_for) is None
    assert away.find(UdpPort(HOST, 5684, "coap"), request_for) is None
    away.remove("ds")
    assert away.find(PORT, request_for) is None


def test_two_with_the_same_path_are_gone_when_both_are():
    away = AwayPaths()
    away.put("one", [path("m")])
    away.put("other", [path("m")])
    away.put("one", [path("c")])
    assert away.find(PORT, ("m",)) and away.find(PORT, ("c",))
    away.remove("other")
    away.remove("other")
    assert away.find(PORT, ("m",)) is None


class Field(World):
    kinds = (CoapType, DraginoCoapType, LobaroCoapType)

    def __init__(self, folder):
        self.port = free_udp_port()
        self.device = Device((HOST, self.port))
        self.mid = 0
        super().__init__(folder)

    def shares(self):
        return SharedResources(CoapPorts(reactor, lambda key: False, self.sources.away.find))

    async def source(self, name, type_="coap", key="", enabled=True, port=None, **configuration):
        configuration = {"port": port or self.port, "interface": HOST, **configuration}
        return await self.datasource(
            name, type=type_, routingKey=key, enabled=enabled, configuration=configuration
        )

    async def change(self, id, **changes):
        resource = self.registry.get("datasource", id)
        await self.registry.replace("datasource", id, {**resource.body, **changes})
        await self.pipeline.applied(id)

    async def code(self, where, payload=b"x", code=n.POST):
        """What a request to a path is answered."""
        self.mid += 1
        answer = await self.device.post(where, payload, mid=self.mid, code=code)
        if answer.code == n.SERVICE_UNAVAILABLE:
            assert answer.options.get_uint(n.MAX_AGE) == 10
        return answer.code


@pytest.fixture
def field(tmp_path):
    made = Field(tmp_path)
    pytest_twisted.blockon(Deferred.fromCoroutine(made.start()))
    port = reactor.listenUDP(0, made.device, interface=HOST)
    yield made
    pytest_twisted.blockon(Deferred.fromCoroutine(made.stop()))
    pytest_twisted.blockon(port.stopListening())


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"paths": ["m"]}, "m"),
        ({"paths": ["data/**"]}, "data/a/b"),
        ({"paths": ["api/*/t"]}, "api/x/t"),
        ({"paths": ["/"]}, ""),
        ({"lenient": ["no-path"]}, ""),
        ({"paths": ["m"], "timePaths": ["t"]}, "t"),
        ({"type_": "dragino-coap", "path": "node"}, "node"),
        ({"type_": "dragino-coap"}, "any/thing"),
        ({"type_": "lobaro-coap", "path": "node"}, "node/below"),
        ({"type_": "lobaro-coap"}, "any"),
    ],
)
@asynchronous
async def test_a_path_of_one_that_is_disabled_is_not_said_to_be_none(field, settings, where):
    await field.source("open", key="k")
    assert await field.code(where) == n.NOT_FOUND
    id = await field.source("away", enabled=False, **settings)
    assert await field.code(where) == n.SERVICE_UNAVAILABLE
    await field.change(id, enabled=True)
    assert await field.code(where) not in (n.SERVICE_UNAVAILABLE, n.NOT_FOUND)
    await field.change(id, enabled=False)
    assert await field.code(where) == n.SERVICE_UNAVAILABLE
    await field.registry.delete("datasource", id)
    await field.pipeline.applied(id)
    assert await field.code(where) == n.NOT_FOUND


@asynchronous
async def test_so_it_is_with_one_that_could_not_be_opened(field):
    await field.source("open", key="k", paths=["x"])
    id = await field.source("failed", paths=["m", "x"])
    assert field.sources.running(id) is None
    assert await field.code("m") == n.SERVICE_UNAVAILABLE
    assert await field.code("x") == n.CHANGED


@asynchronous
async def test_after_a_change_only_its_new_paths_count(field):
    await field.source("open", key="k")
    id = await field.source("away", enabled=False, paths=["m"])
    resource = field.registry.get("datasource", id)
    await field.change(id, configuration={**resource.body["configuration"], "paths": ["c"]})
    assert [await field.code(where) for where in ("m", "c")] == [n.NOT_FOUND, n.SERVICE_UNAVAILABLE]


@asynchronous
async def test_one_that_takes_all_goes_on_though_another_such_one_is_disabled(field):
    await field.source("nodes", "lobaro-coap")
    await field.source("others", "dragino-coap", enabled=False)
    await field.source("meters", paths=["m"], enabled=False)
    assert await field.code("any", b"{}") != n.SERVICE_UNAVAILABLE
    assert await field.code("m") == n.SERVICE_UNAVAILABLE  # not taken for one of the nodes'


@asynchronous
async def test_another_port_is_not_meant(field):
    await field.source("open", key="k")
    await field.source("away", enabled=False, port=free_udp_port(), paths=["m"])
    assert await field.code("m") == n.NOT_FOUND
