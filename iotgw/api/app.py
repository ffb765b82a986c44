"""The REST API as one resource tree: every file of resources beside this one adds its routes here."""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol

from klein import Klein
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from iotgw.api.apply import apply_routes, catalogues, keepers
from iotgw.api.auth import Guard, Tokens
from iotgw.api.browser_sessions import BrowserSessions
from iotgw.api.candidates import Candidates
from iotgw.api.configuration import ConfigurationRoutes
from iotgw.api.credentials import CredentialRoutes
from iotgw.api.debug import DebugRoutes
from iotgw.api.devices import DeviceRoutes
from iotgw.api.downlink_batches import DownlinkBatchRoutes
from iotgw.api.downlinks import DownlinkRoutes
from iotgw.api.events import EventRoutes
from iotgw.api.failures import FailureRoutes
from iotgw.api.files import FileRoutes
from iotgw.api.finding import FindingRoutes
from iotgw.api.fleet import FleetRoutes
from iotgw.api.fleet_map import FleetMapRoutes
from iotgw.api.front import FrontPage
from iotgw.api.health import HealthRoutes
from iotgw.api.jobs import JobRoutes
from iotgw.api.known_devices import KnownDevices
from iotgw.api.login import LoginRoutes
from iotgw.api.messages import MessageRoutes
from iotgw.api.metrics import MetricsRoutes
from iotgw.api.nodes import NodeRoutes
from iotgw.api.openapi import OpenApiRoutes
from iotgw.api.parts import Parts
from iotgw.api.presets import PresetRoutes
from iotgw.api.problems import Problem, from_failure
from iotgw.api.quarantine import QuarantineRoutes
from iotgw.api.rates import RateRoutes
from iotgw.api.replay import ReplayRoutes
from iotgw.api.routes import Dispatcher, Route, write_problem
from iotgw.api.series import SeriesRoutes
from iotgw.api.sessions import SessionRoutes
from iotgw.api.stream import StreamRoutes, streams_of
from iotgw.api.target_presets import TargetPresetRoutes
from iotgw.api.tenants import TenantRoutes
from iotgw.api.tokens import TokenRoutes
from iotgw.api.trials import TrialRoutes
from iotgw.api.upkeep import UpkeepRoutes
from iotgw.api.usage import UsageRoutes
from iotgw.core.ports.mounts import IMounts
from iotgw.core.recorder import Recorder

PREFIX = "/api/v1"
_HOST = b"iotgw"
AT_ROOT = ("/health/", "/metrics")
"""Paths that probes and scrapers expect without the prefix; they are under both."""

CONSOLE = b"console"
FOREIGN = ((b"X-Content-Type-Options", b"nosniff"), (b"Content-Security-Policy", b"sandbox"))
"""What is mounted answers with bytes of others, such as downlinks: no browser may take them for a page of this origin."""


class IConsole(Protocol):
    """The console's resource: `iotgw.web.console.Console`."""

    @property
    def is_built(self) -> bool:
        """Whether there is a console to show."""


class Routes(Protocol):
    """What brings routes: the class of each file of resources."""

    def routes(self) -> list[Route]:
        """Its routes."""


def routes(
    parts: Parts, sessions: BrowserSessions | None = None, tokens: Tokens | None = None
) -> list[Route]:
    """Every route of the API. Each class is given the ports that it uses."""
    sessions = sessions or BrowserSessions(parts.registry)
    tokens = tokens or Tokens(parts.registry, sessions)
    registry, journal, pipeline, delivery = parts.registry, parts.journal, parts.pipeline, parts.delivery
    trials, versions, dates = parts.trials, parts.versions, parts.dates
    history = parts.history or journal
    messages = MessageRoutes(
        registry, history, pipeline, delivery, parts.events, dates, parts.nodes, parts.clock
    )
    candidates = Candidates(registry, versions, trials)
    saved = catalogues(parts)
    recorder = Recorder(parts.events, dates)
    known = KnownDevices(parts.fleet, parts.arrivals, registry)
    credentials = next(each for each in saved if isinstance(each, CredentialRoutes))
    resources: list[Routes] = [
        HealthRoutes(
            registry,
            journal,
            pipeline,
            delivery,
            parts.converters,
            parts.pause,
            parts.credentials,
            parts.doors,
            parts.clock,
            dates,
        ),
        UpkeepRoutes(parts.backups, parts.backup_plans, parts.pause, dates),
        NodeRoutes(parts.nodes, parts.registry),
        MetricsRoutes(parts),
        *saved,
        TargetPresetRoutes(parts.target_presets),
        SessionRoutes(registry, pipeline),
        TrialRoutes(candidates, trials, messages, dates),
        ReplayRoutes(candidates, trials, messages, journal),
        messages,
        JobRoutes(parts.jobs, registry, messages.searches, parts.files, parts.updates, known),
        FileRoutes(parts.files, parts.jobs, recorder),
        FailureRoutes(registry, history, pipeline, dates, messages.searches),
        SeriesRoutes(history, dates),
        RateRoutes(parts.rates, history, registry, dates),
        FindingRoutes(registry, parts.fleet, history),
        DeviceRoutes(
            parts.fleet, known, parts.devices, parts.owners, registry, parts.downlinks, credentials, recorder
        ),
        FleetRoutes(parts.fleet, registry, credentials, recorder, parts.clock),
        FleetMapRoutes(parts.fleet, registry, parts.clock),
        QuarantineRoutes(parts.quarantine, parts.releases, parts.pipeline, recorder),
        DownlinkRoutes(parts.downlinks, parts.fleet, known, credentials),
        DownlinkBatchRoutes(parts.jobs, parts.downlinks, known, registry, credentials),
        EventRoutes(parts.events),
        TokenRoutes(registry, recorder, dates),
        LoginRoutes(sessions, registry, dates),
        StreamRoutes(streams_of(parts.live, history, pipeline, parts.clock, dates), tokens, registry, dates),
        apply_routes(parts, saved),
        ConfigurationRoutes(keepers(parts, saved), registry, recorder, parts.clock),
        PresetRoutes(parts.datasource_types),
        UsageRoutes(parts.usage),
        DebugRoutes(parts.debugging, registry, known, history),
        TenantRoutes(registry, parts.fleet, parts.usage, recorder, dates, parts.jobs),
    ]
    found = [route for resource in resources for route in resource.routes()]
    return found + OpenApiRoutes(parts.datasource_types, parts.integration_types, found).routes()


