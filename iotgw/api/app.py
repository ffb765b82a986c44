"""The REST API as one resource tree: every file of resources beside this one adds its routes here."""

from __future__ import annotations

from functools import partial
from typing import Any

from klein import Klein
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from iotgw.api.apply import Apply
from iotgw.api.auth import Guard, Tokens
from iotgw.api.converters import Converters
from iotgw.api.credentials import Credentials
from iotgw.api.datasources import Datasources
from iotgw.api.devices import Devices
from iotgw.api.downlinks import Downlinks
from iotgw.api.events import Events
from iotgw.api.health import Health
from iotgw.api.integrations import Integrations
from iotgw.api.messages import Messages
from iotgw.api.metrics import Metrics
from iotgw.api.openapi import OpenApi
from iotgw.api.parts import Parts
from iotgw.api.problems import Problem, from_failure
from iotgw.api.routes import Dispatcher, Route, write_problem
from iotgw.api.sessions import Sessions
from iotgw.api.tokens import TokenResources
from iotgw.core.ports.mounts import IMounts

PREFIX = "/api/v1"
AT_ROOT = ("/health/", "/metrics")
"""Paths that probes and scrapers expect without the prefix; they are under both."""
RESERVED = ("api", "health", "metrics")
"""First segments that are the API's."""


def routes(parts: Parts) -> list[Route]:
    """Every route of the API."""
    resources: list[Any] = [
        Health(parts),
        Metrics(parts),
        Datasources(parts),
        Sessions(parts),
        Converters(parts),
        Integrations(parts),
        Messages(parts),
        Devices(parts),
        Downlinks(parts),
        Credentials(parts),
        Events(parts),
        TokenResources(parts),
        Apply(parts),
    ]
    found = [route for resource in resources for route in resource.routes()]
    return found + OpenApi(parts, found).routes()


def api_site(parts: Parts, mounts: IMounts | None = None) -> IResource:
    """The root resource of the listener: the API under `/api/v1`, and what datasources serve. Serve it by
    `iotgw.api.site.ApiSite`."""
    dispatch = Dispatcher(parts, Guard(Tokens(parts.registry)))
    app = Klein()
    for number, route in enumerate(routes(parts)):
        paths = [PREFIX + route.path]
        if route.path.startswith(AT_ROOT):
            paths.append(route.path)
        for place, path in enumerate(paths):
            handler = partial(dispatch, route)
            handler.__name__ = f"route{number}_{place}"  # type: ignore[attr-defined]
            app.route(path, methods=[route.method], strict_slashes=False)(handler)
    app.handle_errors(Exception)(_failed)
    return _Root(app, mounts)


def _failed(request: Any, failure: Failure) -> bytes:
    """What no handler had a chance to answer: no such path, no such method."""
    return write_problem(request, from_failure(failure))


class _Root(Resource):
    """What is mounted goes to its resource straight, everything else to Klein with its whole path."""

    def __init__(self, app: Klein, mounts: IMounts | None) -> None:
        super().__init__()
        self._klein = app.resource()
        self._mounts = mounts

    def getChildWithDefault(self, path: bytes, request: Request) -> Any:
        """The resource of a path whose first segment is given."""
        mounted = self._mounts.resource(path, request) if self._mounts is not None else None
        if mounted is not None:
            return mounted
        request.postpath.insert(0, request.prepath.pop())  # type: ignore[union-attr]
        try:
            b"/".join(request.postpath or ()).decode()
        except UnicodeDecodeError:
            return _Malformed()
        return self._klein


class _Malformed(Resource):
    """A path that is no UTF-8."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        """Say so."""
        return write_problem(request, Problem(400, "expected a path in UTF-8"))
