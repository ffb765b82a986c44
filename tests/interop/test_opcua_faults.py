"""What an OPC UA server does to a session, and security: asyncua's server is stopped, frozen, and asks for certificates."""

from __future__ import annotations

import pytest
from pytest_twisted import ensureDeferred

from tests.peers.opcua import OpcuaServer, certificate

from .delivering import until
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
