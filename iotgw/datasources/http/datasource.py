"""HTTP devices: ``POST /i/{routingKey}`` with any body, as ThingsBoard's HTTP integration takes it, or GET with a query.

The response is 204, or 200 with a downlink as its body; failures are 401, 404, 413 and 503. A datasource shares
the listener of the REST API or opens its own.
"""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import quote

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.web.server import Request
from zope.interface import implementer

from iotgw.core.errors import SettingsError
from iotgw.core.model import Downlink, Metadata
from iotgw.core.needs import HttpMount, Need, TcpPort
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.datasources import (
    DatasourceContext,
    IChecksAddresses,
    IHasPresets,
    IKeepsDownlinks,
    IListens,
    INeeds,
    ISetsUp,
    IVouches,
    PresetAbout,
    SetUp,
)
from iotgw.core.ports.reactor import IReactor
from iotgw.datasources.api_downlinks import ApiDownlinks
from iotgw.datasources.frames import held_frames
from iotgw.datasources.http.bodies import Fields
from iotgw.datasources.http.mounts import UPLOADS
from iotgw.datasources.http.request import SecretNames, metadata
from iotgw.datasources.http.served import Served
from iotgw.datasources.http.settings import HttpSourceSettings, authenticator
from iotgw.datasources.http.uploads import UploadResource
from iotgw.datasources.notices import Notices
from iotgw.datasources.openness import keyed
from iotgw.datasources.platforms import over_http
from iotgw.envelopes.presets.choices import to_type_in


@implementer(INeeds, ISetsUp, IVouches, IChecksAddresses, IListens, IHasPresets)
class HttpSourceType:
    """The ``http`` datasources of a gateway."""

    name = "http"
    settings = HttpSourceSettings

    def __init__(self, reactor: IReactor, connector: IConnector | None = None) -> None:
        self._reactor = reactor
        self._connector = connector

    def build(self, settings: HttpSourceSettings, context: DatasourceContext) -> HttpDatasource:
        """See `IDatasourceType.build`."""
        if not context.routing_key:
            raise SettingsError("routingKey", "expected a path token, got nothing: it selects the datasource")
        if settings.security.mode == "basic" and not settings.security.username:
            raise SettingsError("configuration.security.username", "expected a name for basic authentication")
        if settings.security.mode == "bearer" and not settings.security.token:
            raise SettingsError("configuration.security.token", "expected the bearer token")
        if not settings.is_proved and settings.envelope().needs_secret:
            raise SettingsError(
                "configuration.secret",
                "expected the key with which the platform signs its requests; of one that doesn't sign, `security` or `headersFilter`",
            )
        return HttpDatasource(settings, context, self._api(settings, context))

    def _api(self, settings: HttpSourceSettings, context: DatasourceContext) -> ApiDownlinks | None:
        access, envelope = settings.downlink_api, settings.envelope()
        if access is None or envelope.api is None or self._connector is None:
            return None
        return ApiDownlinks(access, envelope.api, envelope.offers, self._connector, context)

    def open_to_all(self, settings: HttpSourceSettings, context: DatasourceContext) -> str:
        """See `IListens.open_to_all`."""
        return "" if settings.is_proved else keyed(context.routing_key)

    def vouches(self, settings: HttpSourceSettings) -> bool:
        """See `IVouches.vouches`: a platform knows its devices, and a profile is a platform's."""
        return settings.profile != "none" or settings.preset != "none"

    def presets(self) -> list[PresetAbout]:
        """See `IHasPresets.presets`."""
        return over_http()

    def setup(self, settings: HttpSourceSettings, routing_key: str) -> SetUp | None:
        """See `ISetsUp.setup`."""
        place = (
            f"{{gateway}}{settings.path}"
            if settings.path
            else f"{{gateway}}/{UPLOADS}/{quote(routing_key, safe='')}"
        )
        found = to_type_in(settings.preset, settings.custom, place)
        if found is None:
            return None
        fields, note, header = found
        mode = settings.security.mode
        headers = {name: f"the value of headersFilter.{name}" for name in settings.headers_filter}
        if mode == "bearer":
            headers["Authorization"] = "Bearer and the value of security.token"
        elif mode == "basic":
            headers["Authorization"] = "Basic, with security.username and security.password"
        elif header and not headers:
            note = f"{note} Anybody who knows the URL can send: set `security`, and {header} to the same here.".strip()
        api = settings.envelope().api
        if api is not None and settings.downlink_api is None and api.needs:
            note = f"{note} For downlinks, set `downlinkApi`, with {', '.join(api.needs)}.".strip()
        return SetUp(place, headers, fields, note)

    def needs(self, settings: HttpSourceSettings, context: DatasourceContext) -> list[Need]:
        """See `INeeds.needs`."""
        listener = settings.listener
        if listener is None:
            more = [HttpMount(settings.served_at)] if settings.served_at else []
            return [HttpMount((UPLOADS, context.routing_key)), *more]
        return [TcpPort(listener.interface, listener.port)]


