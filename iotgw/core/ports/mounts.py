"""Paths of the API's listener that datasources serve."""

from __future__ import annotations

from twisted.web.resource import IResource
from twisted.web.server import Request
from zope.interface import Interface


class IMounts(Interface):
    """The paths that datasources serve beside the API."""

    def resource(first: bytes, request: Request) -> IResource | None:
        """The resource of a request whose path begins with the segment ``first``; None if no datasource serves
        the path.

        ``request.prepath`` ends with ``first``. Segments of the mount move from ``postpath`` to ``prepath``, so that
        the resource finds its own rest there.
        """
