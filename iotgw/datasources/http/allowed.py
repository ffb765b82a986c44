"""A listener of a datasource's own: whom it doesn't allow is not even heard."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory
from zope.interface import implementer

from iotgw.core.networks import NOT_ALLOWED, Networks
from iotgw.core.ports.intake import Reason


@implementer(IProtocolFactory)
class AllowedFactory:
    """Hands the connections of allowed addresses to ``factory``, and closes others; ``refuse`` is told of them. Those of a
    proxy (``is_proxy``) are let in: it speaks for others, and each request says for whom."""

    def __init__(
        self,
        allow: Networks,
        refuse: Callable[[Reason, str, str], None],
        factory: IProtocolFactory,
        is_proxy: Callable[[str], bool] = lambda address: False,
    ) -> None:
        self._is_proxy = is_proxy
        self._allow = allow
        self._refuse = refuse
        self._factory = factory

    def doStart(self) -> None:
        """See `IProtocolFactory.doStart`."""
        self._factory.doStart()

    def doStop(self) -> None:
        """See `IProtocolFactory.doStop`."""
        self._factory.doStop()

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        """See `IProtocolFactory.buildProtocol`."""
        host = str(getattr(addr, "host", ""))
        if not (self._allow.has(host) or self._is_proxy(host)):
            self._refuse("network", host, NOT_ALLOWED)
            return None
        return self._factory.buildProtocol(addr)
