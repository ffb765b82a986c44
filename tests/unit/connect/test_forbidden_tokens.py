"""What is connected to when something comes, not at the start: servers of tokens, and an IoT hub's methods. Nobody knocks there either."""

from __future__ import annotations

import asyncio
import socket

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from iotgw.connect.endpoint import Connector
from iotgw.connect.http_auth import OAuth2
from iotgw.connect.kafka_access import KafkaAccess, KafkaClient, KafkaSasl
from iotgw.core.errors import Unavailable
from iotgw.core.model import Downlink
from iotgw.datasources.vendors.direct_methods import DirectMethods, MethodCaller
from iotgw.testing import FakeIntake, datasource_context

HOSTS = ("127.0.0.1", "localhost")


@pytest.fixture
def door():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


@pytest.fixture
def connector():
    return Connector(reactor, ["loopback"])


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_of_a_kafka_broker_the_server_of_its_tokens(connector, door, host):
    where = f"http://{host}:{door.getsockname()[1]}/token"
    oauth2 = OAuth2(token_url=where, client_id="a", client_secret="b")
    access = KafkaAccess(brokers=["192.0.2.1:9092"], sasl=KafkaSasl(mechanism="OAUTHBEARER", oauth2=oauth2))
    client = KafkaClient(access, reactor, connector, lambda reason: None)

    async def token():
        return await asyncio.wait_for(client.arguments()["sasl_oauth_token_provider"].token(), 20)

    try:
        with pytest.raises(Unavailable, match="forbidden here"):
            await connector.asyncio().run(token())
    finally:
        client.close()
    with pytest.raises(BlockingIOError):
        door.accept()


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("way", ["hub", "proxy"])
@pytest_twisted.ensureDeferred
async def test_of_an_iot_hub_its_methods_and_the_proxy_to_them(connector, door, host, way):
    place = f"{host}:{door.getsockname()[1]}"
    hub = place if way == "hub" else "192.0.2.1"
    methods = DirectMethods(
        connection_string=f"HostName={hub};SharedAccessKeyName=service;SharedAccessKey=a2V5",
        method="do",
        proxy=f"http://{place}" if way == "proxy" else "",
    )
    intake, over = FakeIntake(), Deferred()
    for name in ("downlink_lost", "downlink_returned", "downlink_refused"):
        setattr(intake, name, lambda *arguments: over.callback(arguments))
    caller = MethodCaller(methods, datasource_context(intake, reactor), connector)
    caller.call("dev", Downlink("1", "dev", b"{}"))
    said = await over.addTimeout(20, reactor)
    assert "forbidden here" in f"{said} {caller.error}"
    await caller.stop()
    with pytest.raises(BlockingIOError):
        door.accept()
