"""OAuth 2.0 client credentials (RFC 6749 §4.4), with a Node.js server for both ends."""

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.threads import deferToThread

from tests.peers.http_sink import HttpSink

from .delivering import Delivering, until

TOKEN = {"body": '{"access_token":"%s","expires_in":%d}', "headers": {"Content-Type": "application/json"}}


@pytest.fixture
def servers(tmp_path):
    with HttpSink(tmp_path / "sink") as sink, HttpSink(tmp_path / "tokens") as tokens:
        yield sink, tokens


def token(text, seconds=3600):
    return {**TOKEN, "body": TOKEN["body"] % (text, seconds)}


def configuration(sink, tokens):
    auth = {
        "type": "oauth2",
        "tokenUrl": f"{tokens.url}/token",
        "clientId": "me",
        "clientSecret": "s:p",
        "scope": "a b",
    }
    return {"url": sink.url, "auth": auth}


@ensureDeferred
async def test_one_token_serves_many_messages_until_it_is_refused(servers):
    sink, tokens = servers
    await deferToThread(tokens.script, token("first"), token("second"))
    async with Delivering("http", configuration=configuration(sink, tokens)) as world:
        world.store(*"abcd")
        await world.settled()
        await deferToThread(sink.script, {"status": 401})
        world.store("e")
        await world.settled()
        used = [r["headers"]["authorization"] for r in await deferToThread(lambda: sink.received)]
        assert used == ["Bearer first"] * 4 + ["Bearer second"]
        asked = await deferToThread(lambda: tokens.received)
        assert [r["body"] for r in asked] == ["grant_type=client_credentials&scope=a+b"] * 2
        assert asked[0]["headers"]["authorization"] == "Basic bWU6cyUzQXA="  # me:s%3Ap


@ensureDeferred
async def test_a_token_is_renewed_before_it_ends(servers):
    sink, tokens = servers
    await deferToThread(tokens.script, token("short", 31), token("next"))
    async with Delivering("http", configuration=configuration(sink, tokens)) as world:
        world.store("a")
        await world.settled()
        await until(lambda: not world.service.entry("i1").target._auth.ready())
        world.store("a")
        await world.settled()
        used = [r["headers"]["authorization"] for r in await deferToThread(lambda: sink.received)]
        assert used == ["Bearer short", "Bearer next"]


@ensureDeferred
async def test_without_a_token_nothing_is_sent_and_nothing_lost(servers):
    sink, tokens = servers
    await deferToThread(
        tokens.script, {"status": 400, "body": '{"error":"invalid_client"}'}, {"reset": True}, token("t")
    )
    async with Delivering("http", configuration=configuration(sink, tokens)) as world:
        world.store("a")
        await until(
            lambda: "invalid_client" in (world.stats()["lastError"] or "") or world.stats()["delivered"]
        )
        stats = await world.settled()
        assert (stats["delivered"], stats["dead"]) == (1, 0)
