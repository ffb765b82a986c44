"""Downlinks for a device that observes: ``/i/{routingKey}/downlink/{device}`` sends it its items as notifications, and a
plain GET there takes the next one."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Hashable
from functools import partial

from iotgw.core.model import Downlink
from iotgw.core.ports.intake import IIntake
from iotgw.datasources.coap.port import CoapPort, address_of
from iotgw.dtls.session import DtlsSession
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.message import Message, error, options
from iotgw.wire.coap.site import Resource
from iotgw.wire.coap.timing import Policy

Key = tuple[int, bytes]
"""An observation, see `Resource.observed`."""
SEGMENT = "downlink"
MAX_PENDING = 100
"""Items that may wait while an observer has not acknowledged the previous one."""


class DownlinkResource(Resource):
    """The items of the device named by the path; observable. ``sent()`` is called after a message was sent
    outside of a datagram's handling."""

    methods = frozenset((n.GET,))
    takes_rest = True
    is_observable = True
    expected = f"expected …/{SEGMENT}/{{device}}"
    objection: Callable[[Hashable, str], str] | None = None
    """Says why a peer may not take a device's items; an empty text if it may."""

    def __init__(self, intake: IIntake, policy: Policy, port: CoapPort, confirm: bool = True) -> None:
        self.policy = policy
        self._confirm = confirm
        self._intake = intake
        self._port = port
        self._pending: dict[str, deque[Downlink]] = {}
        self._gone: dict[Key, tuple[str, Callable[[], None]]] = {}
        self.place: Resource = self
        """What is observed: this, or the resource that passes requests on to this."""

    def device_of(self, request: Message, remote: Hashable) -> str:
        """The device whose items a request is about; empty if it names none."""
        path = request.options.path
        return "/".join(path[path.index(SEGMENT) + 1 :])

    def can_be_observed(self, request: Message) -> bool:
        """Whether the path names a device's items; only these can be observed."""
        return bool(self.device_of(request, None))

    def render(self, request: Message, exchange: Exchange) -> None:
        """Reply with the device's next item, or with nothing when there is none."""
        device = self.device_of(request, exchange.remote)
        if not device:
            exchange.reply(error(n.BAD_REQUEST, self.expected))
            return
        if self.objection is not None and (objection := self.objection(exchange.remote, device)):
            self._intake.refuse("identity", address_of(exchange.remote), objection)
            exchange.reply(error(n.UNAUTHORIZED, objection))
            return
        waiting = self._pending.get(device)
        if waiting:
            self._reply(exchange, waiting.popleft())
            return
        self._intake.downlinks(device).addCallback(partial(self._taken, exchange))

    def observed(self, request: Message, remote: Hashable, key: Key) -> None:
        """A device begins to observe: from now on its items are sent at once."""
        device = self.device_of(request, remote)
        if key not in self._gone:
            self._gone[key] = device, self._intake.reachable(device, partial(self._send, device, key))

    def unobserved(self, key: Key) -> None:
        """A device stops observing: unsent items go back into the queue."""
        if key not in self._gone:
            return
        device, gone = self._gone.pop(key)
        gone()
        if all(device != other for other, _ in self._gone.values()):
            for downlink in self._pending.pop(device, ()):
                self._intake.downlink_lost(downlink, "the device stopped observing")

    def _send(self, device: str, key: Key, downlinks: tuple[Downlink, ...]) -> None:
        waiting = self._pending.setdefault(device, deque())
        for downlink in downlinks:
            if len(waiting) >= MAX_PENDING:
                self._intake.downlink_lost(downlink, "too many wait for the observer")
            else:
                waiting.append(downlink)
        self._port.endpoint.changed(self.place, only=key)
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


class UplinkPathDownlinks(DownlinkResource):
    """The items of a device at the path of its uplinks, ``/i/{routingKey}``: of the device that the sender proved to be, or
    that is named behind the routing key. ThingsBoard's devices observe below the path of their telemetry, too."""

    expected = "expected the device behind the routing key, or one that proves what it is"

    def __init__(
        self,
        intake: IIntake,
        policy: Policy,
        port: CoapPort,
        confirm: bool,
        routing_key: str,
        place: Resource,
    ) -> None:
        super().__init__(intake, policy, port, confirm)
        self._key = "i", routing_key
        self.place = place

    def device_of(self, request: Message, remote: Hashable) -> str:
        """See `DownlinkResource.device_of`."""
        path = request.options.path
        behind = next(at + 2 for at, pair in enumerate(itertools.pairwise(path)) if pair == self._key)
        proved = remote.identity.device if isinstance(remote, DtlsSession) else ""
        return "/".join(path[behind:]) or proved
