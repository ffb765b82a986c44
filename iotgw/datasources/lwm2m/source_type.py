"""The type of ``lwm2m`` datasources: what they need, and what they leave."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from iotgw.core.needs import REST, CoapPath, HttpMount, Need
from iotgw.core.ports.datasources import DatasourceContext, IChecksAddresses, IForgets, IListens, INeeds
from iotgw.core.ports.reactor import IReactor
from iotgw.datasources.coap.datasource import ports_of
from iotgw.datasources.lwm2m.datasource import Lwm2mDatasource
from iotgw.datasources.lwm2m.images import PLACE
from iotgw.datasources.lwm2m.settings import Lwm2mSettings
from iotgw.datasources.openness import unproved
from iotgw.wire.coap.site import parse_path


@implementer(INeeds, IChecksAddresses, IListens, IForgets)
class Lwm2mType:
    """The ``lwm2m`` datasources of a gateway."""

    name = "lwm2m"
    settings = Lwm2mSettings

    def __init__(self, reactor: IReactor) -> None:
        self._reactor = reactor

    def build(self, settings: Lwm2mSettings, context: DatasourceContext) -> Lwm2mDatasource:
        """See `IDatasourceType.build`."""
        return Lwm2mDatasource(settings, context)

    def open_to_all(self, settings: Lwm2mSettings, context: DatasourceContext) -> str:
        """See `IListens.open_to_all`."""
        return "" if settings.security_mode == "DTLS" else unproved(settings.interface)

    def needs(self, settings: Lwm2mSettings, context: DatasourceContext) -> list[Need]:
        """See `INeeds.needs`."""
        ports = ports_of(settings.coap)
        prefix = parse_path(settings.path)
        found: list[Need] = [*ports]
        if settings.firmware.http_url:
            found.append(HttpMount((PLACE, context.id)))
        images = ((*prefix, PLACE, REST),) if settings.firmware.host else ()
        for port in ports:
            if not hasattr(port, "protocol"):
                continue
            for path in ((*prefix, "rd", REST), (*prefix, "dp"), *images):
                found.append(CoapPath(port.interface, port.port, port.protocol, path))
        return found

    def forget(
        self, settings: Lwm2mSettings, context: DatasourceContext, successor: Any
    ) -> Deferred[None] | None:
        """See `IForgets.forget`: a datasource that is deleted leaves no registrations."""
        if successor is not None or context.kept is None:
            return None
        return context.kept.drop(context.id)
