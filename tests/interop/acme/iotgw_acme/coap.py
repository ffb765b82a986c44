"""``acme-coap``: devices that POST to ``/acme/{routingKey}``, on a CoAP port that other datasources use as well."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from msgspec import Meta, Struct
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from iotgw.extension import (
    Answer,
    CoapExchange,
    CoapMessage,
    CoapPorts,
    CoapResource,
    CoapShare,
    DatasourceContext,
    IDatasource,
    INeeds,
    IReactor,
    Need,
    Status,
    UdpPort,
    coap_error,
    coap_numbers,
)


class AcmeCoapSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of an ``acme-coap`` datasource."""

    port: Annotated[int, Meta(ge=0, le=65535, description="UDP port; shared with others.")] = 5683
    interface: Annotated[str, Meta(description="Address to listen on.")] = "0.0.0.0"


@implementer(INeeds)
class AcmeCoapType:
    """The ``acme-coap`` datasources of a gateway."""

    name = "acme-coap"
    settings = AcmeCoapSettings

    def __init__(self, reactor: IReactor) -> None:
        pass

    def build(self, settings: AcmeCoapSettings, context: DatasourceContext) -> IDatasource:
        return AcmeCoap(settings, context)

    def needs(self, settings: AcmeCoapSettings, context: DatasourceContext) -> Sequence[Need]:
        return [UdpPort(settings.interface, settings.port, "coap")]


@implementer(IDatasource)
class AcmeCoap:
    """One path of the port."""

    def __init__(self, settings: AcmeCoapSettings, context: DatasourceContext) -> None:
        self._settings = settings
        self._context = context
        self._share: CoapShare | None = None

    def start(self) -> Deferred[None]:
        context, settings = self._context, self._settings
        share = context.shared(CoapPorts).open(context, settings.interface, settings.port)
        try:
            share.serve({("acme", context.routing_key): AcmeResource(context, share)})
        except Exception:
            share.close()
            raise
        self._share = share
        return succeed(None)

    def stop(self) -> Deferred[None]:
        share, self._share = self._share, None
        return share.close() if share is not None else succeed(None)

    def status(self) -> dict:
        if self._share is None:
            return {"state": "stopped"}
        host, port = self._share.port.address[:2]
        return {"state": "listening", "address": f"udp {host}:{port}"}


class AcmeResource(CoapResource):
    """Takes messages, and answers when they are durable."""

    methods = frozenset((coap_numbers.POST,))

    def __init__(self, context: DatasourceContext, share: CoapShare) -> None:
        self._intake = context.intake
        self._share = share

    def render(self, request: CoapMessage, exchange: CoapExchange) -> None:
        answered = partial(self._answered, exchange)
        self._intake.receive(request.payload, {"protocol": "acme"}, answered, listens=False)

    def _answered(self, exchange: CoapExchange, answer: Answer) -> None:
        if answer.status is Status.STORED:
            exchange.reply(CoapMessage(coap_numbers.CHANGED, b"thank you"))
        else:
            exchange.reply(coap_error(coap_numbers.SERVICE_UNAVAILABLE, answer.status.name))
        self._share.sent()
