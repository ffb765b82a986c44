"""Sessions of browsers: a token is changed for one, and it ends with the token."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from iotgw.api import browser_sessions
from iotgw.api.auth import Tokens, mint
from iotgw.api.browser_sessions import IDLE_MS, LONGEST_MS, BrowserSessions
from iotgw.api.problems import Problem
from iotgw.testing.registry import MemoryRegistry


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


async def logged_in(client: Any) -> dict[str, Any]:
    """The client's session, which it uses from now on."""
    made: dict[str, Any] = await client.ok("POST", "/session")
    client.token = made["session"]
    return made


@inline
async def test_a_session_has_the_role_and_the_tenant_of_its_token(connect: Any) -> None:
    client = connect("editor", "acme")
    made = await logged_in(client)
    assert (made["role"], made["tenant"]) == ("editor", "acme")
    assert made["expiresAt"] - made["startedAt"] == IDLE_MS
    assert made["endsAt"] - made["startedAt"] == LONGEST_MS
    assert (await client("GET", "/converters")).status == 200
    assert (await client("GET", "/tokens")).status == 403
    assert (await client("GET", "/converters?tenant=north")).status == 403
    assert await client.ok("GET", "/session") == {
        name: value for name, value in made.items() if name != "session"
    }


@inline
async def test_a_token_has_no_times(connect: Any) -> None:
    client = connect("viewer", "acme")
    assert set(await client.ok("GET", "/session")) == {"name", "role", "tenant"}
    assert (await client("DELETE", "/session")).status == 409


@inline
async def test_who_may_not_read_gets_no_session(connect: Any) -> None:
    assert (await connect("downlink")("POST", "/session")).status == 403


@inline
async def test_it_ends_when_one_says_so(connect: Any, bench: Any) -> None:
    client = connect("viewer")
    token = client.token
    first = await logged_in(client)
    client.token = token
    second = await logged_in(client)
    assert (await client("DELETE", "/session")).status == 204
    assert (await client("GET", "/session")).status == 401
    client.token = first["session"]
    assert (await client("GET", "/session")).status == 200
    known = Tokens(bench.registry)  # as after a restart
    assert known.recognise(second["session"], second["startedAt"]) is None
    assert known.recognise(first["session"], first["startedAt"]) is not None


@inline
async def test_it_ends_with_its_token(connect: Any) -> None:
    admin, client = connect(), connect("viewer")
    await client.saved
    client.saved = None
    made = await logged_in(client)
    assert (await admin("DELETE", f"/tokens/{made['name'].replace(' ', '%20')}")).status == 204
    assert (await client("GET", "/session")).status == 401


class Registered:
    """A registry with one token, and its sessions."""

    def __init__(self, expires_ms: int = 0) -> None:
        self.registry = MemoryRegistry()
        _, body = mint("viewer", "acme", expires_ms)
        self.registry.create("token", "default", "it", body)
        self.token = self.registry.get("token", "it")
        self.sessions = BrowserSessions(self.registry)


def test_it_is_good_for_half_an_hour_and_can_be_renewed_for_twelve() -> None:
    its = Registered()
    text, session = its.sessions.begin(its.token, 1000)
    assert its.sessions.recognise(text, 1000 + IDLE_MS - 1) is not None
    assert its.sessions.recognise(text, 1000 + IDLE_MS) is None
    now = 1000
    while now < session.ends_ms:
        found = its.sessions.recognise(text, now)
        assert found is not None
        text, session = its.sessions.renew(found[0], its.token, now)
        now += IDLE_MS - 1
    assert its.sessions.recognise(text, session.ends_ms) is None


def test_it_ends_no_later_than_its_token() -> None:
    its = Registered(expires_ms=5000)
    _, session = its.sessions.begin(its.token, 1000)
    assert session.expires_ms == 5000


def test_it_isnt_good_for_a_new_token_in_the_place_of_the_old_one() -> None:
    its = Registered()
    text, _ = its.sessions.begin(its.token, 0)
    its.registry.replace("token", its.token.id, {**its.token.body, "hash": "another"})
    assert its.sessions.recognise(text, 1) is None


@pytest.mark.parametrize(
    "text", ["iotgws_", "iotgws_x", "iotgws_" + "A" * 5000, "iotgws_c2VhbGVkOm5v", "iotgws_ü"]
)
def test_what_is_no_session_is_none(text: str) -> None:
    assert Registered().sessions.recognise(text, 0) is None


def test_marks_of_ended_sessions_go_when_they_are_of_no_more_use(monkeypatch: pytest.MonkeyPatch) -> None:
    its = Registered()
    monkeypatch.setattr(browser_sessions, "MOST_ENDED", 3)
    for number in range(3):
        end(its, number)
    with pytest.raises(Problem, match="too many"):
        end(its, 3)
    end(its, LONGEST_MS + 3)
    assert len(its.registry.list(browser_sessions.ENDED)) == 1


def end(its: Registered, now_ms: int) -> None:
    """Begin a session, and end it."""
    _, session = its.sessions.begin(its.token, now_ms)
    ended = Deferred.fromCoroutine(its.sessions.end(session, now_ms))
    failed: list[Failure] = []
    ended.addErrback(failed.append)
    if failed:
        failed[0].raiseException()
