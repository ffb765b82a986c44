"""Downlinks for a device that observes: ``/i/{routingKey}/downlink/{device}`` sends it its items as notifications, and a
plain GET there takes the next one."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Hashable
from functools import partial

from iotgw.core.model import Downlink
from iotgw.core.ports.intake import IIntake
from iotgw.core.proof import Proved
from iotgw.datasources.coap.port import CoapPort, address_of
from iotgw.dtls.session import DtlsSession
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.message import Message, error, options
from iotgw.wire.coap.observe import Notification
from iotgw.wire.coap.site import Resource
from iotgw.wire.coap.timing import Policy

Key = tuple[int, bytes]
"""An observation, see `Resource.observed`."""
SEGMENT = "downlink"
MAX_PENDING = 100
"""Items that may wait while an observer has not acknowledged the previous one."""


class DownlinkResource(Resource):
    """The items of the device named by the path; observable. ``sent()`` is called after a message was sent
    outside of a datagram's handling.

    A device that has lost its session observes again over the next one, while the observation over the old one still
    stands. So of several observations of a device, the one that began last gets the items; when it ends, what waits goes to
    the one before.
    """

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
        self._observing: dict[str, list[Key]] = {}  # by device, the newest one last
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
        if isinstance(exchange, Notification) and self._is_older(device, exchange):
            return  # its observer is not told, and the newest one is sent what waits
        waiting = self._pending.get(device)
        if waiting:
            self._reply(device, exchange, waiting.popleft())
            return
        self._intake.downlinks(device, 1, proved_by(exchange.remote)).addCallback(
            partial(self._taken, device, exchange)
        )

    def observed(self, request: Message, remote: Hashable, key: Key) -> None:
        """A device begins to observe: from now on its items are sent at once."""
        device = self.device_of(request, remote)
        if key not in self._gone:
            self._observing.setdefault(device, []).append(key)
            send = partial(self._send, device)
            self._gone[key] = device, self._intake.reachable(device, send, proved_by(remote))

    def unobserved(self, key: Key) -> None:
        """A device stops observing: unsent items go to its next observation, or back into the queue."""
        if key not in self._gone:
            return
        device, gone = self._gone.pop(key)
        gone()
        observing = self._observing[device]
        was_newest = observing[-1] == key
        observing.remove(key)
        if not observing:
            del self._observing[device]
            for downlink in self._pending.pop(device, ()):
                self._intake.downlink_lost(downlink, "the device stopped observing")
        elif was_newest:
            self._tell(device)

    def _send(self, device: str, downlinks: tuple[Downlink, ...]) -> None:
        waiting = self._pending.setdefault(device, deque())
        for downlink in downlinks:
            if len(waiting) >= MAX_PENDING:
                self._intake.downlink_lost(downlink, "too many wait for the observer")
            else:
                waiting.append(downlink)
        self._tell(device)

    def _tell(self, device: str) -> None:
        """Have the newest observer of a device sent what waits; one that may not have it is removed meanwhile."""
        told: Key | None = None
        while self._pending.get(device) and device in self._observing:
            newest = self._observing[device][-1]
            if newest == told:
                break
            told = newest
            self._port.endpoint.changed(self.place, only=newest)
        self._port.sent()

    def _is_older(self, device: str, exchange: Exchange) -> bool:
        """Whether a device has a newer observation than that of an exchange."""
        observing = self._observing.get(device)
        return observing is not None and observing[-1] != (exchange.peer.serial, exchange.token)

    def _taken(self, device: str, exchange: Exchange, downlinks: tuple[Downlink, ...]) -> None:
        if downlinks:
            self._reply(device, exchange, downlinks[0])
        else:
            exchange.reply(Message(n.CONTENT, b"", options((n.CONTENT_FORMAT, n.OCTET_STREAM))))
        self._port.sent()

    def _reply(self, device: str, exchange: Exchange, downlink: Downlink) -> None:
        # All notifications have one format, since it must not change (RFC 7641 §4.2).
        content = Message(n.CONTENT, downlink.payload, options((n.CONTENT_FORMAT, n.OCTET_STREAM)))
        if self._confirm and len(downlink.payload) <= exchange.policy.block_size:
            # a separate message is acknowledged, so the next item follows at once
            exchange.acknowledge()
        self._intake.downlink_sent(downlink)
        exchange.reply(
            content,
            partial(self._delivered, device, downlink),
            partial(self._intake.downlink_lost, downlink),
        )

    def _delivered(self, device: str, downlink: Downlink) -> None:
        self._intake.downlink_delivered(downlink)
        self._tell(device)


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
        return "/".join(path[behind:]) or proved_by(remote)


def proved_by(remote: Hashable) -> Proved:
    """The device that a peer has proved to be; empty for none."""
    return remote.proved if isinstance(remote, DtlsSession) else ""
