"""A resource that tells the time, for sensors that have no clock of their own (Efento)."""

from __future__ import annotations

from collections.abc import Callable

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.message import Message, options
from iotgw.wire.coap.site import Resource
from iotgw.wire.coap.timing import Policy


class ClockResource(Resource):
    """Answers with the seconds since 1970 UTC as four bytes, the highest first: GET with 2.05, POST with 2.01.

    The date is that of ``date_ms()``, in ms since 1970. Efento's own server answers a sensor's POST like this, and
    ThingsBoard a GET. Nothing is stored.
    """

    methods = frozenset((n.GET, n.POST))

    def __init__(self, date_ms: Callable[[], int], policy: Policy) -> None:
        self.policy = policy
        self._date_ms = date_ms

    def render(self, request: Message, exchange: Exchange) -> None:
        """Tell the time."""
        now = (self._date_ms() // 1000 & 0xFFFFFFFF).to_bytes(4, "big")
        code = n.CONTENT if request.code == n.GET else n.CREATED
        exchange.reply(Message(code, now, options((n.CONTENT_FORMAT, n.OCTET_STREAM))))