@implementer(IKeepsDownlinks)
class HttpDatasource:
    """Uploads under one routing key. With ``api``, downlinks go by that."""

    def __init__(
        self, settings: HttpSourceSettings, context: DatasourceContext, api: ApiDownlinks | None = None
    ) -> None:
        self.api = api
        self.can_push = self.keeps_downlinks = api is not None
        self.settings = settings
        self.context = context
        paths = [(UPLOADS, context.routing_key), *filter(None, (settings.served_at,))]
        self._served = Served(context, settings.listener, settings.server_tls, paths, settings.max_body)
        self.intake = context.intake
        self.envelope = settings.envelope()
        self.intake.never_waits = self.intake.is_shared = self.intake.sends_once = self.envelope.is_network
        self.frames = held_frames(settings, self.envelope, context)
        self.counts: Counter[str] = Counter()
        self.notices = Notices(context.intake, context.reactor, self.counts)
        self.object_to = authenticator(settings)
        envelope = self.envelope
        self._secrets = SecretNames(
            (*settings.headers_filter, *envelope.secret_headers),
            (*settings.parameters_filter, *envelope.secret_parameters),
        )

    def start(self) -> Deferred[Any]:
        """See `IDatasource.start`."""
        recalled = self.intake.recall() if self.envelope.keys_last else succeed(None)
        return recalled.addCallback(self._open).addCallback(self._opened)

    def _opened(self, _: Any) -> None:
        """It is open, and known to be once this turn is over: then what has waited can be sent."""
        if self.api is not None:
            self.context.reactor.callLater(0, self.api.start)

    def _open(self, _: None) -> Deferred[Any]:
        return self._served.open(UploadResource(self), self.settings.cross_site)

    def push(self, metadata: Metadata, downlinks: tuple[Downlink, ...]) -> None:
        """See `IPushes.push`."""
        if self.api is not None:
            self.api.send(metadata, downlinks)

    def stop(self) -> Deferred[Any]:
        """See `IDatasource.stop`."""
        closed = self._served.close()
        if self.frames is not None:
            self.frames.flush()
        return gatherResults(
            [closed, *([self.api.stop()] if self.api is not None else [])], consumeErrors=True
        )

    def now_ms(self) -> int:
        """The date in ms since 1970."""
        return self.context.date_ms()

    def without_secrets(self, fields: Fields) -> Fields:
        """What a form or a query says, without what carries secrets."""
        return {name: value for name, value in fields.items() if not self._secrets.is_parameter(name)}

    def facts(self, request: Request) -> Metadata:
        """A request's metadata, without its credentials."""
        return metadata(request, self.context.name, self._secrets)

    def status(self) -> dict[str, Any]:
        """See `IDatasource.status`."""
        return {
            "state": "listening",
            "address": f"{self._served.where}, /i/{self.context.routing_key}",
            "urls": self._served.urls,
            **({"downlinkApi": self.api.status()} if self.api is not None else {}),
            **(self.frames.status() if self.frames is not None else {}),
            **self.counts,
        }
