"""What an OPC UA server does to a session, and security: asyncua's server is stopped, frozen, and asks for certificates."""

from __future__ import annotations

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.peers.node_opcua import NodeOpcua
from tests.peers.opcua import OpcuaServer, certificate

from .delivering import until
from .saboteur import Saboteur
from .test_opcua import Source

pytestmark = pytest.mark.interop


@ensureDeferred
async def test_a_server_that_comes_back_is_found_again_and_all_its_values_are_read_once():
    async with OpcuaServer() as server, Source(server) as it:
        await until(lambda: len(it.intake.received) == 8)
        await server.stop()
        await until(lambda: it.state == "connecting")
        assert (await it.send({"speed": 1.0})).startswith("lost: the server is not connected")
        await server.start()
        await server.write("Line1", "speed", 77.0)
        await until(lambda: it.state == "connected")
        await until(lambda: 77.0 in it.values("speed"))
        assert it.values("speed").count(77.0) == 1
        await server.write("Line1", "speed", 78.0)
        await until(lambda: 78.0 in it.values("speed"))


@ensureDeferred
async def test_a_server_that_freezes_is_left_and_found_again_without_loss():
    async with OpcuaServer() as server, Source(server, queueSize=100) as it:
        await until(lambda: len(it.intake.received) == 8)
        server.freeze(5.0)
        await until(lambda: it.state == "connecting")
        for value in range(1, 6):
            await server.write("Line1", "speed", float(value))
        await until(lambda: it.state == "connected")
        await until(lambda: 5.0 in it.values("speed"))
        seen = it.values("speed")
        assert len(seen) == len(set(seen))


@ensureDeferred
async def test_signed_and_encrypted_with_certificates_of_both_sides():
    own, ours, strange = certificate("urn:server"), certificate("urn:gateway"), certificate("urn:server")
    async with OpcuaServer(own) as server:
        security = {
            "policy": "Basic256Sha256",
            "certificate": ours[0],
            "key": ours[1],
            "serverCertificate": own[0],
        }
        async with Source(server, security=security) as it:
            await until(lambda: it.values("speed"))
            assert await it.send({"speed": 3.0}) == "delivered"
        wrong = Source(server, security={**security, "serverCertificate": strange[0]})
        await wrong.source.start()
        try:
            await until(lambda: wrong.intake.events)
            assert wrong.intake.events[0][0] == "failed"
        finally:
            await wrong.source.stop()
        plain = Source(server)
        await plain.source.start()
        try:
            await until(lambda: plain.intake.events)
            assert plain.intake.events[0][0] == "failed"
        finally:
            await plain.source.stop()


@ensureDeferred
async def test_after_each_cut_of_the_network_the_last_value_is_known_and_none_comes_twice():
    """asyncua's server repeats nothing, so what it sent into the cut is lost."""
    async with OpcuaServer() as server, Saboteur(server.port) as network:
        settings = {"url": f"opc.tcp://127.0.0.1:{network.port}/plant", "queueSize": 100}
        async with Source(server, **settings) as it:
            await until(lambda: len(it.intake.received) == 8)
            for cut in range(1, 4):
                await network.begin("refused")
                await until(lambda: it.state == "connecting")
                for value in range(5):
                    await server.write("Line1", "speed", float(cut * 10 + value))
                await network.end()
                await until(lambda cut=cut: cut * 10 + 4.0 in it.values("speed"))
                await until(lambda: it.state == "connected")
            assert it.values("speed") == sorted(set(it.values("speed")))


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with NodeOpcua(tmp_path_factory.mktemp("node")) as made:
        yield made


@ensureDeferred
async def test_node_opcua_s_values_are_read_written_and_its_methods_called(node):
    async with Source(node) as it:
        await until(lambda: len(it.values("count")) > 5)
        counts = it.values("count")
        assert counts == list(range(counts[0], counts[0] + len(counts)))
        assert (it.facts("count")["deviceName"], it.facts("count")["status"]) == ("Line1", "Good")
        assert it.facts("count")["sourceTime"] > 1.7e12
        assert await it.send({"speed": 33.5}) == "delivered"
        await until(lambda: 33.5 in it.values("speed"))
        assert await it.send({"method": "double", "arguments": [4.5]}) == "delivered"
        assert it.intake.results["1"] == {"result": 9.0}
        assert "refused: " in await it.send({"count": 1})


@ensureDeferred
async def test_node_opcua_hands_over_what_changed_while_the_network_was_cut_all_of_it_once_and_in_order(node):
    async with Saboteur(node.port) as network:
        settings = {"url": f"opc.tcp://127.0.0.1:{network.port}/plant", "queueSize": 1000}
        async with Source(node, **settings) as it:
            await until(lambda: it.values("count"))
            for _ in range(3):
                await network.begin("refused")
                await until(lambda: it.state == "connecting")
                await network.end()
                await until(lambda: it.state == "connected")
                last = it.values("count")[-1]
                await until(lambda last=last: it.values("count")[-1] > last + 30)
            counts = it.values("count")
            assert counts == list(range(counts[0], counts[0] + len(counts)))


@ensureDeferred
async def test_what_was_read_after_a_reconnection_waits_for_reports_that_are_late(node):
    """The thread of asyncua stands still once all values are read, for longer than a server needs to report."""
    async with Saboteur(node.port) as network:
        settings = {"url": f"opc.tcp://127.0.0.1:{network.port}/plant", "queueSize": 1000}
        async with Source(node, **settings) as it:
            await until(lambda: it.values("count"))
            await network.begin("refused")
            await until(lambda: it.state == "connecting")
            await network.end()
            await until(lambda: it.state == "connected")
            await deferLater(reactor, 0.15)
            it.stand_still(3.0)
            last = it.values("count")[-1]
            await until(lambda: it.values("count")[-1] > last + 60)
            counts = it.values("count")
            assert counts == list(range(counts[0], counts[0] + len(counts)))
