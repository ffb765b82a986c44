"""What happens around a handler when its client leaves in the middle."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

from msgspec.structs import replace
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred

from iotgw.api.app import routes
from iotgw.api.auth import ALL_TENANTS, Guard, Tokens, mint
from iotgw.api.routes import Dispatcher


class Request:
    """As much of a request as a dispatcher looks at."""

    def __init__(self, token: str, value: Any) -> None:
        self.uri = b"/api/v1/datasources"
        self.content = BytesIO(json.dumps(value).encode())
        self._headers = {b"authorization": f"Bearer {token}".encode(), b"content-type": b"application/json"}
        self.code = 0

    def getHeader(self, name: bytes) -> bytes | None:
        return self._headers.get(name)

    def getClientAddress(self) -> Any:
        return IPv4Address("TCP", "127.0.0.1", 1)

    def setResponseCode(self, code: int) -> None:
        self.code = code

    def setHeader(self, name: str, value: str) -> None: ...


def start(bench: Any, value: Any) -> tuple[Deferred[bytes], Request, Deferred[None]]:
    """Create a datasource whose listener takes its time: the answer, the request, and what opens it."""
    text, body = mint("admin", ALL_TENANTS)
    bench.registry.create("token", "default", "t", body)
    opened: Deferred[None] = Deferred()
    bench.pipeline.applied = lambda id: opened
    create = next(
        each
        for each in routes(replace(bench.parts, in_thread=maybeDeferred))
        if (each.method, each.path) == ("POST", "/datasources")
    )
    request = Request(text, value)
    dispatch = Dispatcher(bench.clock, Guard(Tokens(bench.registry)), bench.parts.doors)
    return dispatch(create, request), request, opened  # type: ignore[arg-type]


def test_an_answer_waits_until_the_change_is_in_force(bench: Any) -> None:
    answer, request, opened = start(bench, {"name": "field", "type": "coap"})
    assert not answer.called
    opened.callback(None)
    assert json.loads(answer.result)["name"] == "field"  # type: ignore[arg-type]
    assert request.code == 201


def test_a_change_that_has_begun_is_finished_though_its_client_left(bench: Any) -> None:
    low = {"name": "low", "type": "coap", "configuration": {"port": 1}}  # which can't be opened
    answer, request, opened = start(bench, low)
    assert len(bench.registry.list("datasource")) == 1
    answer.addErrback(lambda failure: failure.trap(CancelledError) and None)
    answer.cancel()
    opened.callback(None)
    assert bench.registry.list("datasource") == [], "what can't be opened is taken back, as for any client"
    assert request.code == 0
