"""The HTTP listener's site: bodies are capped while they arrive, whatever they say about their length."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from iotgw.api.problems import Problem

_DRAIN = 16 << 20
"""How many bytes beyond the cap are read and dropped, so that a client reads its 413 instead of a reset."""


class CappedBody(BytesIO):
    """A request's body in memory; what exceeds ``cap`` bytes is dropped and ``excess`` counts it."""

    def __init__(self, cap: int) -> None:
        super().__init__()
        self.cap = cap
        self.excess = 0

    def write(self, data: Any) -> int:
        """Take a chunk, or drop it."""
        size = len(data)
        if self.excess or self.tell() + size > self.cap:
            if not self.excess:
                self.seek(0)
                self.truncate()
            self.excess += size
            return size
        return super().write(data)


class ApiRequest(Request):
    """A request whose body is capped."""

    content: Any

    def handleContentChunk(self, data: bytes) -> None:
        """Take a chunk of the body; a peer that goes on and on is cut off."""
        super().handleContentChunk(data)
        if self.content.excess > _DRAIN:
            self.channel.loseConnection()

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Take the whole request. Forms are not parsed, and no upload is mistaken for one: twisted looks for
        fields only when the body's position says that it isn't empty."""
        self.content.seek(0)
        super().requestReceived(command, path, version)

    def process(self) -> None:
        """Answer 413 here, for every resource."""
        if not self.content.excess:
            super().process()
            return
        problem = Problem(413, f"expected at most {self.content.cap} bytes")
        body = problem.body()
        self.setResponseCode(413)
        self.setHeader(b"Content-Type", b"application/problem+json")
        self.setHeader(b"Content-Length", b"%d" % len(body))
        self.setHeader(b"Connection", b"close")
        self.write(body)
        self.finish()


class ApiSite(Site):
    """A site over a resource. ``max_body`` in bytes; ``timeout`` in seconds for an idle connection."""

    requestFactory = ApiRequest
    noisy = False

    def __init__(self, resource: IResource, max_body: int = 4 << 20, timeout: float = 60.0) -> None:
        super().__init__(resource, timeout=timeout)
        self.max_body = max_body
        self.displayTracebacks = False

    def getContentFile(self, length: int | None) -> CappedBody:
        """Where a request's body goes."""
        return CappedBody(self.max_body)

    def log(self, request: Any) -> None:
        """No line per request."""