def api_site(parts: Parts, mounts: IMounts | None = None, console: IConsole | None = None) -> IResource:
    """The root resource of the listener: the API under `/api/v1`, the console, and what datasources serve. Serve it by
    `iotgw.api.site.ApiSite`."""
    sessions = BrowserSessions(parts.registry)
    tokens = Tokens(parts.registry, sessions)
    dispatch = Dispatcher(parts.clock, Guard(tokens), parts.doors, parts.dates)
    app = Klein()
    for number, route in enumerate(routes(parts, sessions, tokens)):
        paths = [PREFIX + route.path]
        if route.path.startswith(AT_ROOT):
            paths.append(route.path)
        for place, path in enumerate(paths):
            handler = partial(dispatch, route)
            handler.__name__ = f"route{number}_{place}"  # type: ignore[attr-defined]
            app.route(path, methods=[route.method], strict_slashes=False)(handler)
    app.handle_errors(Exception)(_failed)
    return _Root(app, mounts, parts, console)


def _failed(request: Any, failure: Failure) -> bytes:
    """What no handler had a chance to answer: no such path, no such method."""
    return write_problem(request, from_failure(failure))


class _Root(Resource):
    """What is mounted goes to its resource straight, everything else to Klein with its whole path."""

    def __init__(self, app: Klein, mounts: IMounts | None, parts: Parts, console: IConsole | None) -> None:
        super().__init__()
        self._console = console
        self._sites, self._doors = parts.sites, parts.doors
        self._klein = app.resource()
        self._mounts = mounts

    def getChildWithDefault(self, path: bytes, request: Request) -> Any:
        """The resource of a path whose first segment is given."""
        mounted = self._mounts.resource(path, request) if self._mounts is not None else None
        if mounted is not None:
            for name, value in FOREIGN:
                request.setHeader(name, value)
            return mounted
        if objection := self._sites.objection(request):
            peer = getattr(request.getClientAddress(), "host", "")
            self._doors.note("api", "site", peer, objection)
            return _Refused(Problem(403, objection))
        if not request.method.isalpha():
            return _Refused(Problem(400, "expected a method such as GET"))
        if path == b"" and not request.postpath and request.method in (b"GET", b"HEAD"):
            return FrontPage(self._console is not None and self._console.is_built)
        if path == CONSOLE and self._console is not None:
            return self._console
        segments = [request.prepath.pop(), *(request.postpath or ())]  # type: ignore[union-attr]
        try:
            b"/".join(segments).decode()
        except UnicodeDecodeError:
            return _Refused(Problem(400, "expected a path in UTF-8"))
        if b"" in segments[:-1]:  # which others may take for another path
            return _Refused(Problem(404, "no such path"))
        # a slash that was sent as %2F belongs to a name; `Dispatcher` has the names in the clear
        request.postpath = [each.replace(b"%", b"%25").replace(b"/", b"%2F") for each in segments]
        # Klein makes URLs of the host, which nobody needs here, and fails on one that is no name.
        request.requestHeaders.setRawHeaders(b"host", [_HOST])
        return self._klein


class _Refused(Resource):
    """A request that Klein need not see."""

    isLeaf = True

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self._problem = problem

    def render(self, request: Request) -> bytes:
        """Say why."""
        return write_problem(request, self._problem)
