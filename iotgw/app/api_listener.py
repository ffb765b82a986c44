"""The API's listener: with a certificate where the settings name one, and behind the proxies that they trust."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import LoopingCall

from iotgw.api.app import api_site
from iotgw.api.site import ApiSite
from iotgw.app.ordered import PartService
from iotgw.app.parts import Gateway
from iotgw.config.settings import TlsSection
from iotgw.core.errors import SettingsError
from iotgw.core.model import DEFAULT_TENANT
from iotgw.core.ports.reactor import IReactor
from iotgw.datasources.http.proxied import ProxiedFactory
from iotgw.datasources.http.served import LOOK
from iotgw.datasources.http.server_tls import RenewableContext, ServerTls, TlsFactory
from iotgw.web import assets
from iotgw.web.console import Console


class ApiListener(PartService):
    """The listener of the API and of what datasources mount beside it. ``endpoint`` is Twisted's text for it, ``tls`` its
    certificate, whose files are read again when they change."""

    def __init__(self, gateway: Gateway, endpoint: str, tls: TlsSection | None, reactor: IReactor) -> None:
        super().__init__("api", self._listen, self._close)
        self._gateway = gateway
        self._endpoint = endpoint
        self._tls = ServerTls(certificate=tls.certificate, key=tls.key) if tls is not None else None
        self._looking: LoopingCall | None = None
        self._reactor = reactor
        self._port: IListeningPort | None = None

    async def _listen(self) -> None:
        parts = self._gateway.api
        mounts = self._gateway.mounts
        factory: Any = ApiSite(
            api_site(parts, mounts, Console(assets.load())),
            proxies=mounts.proxies,
            tell=partial(parts.doors.note, "api", "slow"),
        )
        if self._tls is not None:
            factory = TlsFactory(await self._certified(self._tls), factory)
        if mounts.proxies.begin_connections():
            refuse = partial(parts.doors.note, "api", "network")
            factory = ProxiedFactory(mounts.proxies, refuse, self._reactor, factory)
        try:
            self._port = await serverFromString(self._reactor, self._endpoint).listen(factory)
        except CannotListenError as error:
            reason = os.strerror(error.socketError.errno or 0)
            problem = f"can't listen on {self._endpoint} ({reason}); another program, or another gateway, may have that port: give another one"
            raise SettingsError("api", problem) from error

    async def _certified(self, tls: ServerTls) -> RenewableContext:
        """The context of the certificate, which is looked after from now on."""
        read = partial(self._gateway.certificates.read, DEFAULT_TENANT, tls.files)
        try:
            context = RenewableContext(tls, await read(), self._report)
        except SettingsError as error:
            raise SettingsError(error.path.replace("configuration.", ""), error.problem) from error
        self._looking = LoopingCall(lambda: read().addCallback(context.renew))
        self._looking.clock = self._reactor
        self._looking.start(LOOK, now=False)
        return context

    def _report(self, message: str) -> None:
        self._gateway.recorder.note("certificate", "gateway", "api", message, DEFAULT_TENANT, "info")

    async def _close(self) -> None:
        self._gateway.mounts.close()
        if self._looking is not None and self._looking.running:
            self._looking.stop()
        closed = self._port.stopListening() if self._port is not None else None
        if closed is not None:
            await closed

    @property
    def url(self) -> str:
        """The API's address as a user would type it; the endpoint's text if it is not a TCP port."""
        host = self._port.getHost() if self._port is not None else None
        if not isinstance(host, IPv4Address | IPv6Address):
            return self._endpoint
        scheme = "https" if self._tls is not None or self._endpoint.startswith("ssl:") else "http"
        name = f"[{host.host}]" if ":" in host.host else host.host
        return f"{scheme}://{name}:{host.port}"
