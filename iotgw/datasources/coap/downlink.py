"""Downlinks for a device that observes: ``/i/{routingKey}/downlink/{device}`` sends it its items as notifications, and a
plain GET there takes the next one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from functools import partial

from iotgw.core.model import Downlink
from iotgw.core.ports.intake import IIntake
from iotgw.datasources.coap.port import CoapPort
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.message import Message, error, options
from iotgw.wire.coap.site import Resource
from iotgw.wire.coap.timing import Policy

SEGMENT = "downlink"
MAX_PENDING = 100
"""Items that may wait while an observer has not acknowledged the previous one."""


class DownlinkResource(Resource):
    """The items of the device named by the path; observable. ``sent()`` is called after a message was sent
    outside of a datagram's handling."""

    methods = frozenset((n.GET,))
    takes_rest = True
    is_observable = True
    objection: Callable[[Hashable, str], str] | None = None
    """Says why a peer may not take a device's items; an empty text if it may."""

    def __init__(self, intake: IIntake, policy: Policy, port: CoapPort, confirm: bool = True) -> None:
        self.policy = policy
        self._confirm = confirm
        self._intake = intake
        self._port = port
        self._pending: dict[str, deque[Downlink]] = {}
        self._gone: dict[tuple[int, bytes], Callable[[], None]] = {}

    def can_be_observed(self, request: Message) -> bool:
        """Whether the path names a device's items; only these can be observed."""
        return bool(_device(request))

    def render(self, request: Message, exchange: Exchange) -> None:
        """Reply with the device's next item, or with nothing when there is none."""
        device = _device(request)
        if not device:
            exchange.reply(error(n.BAD_REQUEST, f"expected …/{SEGMENT}/{{device}}"))
            return
        if self.objection is not None and (objection := self.objection(exchange.remote, device)):
            exchange.reply(error(n.UNAUTHORIZED, objection))
            return
        waiting = self._pending.get(device)
        if waiting:
            self._reply(exchange, waiting.popleft())
            return
        self._intake.downlinks(device).addCallback(partial(self._taken, exchange))

    def observed(self, request: Message, remote: Hashable, key: tuple[int, bytes]) -> None:
        """A device begins to observe: from now on its items are sent at once."""
        device = _device(request)
        if key not in self._gone:
            self._gone[key] = self._intake.reachable(device, partial(self._send, device))

    def unobserved(self, key: tuple[int, bytes]) -> None:
        """A device stops observing: unsent items go back into the queue."""
        gone = self._gone.pop(key, None)
        if gone is not None:
            gone()
        if not self._gone:
            for waiting in self._pending.values():
                for downlink in waiting:
                    self._intake.downlink_lost(downlink, "the device stopped observing")
            self._pending.clear()

    def _send(self, device: str, downlinks: tuple[Downlink, ...]) -> None:
        waiting = self._pending.setdefault(device, deque())
        for downlink in downlinks:
            if len(waiting) >= MAX_PENDING:
                self._intake.downlink_lost(downlink, "too many wait for the observer")
            else:
                waiting.append(downlink)
        self._port.endpoint.changed(self, (device,))
        self._port.sent()

    def _taken(self, exchange: Exchange, downlinks: tuple[Downlink, ...]) -> None:
        if downlinks:
            self._reply(exchange, downlinks[0])
        else:
            exchange.reply(Message(n.CONTENT, b"", options((n.CONTENT_FORMAT, n.OCTET_STREAM))))
        self._port.sent()

    def _reply(self, exchange: Exchange, downlink: Downlink) -> None:
        # All notifications have one format, since it must not change (RFC 7641 §4.2).
        content = Message(n.CONTENT, downlink.payload, options((n.CONTENT_FORMAT, n.OCTET_STREAM)))
        if self._confirm and len(downlink.payload) <= exchange.policy.block_size:
            # a separate message is acknowledged, so the next item follows at once
            exchange.acknowledge()
        self._intake.downlink_sent(downlink)
        exchange.reply(
            content,
            partial(self._intake.downlink_delivered, downlink),
            partial(self._intake.downlink_lost, downlink),
        )


def _device(request: Message) -> str:
    """The part of a request's path after ``…/downlink/``."""
    path = request.options.path
    return "/".join(path[path.index(SEGMENT) + 1 :])
