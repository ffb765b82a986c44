"""HTTP devices: ``POST /i/{routingKey}`` with any body, as ThingsBoard's HTTP integration takes it.

The response is 204, or 200 with a downlink as its body; failures are 401, 404, 413 and 503. A datasource shares
the listener of the REST API or opens its own (TLS by a Twisted endpoint string).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.python.failure import Failure
from twisted.web.server import Request
from zope.interface import implementer

from iotgw.core.errors import SettingsError
from iotgw.core.model import Metadata
from iotgw.core.needs import HttpMount, Need, TcpPort
from iotgw.core.ports.datasources import (
    DatasourceContext,
    IChecksAddresses,
    IDatasource,
    IListens,
    INeeds,
    IVouches,
)
from iotgw.core.ports.reactor import IReactor
from iotgw.core.urls import url
from iotgw.datasources.http.allowed import AllowedFactory
from iotgw.datasources.http.mounts import UPLOADS, HttpMounts, MountRoot
from iotgw.datasources.http.request import metadata
from iotgw.datasources.http.server_tls import FileContext, TlsFactory
from iotgw.datasources.http.settings import HttpSourceSettings, authenticator
from iotgw.datasources.http.uploads import UploadResource
from iotgw.datasources.notices import Notices
from iotgw.datasources.openness import keyed
from iotgw.envelopes.presets import HTTP_PROFILES

LISTENER = re.compile(r"(?:tcp|ssl):(?:port=)?(\d+)(?::|$)")
INTERFACE = re.compile(r":interface=((?:\\:|[^:])+)")


@implementer(INeeds, IVouches, IChecksAddresses, IListens)
class HttpSourceType:
    """The ``http`` datasources of a gateway."""

    name = "http"
    settings = HttpSourceSettings

    def __init__(self, reactor: IReactor) -> None:
        self._reactor = reactor

    def build(self, settings: HttpSourceSettings, context: DatasourceContext) -> HttpDatasource:
        """See `IDatasourceType.build`."""
        if not context.routing_key:
            raise SettingsError("routingKey", "expected a path token, got nothing: it selects the datasource")
        if settings.security.mode == "basic" and not settings.security.username:
            raise SettingsError("configuration.security.username", "expected a name for basic authentication")
        if settings.security.mode == "bearer" and not settings.security.token:
            raise SettingsError("configuration.security.token", "expected the bearer token")
        if settings.tls is not None and not settings.endpoint:
            raise SettingsError("configuration.endpoint", "expected an endpoint such as tcp:8443 for `tls`")
        return HttpDatasource(settings, context)

    def open_to_all(self, settings: HttpSourceSettings, context: DatasourceContext) -> str:
        """See `IListens.open_to_all`."""
        is_proved = settings.security.mode != "none" or settings.headers_filter
        return "" if is_proved else keyed(context.routing_key)

    def vouches(self, settings: HttpSourceSettings) -> bool:
        """See `IVouches.vouches`: a platform knows its devices, and a profile is a platform's."""
        return settings.profile != "none"

    def needs(self, settings: HttpSourceSettings, context: DatasourceContext) -> list[Need]:
        """See `INeeds.needs`; for an endpoint, as far as its text tells."""
        if not settings.endpoint:
            return [HttpMount((UPLOADS, context.routing_key))]
        listener, interface = LISTENER.match(settings.endpoint), INTERFACE.search(settings.endpoint)
        if listener is None:
            return []
        return [TcpPort(interface[1].replace("\\", "") if interface else "0.0.0.0", int(listener[1]))]


@implementer(IDatasource)
class HttpDatasource:
    """Uploads under one routing key."""

    def __init__(self, settings: HttpSourceSettings, context: DatasourceContext) -> None:
        self.settings = settings
        self.context = context
        self._unmount: Callable[[], None] | None = None
        self._port: IListeningPort | None = None
        self.intake = context.intake
        self.envelope = HTTP_PROFILES[settings.profile]()
        self.counts: Counter[str] = Counter()
        self.notices = Notices(context.intake, context.reactor, self.counts)
        self.object_to = authenticator(settings)

    def start(self) -> Deferred[Any]:
        """See `IDatasource.start`."""
        shared = self.context.shared(HttpMounts)
        mounts = shared.elsewhere(f"http {self._where}") if self.settings.endpoint else shared
        self._unmount = mounts.add(
            (UPLOADS, self.context.routing_key),
            UploadResource(self),
            self.settings.cross_site,
            self.intake.refuse,
        )
        if not self.settings.endpoint:
            return succeed(None)
        listening: Deferred[Any] = maybeDeferred(self._listen, mounts)
        return listening.addCallbacks(self._opened, self._not_opened)

    def _listen(self, mounts: HttpMounts) -> Deferred[IListeningPort]:
        factory = mounts.make_site(MountRoot(mounts), self.settings.max_body)
        if self.settings.tls is not None:
            factory = TlsFactory(FileContext(self.settings.tls, self._certificate), factory)
        if self.context.allow:
            factory = AllowedFactory(self.context.allow, self.intake.refuse, factory)
        endpoint = serverFromString(self.context.reactor, self.settings.endpoint)
        listening: Deferred[IListeningPort] = endpoint.listen(factory)
        return listening

    def _certificate(self, message: str) -> None:
        self.context.intake.event("certificate", message)

    def _opened(self, port: IListeningPort) -> None:
        self._port = port

    def _not_opened(self, failure: Failure) -> Failure:
        if failure.check(ValueError, TypeError, KeyError):
            raise SettingsError(
                "configuration.endpoint", f"expected a Twisted endpoint string: {failure.getErrorMessage()}"
            )
        return failure

    def stop(self) -> Deferred[Any]:
        """See `IDatasource.stop`."""
        if self._unmount is not None:
            self._unmount()
        return maybeDeferred(self._port.stopListening) if self._port is not None else succeed(None)

    def now_ms(self) -> int:
        """The date in ms since 1970."""
        return self.context.date_ms()

    def facts(self, request: Request) -> Metadata:
        """A request's metadata, without its credentials."""
        return metadata(request, self.context.name, self.settings.headers_filter)

    @property
    def _where(self) -> str:
        return self.settings.endpoint.partition(":privateKey")[0] or "the API's listener"

    @property
    def _urls(self) -> list[str]:
        """Where to send; without a listener of its own, relative to the API's."""
        path = (UPLOADS, self.context.routing_key)
        host = self._port.getHost() if self._port is not None else None
        if isinstance(host, IPv4Address | IPv6Address):
            is_tls = self.settings.tls is not None or self.settings.endpoint.startswith("ssl:")
            return [url("https" if is_tls else "http", host.host, host.port, *path)]
        return [] if self.settings.endpoint else ["".join(f"/{quote(segment, safe='')}" for segment in path)]

    def status(self) -> dict[str, Any]:
        """See `IDatasource.status`."""
        return {
            "state": "listening",
            "address": f"{self._where}, /i/{self.context.routing_key}",
            "urls": self._urls,
            **self.counts,
        }
