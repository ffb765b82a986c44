"""A platform's API on loopback: it takes downlinks, and has the simulated platform report on them."""

from __future__ import annotations

import json
from collections.abc import Callable

from twisted.web.resource import Resource
from twisted.web.server import Request

from iotgw.simulate.platform_calls import Called, called

LARGEST = 1 << 20
"""Bytes of a call that are read."""


class SimulatedApi(Resource):
    """The API of a platform. ``take(call)`` says whether it has the device."""

    isLeaf = True

    def __init__(self, platform: str, take: Callable[[Called], bool]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._platform = platform
        self._take = take

    def render(self, request: Request) -> bytes:
        """Take a downlink."""
        body = request.content.read(LARGEST)  # type: ignore[union-attr]
        call = called(self._platform, request.uri.decode("utf-8", "replace"), body)
        request.setHeader(b"content-type", b"application/json")
        if call is None or (call.eui and not self._take(call)):
            request.setResponseCode(404)
            return b'{"message": "no such device"}'
        request.setResponseCode(call.status)
        for name, value in call.headers.items():
            request.setHeader(name, value)
        return json.dumps(call.answer).encode()
