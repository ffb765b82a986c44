"""`IMounts` in a dict."""

from __future__ import annotations

from twisted.web.resource import IResource
from twisted.web.server import Request
from zope.interface import implementer

from iotgw.core.ports.mounts import IMounts


@implementer(IMounts)
class MemoryMounts:
    """``resources`` by the first segment of their paths; all below it is theirs."""

    def __init__(self) -> None:
        self.resources: dict[bytes, IResource] = {}

    def resource(self, first: bytes, request: Request) -> IResource | None:
        """See `IMounts.resource`."""
        return self.resources.get(first)
