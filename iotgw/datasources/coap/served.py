"""CoAP datasources whose messages an envelope reads, on the ports of the ``coap`` datasources.

They have a path instead of a routing key. By default they serve every path that no other datasource has.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta
from zope.interface import implementer

from iotgw.core.needs import REST, Need
from iotgw.core.ports.datasources import DatasourceContext, IChecksAddresses, IListens, INeeds
from iotgw.core.ports.reactor import IReactor
from iotgw.datasources.coap.datasource import CoapDatasource, paths_of, ports_of
from iotgw.datasources.coap.port import CoapPort
from iotgw.datasources.coap.settings import CoapSettings
from iotgw.datasources.openness import unproved
from iotgw.envelopes.envelope import Envelope
from iotgw.wire.coap.site import Path, Resource, parse_path


class ServedCoapSettings(CoapSettings, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of ``coap``, and the path."""

    path: Annotated[
        str,
        Meta(
            description="Path that is served, with all below it; empty is every path that no other datasource "
            "has."
        ),
    ] = ""


@implementer(INeeds, IChecksAddresses, IListens)
class ServedCoapType:
    """A kind of CoAP datasource: a name, settings, and the envelope that they make."""

    name: str
    settings: type[ServedCoapSettings]

    def __init__(self, reactor: IReactor) -> None:
        self._reactor = reactor

    def envelope(self, settings: Any) -> Envelope:
        """The envelope of a datasource with these settings."""
        raise NotImplementedError

    def build(self, settings: Any, context: DatasourceContext) -> ServedCoapDatasource:
        """See `IDatasourceType.build`."""
        return ServedCoapDatasource(settings, context, self.envelope(settings))

    def open_to_all(self, settings: Any, context: DatasourceContext) -> str:
        """See `IListens.open_to_all`."""
        return "" if settings.security_mode == "DTLS" else unproved(settings.interface)

    def needs(self, settings: Any, context: DatasourceContext) -> list[Need]:
        """See `INeeds.needs`."""
        return [*ports_of(settings), *paths_of(settings, [(*parse_path(settings.path), REST)])]


class ServedCoapDatasource(CoapDatasource):
    """A path instead of a routing key."""

    settings: ServedCoapSettings

    def _make_resources(self, port: CoapPort) -> dict[Path, Resource]:
        return {**self._make_fixed(port), parse_path(self.settings.path): self._uplink(port)}
