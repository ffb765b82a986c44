"""Every type of target, and an MQTT subscription, by way of real proxies: tinyproxy (CONNECT) and microsocks (SOCKS 5), both
of which want a user and a password."""

from __future__ import annotations

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from iotgw.connect.endpoint import Connector
from iotgw.integrations.http import HttpType
from iotgw.integrations.mqtt import MqttType
from tests.peers.http_sink import HttpSink
from tests.peers.proxies import Microsocks, Tinyproxy

from . import targets
from .delivering import Delivering, until

TARGETS = [targets.Http, targets.Mqtt, targets.ThingsBoard, targets.Sftp]
KINDS = ["connect", "socks5", "socks5h"]


@pytest.fixture(scope="module")
def proxies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("proxies")
    with (
        Tinyproxy(folder / "http", "me", "hush-hush") as http,
        Microsocks(folder / "socks", "me", "hush-hush") as socks,
    ):
        yield http, socks


@pytest.fixture(params=KINDS)
def proxy(proxies, request):
    """A proxy with the URL by which it is named."""
    http, socks = proxies
    if request.param == "connect":
        return http, http.url
    return socks, socks.url.replace("socks5h", request.param)


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """A real server for each type of target."""
    made = {kind: kind(tmp_path_factory.mktemp(kind.__name__)) for kind in TARGETS}
    try:
        for each in made.values():
            each.start()
        yield made
    finally:
        for each in made.values():
            each.close()


def port_of(server):
    return server.server.port


@pytest.mark.parametrize("kind", TARGETS)
@ensureDeferred
async def test_each_type_of_target_is_reached_by_a_proxy(servers, proxy, kind):
    server = servers[kind]
    by, url = proxy
    before = len(by.asked)
    configuration = {**server.configuration(port_of(server)), "proxy": url}
    device = f"{kind.__name__}-{url.partition(':')[0]}"
    async with Delivering(kind.type, configuration=configuration) as world:
        world.store(device, device)
        stats = await world.settled()
        assert (stats["delivered"], stats["dead"]) == (2, 0)
        assert (await world.service.check("i1"))["ok"]
    arrived = await until(
        lambda: [n for name, n in server.arrived() if name == device][1:] and server.arrived()
    )
    assert [n for name, n in arrived if name == device][:2] == [1, 2]
    assert set(by.asked[before:]) == {f"127.0.0.1:{port_of(server)}"}


@ensureDeferred
async def test_a_token_is_fetched_by_the_proxy_too(servers, proxy, tmp_path):
    server = servers[targets.Http]
    by, url = proxy
    with HttpSink(tmp_path / "tokens") as tokens:
        answer = {"body": '{"access_token":"t1"}', "headers": {"Content-Type": "application/json"}}
        await deferToThread(tokens.always, answer)
        auth = {"type": "oauth2", "tokenUrl": f"{tokens.url}/token", "clientId": "me", "clientSecret": "hush"}
        configuration = {**server.configuration(port_of(server)), "proxy": url, "auth": auth}
        before = len(by.asked)
        async with Delivering("http", configuration=configuration) as world:
            world.store("with-token")
            assert (await world.settled())["delivered"] == 1
        assert by.asked[before:] == [f"127.0.0.1:{tokens.port}", f"127.0.0.1:{port_of(server)}"]


@ensureDeferred
async def test_a_wrong_password_is_said_costs_no_message_and_is_not_repeated(servers, proxy):
    server = servers[targets.Http]
    url = proxy[1].replace("hush-hush", "wrong-one")
    configuration = {**server.configuration(port_of(server)), "proxy": url}
    async with Delivering("http", configuration=configuration) as world:
        world.store("a")
        await until(lambda: world.stats()["lastError"])
        said = world.stats()["lastError"]
        assert said.startswith(f"the proxy 127.0.0.1:{proxy[0].port}: ") and "wrong-one" not in said
        assert "user" in said
        stats = world.stats()
        assert (stats["waiting"] + stats["inflight"], stats["dead"]) == (1, 0)


@ensureDeferred
async def test_a_place_that_the_proxy_can_not_reach_is_said(proxy):
    configuration = {"url": "http://127.0.0.1:1/", "proxy": proxy[1]}
    async with Delivering("http", configuration=configuration) as world:
        world.store("a")
        await until(lambda: world.stats()["lastError"])
        assert world.stats()["lastError"].startswith(f"the proxy 127.0.0.1:{proxy[0].port}: ")


@ensureDeferred
async def test_what_is_forbidden_is_not_asked_of_a_proxy_and_the_operator_s_proxy_may_be_there(proxies):
    http, _ = proxies
    connector = Connector(reactor, forbid=["loopback"], proxy=http.url)
    before = len(http.asked)

    def types(name):
        return lambda reactor: {"http": HttpType, "mqtt": MqttType}[name](reactor, connector=connector)

    for name, configuration in (
        ("http", {"url": "http://127.0.0.1:9/"}),
        ("http", {"url": "http://2130706433:9/"}),
        ("http", {"url": "http://127.0.0.1:9/", "proxy": http.url}),
        ("mqtt", {"host": "localhost", "port": 9}),
    ):
        async with Delivering(name, types=(types(name),), configuration=configuration) as world:
            answer = await world.service.check("i1")
            assert not answer["ok"] and "forbidden here" in answer["detail"]
    assert len(http.asked) == before
    async with Delivering(
        "http", types=(types("http"),), configuration={"url": "http://192.0.2.1:9/", "connectTimeout": 0.3}
    ) as world:
        await world.service.check("i1")
    assert http.asked[before:] == ["192.0.2.1:9"]


@ensureDeferred
async def test_a_subscription_comes_by_a_proxy(servers, proxy):
    from iotgw.core.validate import convert
    from iotgw.datasources.mqtt.datasource import MqttSourceType
    from tests.unit.datasources.fakes import FakeIntake, context

    server = servers[targets.Mqtt]
    by, url = proxy
    before = len(by.asked)
    type_ = MqttSourceType(reactor, Connector(reactor))
    settings = convert(
        {"host": "127.0.0.1", "port": port_of(server), "topics": ["in/#"], "proxy": url}, type_.settings
    )
    intake = FakeIntake()
    source = type_.build(settings, context(intake, reactor))
    await source.start()
    try:
        await until(lambda: source.status()["state"] == "connected")
        assert by.asked[before:] == [f"127.0.0.1:{port_of(server)}"]
    finally:
        await source.stop()
