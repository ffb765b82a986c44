"""A check connects, authenticates where that is possible, and says what it could not try."""

from __future__ import annotations

import pytest
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from .http_world import HttpWorld

POST = "delivering by POST"
LOGIN = "whether the credentials are accepted"
BEARER = {"auth": {"type": "bearer", "token": "hush"}}


def knock(configuration=None):
    """A check that is under way: the results so far, and the connection."""
    world = HttpWorld(configuration=configuration)
    found = []
    world.service.check("i1").addCallback(found.append)
    (endpoint,) = world.connector.endpoints.values()
    return world, found, endpoint


def checked(answer, configuration=None):
    _, found, endpoint = knock(configuration)
    transport = endpoint.accept()
    asked = transport.value()
    assert asked.startswith(b"OPTIONS / HTTP/1.1\r\nHost: h\r\n")
    if isinstance(answer, Exception):
        transport.protocol.connectionLost(Failure(answer))
    else:
        transport.protocol.dataReceived(answer)
        assert transport.disconnecting or transport.disconnected
    (result,) = found
    return result


def says(status):
    return b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status


@pytest.mark.parametrize("status", [200, 204, 301, 302])
def test_a_server_that_answers_is_fine(status):
    assert checked(says(status)) == {
        "ok": True, "detail": f"connected; HTTP {status} to OPTIONS", "untried": [POST],
    }  # fmt: skip


@pytest.mark.parametrize("status", [400, 404, 405, 500, 501])
def test_a_server_that_lacks_options_is_fine(status):
    result = checked(says(status), BEARER)
    assert result["ok"] and result["untried"] == [POST, LOGIN]
    assert result["detail"] == f"connected; HTTP {status} to OPTIONS, which it seems not to know"


def test_a_server_that_closes_on_options_is_fine():
    result = checked(ConnectionDone())
    assert result["ok"] and result["detail"].startswith(
        "connected; the server closes the connection on OPTIONS"
    )


def test_a_server_that_forbids_options_may_do_so_to_everybody():
    result = checked(says(403), BEARER)
    assert result["ok"] and LOGIN in result["untried"]
    assert "which it may forbid to everybody" in result["detail"]


@pytest.mark.parametrize(
    ("configuration", "said"),
    [
        (BEARER, "HTTP 401 to OPTIONS: the credentials are refused"),
        ({}, "HTTP 401 to OPTIONS: it asks for credentials"),
    ],
)
def test_credentials_that_are_refused_or_missing_are_said(configuration, said):
    result = checked(says(401), configuration)
    assert not result["ok"] and result["detail"] == f"connected; {said}"


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_server_that_says_it_is_down_is_not_fine(status):
    assert checked(says(status))["ok"] is False


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.2\r\n\r\n\r\n", ConnectionLost()])
def test_what_is_no_http_server_is_not_fine(answer):
    result = checked(answer)
    assert not result["ok"] and result["detail"].startswith("connected, but ")


def test_a_server_that_says_nothing_is_not_fine():
    world, found, endpoint = knock({"timeout": 5.0})
    endpoint.accept()
    world.clock.advance(5)
    assert found[0]["detail"] == "connected, but no answer within 5 s" and not found[0]["ok"]


def test_a_server_that_is_not_there_is_not_fine():
    _, found, endpoint = knock()
    endpoint.refuse(ConnectionRefusedError("nobody listens"))
    assert found == [{"ok": False, "detail": "nobody listens", "untried": []}]


def test_of_a_url_that_depends_on_the_message_the_server_is_tried():
    result = checked(says(204), {"url": "http://h/{{ deviceName }}", "method": "PUT"})
    assert result["untried"] == ["delivering by PUT", "the URL, which is another for each message"]
