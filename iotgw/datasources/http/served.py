"""Where a datasource is served over HTTP: at its paths, on the API's listener or on one of its own, with its certificate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import LoopingCall
from twisted.web.resource import IResource

from iotgw.core.errors import SettingsError
from iotgw.core.pem import Files
from iotgw.core.ports.datasources import DatasourceContext
from iotgw.core.urls import url
from iotgw.datasources.http.allowed import AllowedFactory
from iotgw.datasources.http.listener import Listener
from iotgw.datasources.http.mounts import HttpMounts, MountRoot, Segments
from iotgw.datasources.http.proxied import ProxiedFactory
from iotgw.datasources.http.server_tls import RenewableContext, ServerTls, TlsFactory

LOOK = 5.0
"""Seconds between looks whether a certificate's file has changed."""


class Served:
    """The listener and the paths of a datasource. Without a ``listener`` it is the API's; ``max_body`` are the bytes of the largest
    request on one of its own."""

    def __init__(
        self,
        context: DatasourceContext,
        listener: Listener | None,
        tls: ServerTls | None,
        paths: Sequence[Segments],
        max_body: int,
    ) -> None:
        self._context = context
        self._listener = listener
        self._tls = tls
        self._paths = paths
        self._max_body = max_body
        self._unmount: list[Callable[[], None]] = []
        self._port: IListeningPort | None = None
        self._looking: LoopingCall | None = None

    def open(self, resource: IResource, is_for_all_sites: bool = False) -> Deferred[None]:
        """Serve a resource at each path; fires when it can be reached. Fails with SettingsError."""
        context, listener = self._context, self._listener
        shared = context.shared(HttpMounts)
        mounts = shared if listener is None else shared.elsewhere(f"http {listener}")
        for path in self._paths:
            try:
                self._unmount.append(mounts.add(path, resource, is_for_all_sites, context.intake.refuse))
            except SettingsError:
                self.leave()
                raise
        if listener is None:
            return succeed(None)
        reading = context.read_files(self._tls.files if self._tls is not None else [])
        return reading.addCallback(self._listen, listener, mounts)

    def leave(self) -> None:
        """Serve nothing more."""
        for unmount in self._unmount:
            unmount()
        self._unmount.clear()

    def close(self) -> Deferred[Any]:
        """Serve nothing more, and close the listener."""
        self.leave()
        if self._looking is not None and self._looking.running:
            self._looking.stop()
        return maybeDeferred(self._port.stopListening) if self._port is not None else succeed(None)

    @property
    def where(self) -> str:
        """The listener, for people."""
        return str(self._listener or "the API's listener")

    @property
    def urls(self) -> list[str]:
        """Where to send; without a listener of its own, relative to the API's."""
        host = self._port.getHost() if self._port is not None else None
        if isinstance(host, IPv4Address | IPv6Address):
            scheme = "https" if self._tls is not None else "http"
            return [url(scheme, host.host, host.port, *path) for path in self._paths]
        if self._listener is not None:
            return []
        return ["".join(f"/{quote(segment, safe='')}" for segment in path) for path in self._paths]

    def _listen(self, files: Files, listener: Listener, mounts: HttpMounts) -> None:
        context = self._context
        factory: Any = mounts.make_site(MountRoot(mounts), self._max_body)
        if self._tls is not None:
            certified = RenewableContext(self._tls, files, self._report)
            factory = TlsFactory(certified, factory)
        if context.allow:
            factory = AllowedFactory(context.allow, context.intake.refuse, factory, mounts.proxies.has)
        if mounts.proxies.begin_connections():
            factory = ProxiedFactory(
                mounts.proxies, partial(context.intake.refuse, "network"), context.reactor, factory
            )
        self._port = context.reactor.listenTCP(listener.port, factory, interface=listener.interface)
        if self._tls is not None and self._tls.files:
            self._look_after(certified, self._tls.files)

    def _look_after(self, certified: RenewableContext, names: list[str]) -> None:
        self._looking = LoopingCall(lambda: self._context.read_files(names).addCallback(certified.renew))
        self._looking.clock = self._context.reactor
        self._looking.start(LOOK, now=False)

    def _report(self, message: str) -> None:
        self._context.intake.event("certificate", message)
