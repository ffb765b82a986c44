"""A request may have any bytes in its line and its headers: no answer is a 5xx, and the log has no traceback."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.logger import LogLevel, globalLogPublisher
from twisted.python.failure import Failure

from iotgw import testing
from iotgw.api.app import api_site
from iotgw.api.site import ApiSite
from iotgw.core.shared import SharedResources
from iotgw.datasources.http.datasource import HttpSourceType
from iotgw.datasources.http.mounts import HttpMounts
from iotgw.datasources.http.settings import HttpSourceSettings

PEER = IPv4Address("TCP", "192.0.2.7", 4000)
HERE = IPv4Address("TCP", "127.0.0.1", 8080)
PATHS = [
    b"/", b"/api/v1/status", b"/api/v1/datasources", b"/api/v1/datasources/x", b"/api/v1/converters/test", b"/metrics",
    b"/health/live", b"/i/key", b"/i/open", b"/i/nobody", b"/i/", b"/i/key/more", b"*", b"http://x/api/v1/status",
]  # fmt: skip
NAMES = [
    b"Authorization", b"Content-Type", b"Host", b"If-Match", b"hono-ttd", b"Origin", b"Cookie", b"Accept", b"Connection",
    b"X-Forwarded-For", b"X-Forwarded-Host", b"Forwarded", b"Expect", b"Upgrade", b"Range", b"If-None-Match",
    b"Content-Encoding", b"If-Modified-Since", b"Referer", b"User-Agent",
]  # fmt: skip
ANY = st.binary(max_size=40).map(lambda data: data.translate(None, b"\r\n\0"))
VALUES = st.one_of(
    ANY,
    st.builds(
        bytes.__add__, st.sampled_from([b"Bearer ", b"Bearer iotgw_", b"Basic ", b"application/json;"]), ANY
    ),
)
HEADERS = st.lists(
    st.tuples(st.one_of(st.sampled_from(NAMES), ANY.filter(lambda name: name and b":" not in name)), VALUES),
    max_size=6,
)
TARGETS = st.one_of(st.sampled_from(PATHS), st.builds(bytes.__add__, st.sampled_from(PATHS), ANY))
METHODS = st.one_of(st.sampled_from([b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"HEAD"]), ANY)


class Listener:
    """The API's listener with two HTTP datasources, without a socket; it sees what is logged."""

    def __init__(self, parts: Any) -> None:
        clock = testing.clock()
        mounts = HttpMounts()
        kinds = {"key": {"mode": "bearer", "token": "secret"}, "open": {"mode": "none"}}
        for key, security in kinds.items():
            wanted = msgspec.convert({"security": security}, HttpSourceSettings)
            context = testing.datasource_context(testing.FakeIntake(), clock, shares=SharedResources(mounts))
            HttpSourceType(clock).build(wanted, msgspec.structs.replace(context, routing_key=key)).start()
        self.site = ApiSite(api_site(parts, mounts), max_body=64 << 10)
        self.lines: list[str] = []

    def log(self, event: dict[str, Any]) -> None:
        if event.get("log_failure") is not None or event["log_level"] >= LogLevel.error:
            self.lines.append(str(event))

    def send(
        self, method: bytes, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes = b"{}"
    ) -> int:
        """The status of the answer; 0 if there is none."""
        channel = self.site.buildProtocol(PEER)
        transport = StringTransport(hostAddress=HERE, peerAddress=PEER)
        channel.makeConnection(transport)
        lines = [b"%b %b HTTP/1.1" % (method, target), *(b"%b: %b" % each for each in headers)]
        lines.append(b"Content-Length: %d" % len(body))
        channel.dataReceived(b"\r\n".join([*lines, b"", body]))
        answer = transport.value()
        channel.connectionLost(Failure(ConnectionDone()))
        return int(answer.split(b" ", 2)[1]) if answer else 0


@pytest.fixture
def listener(bench: Any) -> Iterator[Listener]:
    made = Listener(bench.parts)
    globalLogPublisher.addObserver(made.log)
    yield made
    globalLogPublisher.removeObserver(made.log)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "value", [b"\xff", b"Bearer \xff", b"\xc3\xa4", b"a..b", b"x" * 70, b"[::", b"\xed\xa0\x80"]
)
def test_a_header_of_any_bytes_makes_no_fault_and_no_traceback(
    listener: Listener, name: bytes, value: bytes
) -> None:
    for method, target in [
        (b"GET", b"/api/v1/status"),
        (b"POST", b"/api/v1/datasources"),
        (b"POST", b"/i/open"),
    ]:
        assert listener.send(method, target, [(name, value)]) in (200, 204, 400, 401, 403, 415, 417, 421, 429)
    assert listener.lines == []


@pytest.mark.parametrize(
    ("method", "path", "name", "status"),
    [
        (b"POST", b"/api/v1/converters", b"Content-Type", 415),
        (b"PUT", b"/api/v1/datasources/x", b"If-Match", 412),
    ],
)
def test_nor_does_one_that_only_a_token_s_owner_gets_to(
    bench: Any, listener: Listener, method: bytes, path: bytes, name: bytes, status: int
) -> None:
    token, saved = bench.token("admin")
    testing.fired(saved)
    testing.fired(bench.registry.create("datasource", "default", "x", {"type": "coap", "configuration": {}}))
    json = [] if name == b"Content-Type" else [(b"Content-Type", b"application/json")]
    headers = [(b"Authorization", f"Bearer {token}".encode()), (name, b"\xff"), *json]
    assert listener.send(method, path, headers, b'{"name": "x", "type": "coap"}') == status
    assert listener.lines == []


@pytest.mark.parametrize("method", [b"\xff", b"G\xc3\xa4T", b"GET\x7f", b"-"])
def test_a_method_of_any_bytes_is_refused_as_such(listener: Listener, method: bytes) -> None:
    assert listener.send(method, b"/api/v1/status", []) == 400
    assert listener.lines == []


@given(method=METHODS, target=TARGETS, headers=HEADERS, body=st.binary(max_size=20))
@example(b"GET", b"/api/v1/status", [(b"Authorization", b"Bearer \xff")], b"")
@example(b"POST", b"/api/v1/datasources", [(b"Content-Type", b"\xff")], b"{}")
@example(b"GET", b"/api/v1/status", [(b"Host", b"\xff")], b"")
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_request_at_all_makes_one(
    listener: Listener, method: bytes, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    assert listener.send(method, target, headers, body) < 500
    assert listener.lines == []


@pytest.mark.parametrize("path", [b"/api/v1/status", b"/health/live", b"/metrics", b"/i/open", b"/i/nobody"])
def test_neither_a_name_that_was_led_here_nor_a_page_of_another_site_gets_in(
    bench: Any, listener: Listener, path: bytes
) -> None:
    for header in (
        (b"Host", b"evil.example:8080"),
        (b"Origin", b"https://evil.example"),
        (b"Origin", b"null"),
    ):
        assert listener.send(b"POST", path, [header]) == 403
    for header in ((b"Host", b"localhost:8080"), (b"Host", b"127.0.0.1:8080")):
        assert listener.send(b"POST", path, [header]) in (204, 401, 404, 405)
    if not path.startswith(b"/i/"):
        assert bench.parts.doors.counts()["api"]["site"] == 3


def test_a_name_in_the_settings_is_ours(listener: Listener) -> None:
    named = [(b"Host", b"gateway.example"), (b"Origin", b"https://gateway.example")]
    assert listener.send(b"GET", b"/health/live", named, b"") == 200
