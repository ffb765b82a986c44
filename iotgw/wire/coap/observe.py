"""Observing resources (RFC 7641), server side: who is notified of changes, and when an observation ends."""

from __future__ import annotations

from collections.abc import Callable

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.exchange import Exchange, Responder
from iotgw.wire.coap.message import Message, encode
from iotgw.wire.coap.message_layer import MessageLayer
from iotgw.wire.coap.peers import Peer
from iotgw.wire.coap.site import Resource

CONFIRM_INTERVAL = 24 * 3600.0
"""Seconds after which a notification must be Confirmable (RFC 7641 §4.5)."""
MAX_PER_PEER = 16
"""Observations of one peer: a device watches a few resources."""
REGISTER = 0
DEREGISTER = 1

Key = tuple[int, bytes]
"""An observer: a peer's serial and its token."""


class Observation:
    """One observer of one resource."""

    __slots__ = (
        "confirmed",
        "format",
        "in_flight",
        "is_stale",
        "key",
        "mid",
        "number",
        "peer",
        "request",
        "resource",
    )

    def __init__(self, key: Key, peer: Peer, resource: Resource, request: Message, now: float) -> None:
        self.key = key
        self.peer = peer
        self.resource = resource
        self.request = request
        self.number = 0
        self.format: bytes | None = None
        self.in_flight = False  # a Confirmable notification is not acknowledged yet
        self.is_stale = False  # the state changed meanwhile
        self.confirmed = now
        self.mid = -1  # and peer of the last Non-confirmable notification, which a Reset may name

    def next_number(self) -> int:
        """The next sequence number (RFC 7641 §4.4)."""
        self.number = (self.number + 1) & 0xFFFFFF
        return self.number


def _nowhere(*what: object) -> None:
    """Deliver nothing: somebody wants to know only how a response would go out."""


class Notification(Exchange, eq=False):
    """An exchange without a request of its own: what a resource replies is sent as a notification."""

    deliver: Callable[..., None] = _nowhere
    """Takes what `reply` takes."""

    @classmethod
    def of(
        cls, endpoint: Responder, observation: Observation, deliver: Callable[..., None] = _nowhere
    ) -> Notification:
        """The next notification of an observation."""
        request = observation.request
        exchange = cls(
            endpoint, observation.peer, request, request.type, request.mid, request.token, -1, 0.0, deliver=deliver
        )  # fmt: skip
        exchange.policy = observation.resource.policy.within(observation.peer.block_size)
        exchange.acknowledged = True
        return exchange

    def reply(
        self,
        response: Message,
        on_acknowledged: Callable[[], None] | None = None,
        on_lost: Callable[[str], None] | None = None,
    ) -> None:
        """Send the notification."""
        self.replied = True
        self.deliver(response, on_acknowledged, on_lost)


class Observers:
    """The observations of an endpoint, at most ``limit``.

    ``render(resource, request, exchange)`` has a resource answer an exchange; ``shape(observation, response, now)`` makes
    of that what goes out.
    """

    def __init__(
        self,
        layer: MessageLayer,
        limit: int,
        render: Callable[[Resource, Message, Exchange], None],
        shape: Callable[[Observation, Message, float], Message],
    ) -> None:
        self._layer = layer
        self._limit = limit
        self._render = render
        self._shape = shape
        self._all: dict[Key, Observation] = {}
        self._by_resource: dict[Resource, dict[Key, Observation]] = {}
        self._per_peer: dict[int, int] = {}
        self._rendering: set[Resource] = set()
        self._by_mid: dict[int, Observation] = {}  # of their last Non-confirmable notifications

    def __len__(self) -> int:
        return len(self._all)

    def register(self, exchange: Exchange, resource: Resource, response: Message, now: float) -> int | None:
        """Add the observer of a request that got this response: its first sequence number, None if there is
        no room. A request with a known token refreshes the observation (RFC 7641 §4.1)."""
        key = exchange.peer.serial, exchange.token
        observation = self._all.get(key)
        if observation is None or observation.resource is not resource:
            self.remove(key)
            watching = self._by_resource.setdefault(resource, {})
            of_peer = self._per_peer.get(key[0], 0)
            if (
                len(self._all) >= self._limit
                or len(watching) >= resource.policy.max_observers
                or of_peer >= MAX_PER_PEER
            ):
                if not watching:
                    del self._by_resource[resource]
                return None
            self._per_peer[key[0]] = of_peer + 1
            observation = Observation(key, exchange.peer, resource, exchange.request, now)
            exchange.peer.pins += 1
            self._all[key] = watching[key] = observation
            resource.observed(exchange.request, exchange.remote, key)
        observation.request = exchange.request
        observation.format = response.options.get(n.CONTENT_FORMAT)
        return observation.next_number()

    def remove(self, key: Key) -> None:
        """End an observation."""
        observation = self._all.pop(key, None)
        if observation is None:
            return
        observation.peer.pins -= 1
        left = self._per_peer[key[0]] - 1
        if left:
            self._per_peer[key[0]] = left
        else:
            del self._per_peer[key[0]]
        self._by_mid.pop(observation.mid, None)
        watching = self._by_resource[observation.resource]
        del watching[key]
        if not watching:
            del self._by_resource[observation.resource]
        observation.resource.unobserved(key)

    def reset(self, peer: Peer, mid: int) -> bool:
        """A Non-confirmable notification was reset: its observer has gone (RFC 7641 §3.6)."""
        observation = self._by_mid.get(peer.serial << 16 | mid)
        if observation is None:
            return False
        self.remove(observation.key)
        return True

    def forget(self, peer: Peer) -> None:
        """A peer is gone."""
        for key in [key for key in self._all if key[0] == peer.serial]:
            self.remove(key)

    def count(self, resource: Resource) -> int:
        """Number of observers of a resource."""
        return len(self._by_resource.get(resource, ()))

    def changed(
        self, resource: Resource, now: float, rest: tuple[str, ...] | None = None, only: Key | None = None
    ) -> None:
        """Notify the observers of a resource: with ``rest``, those of paths that end in it, with ``only``, that one."""
        if resource in self._rendering:
            return  # a change made while the resource is rendered for its observers is not notified again
        self._rendering.add(resource)
        try:
            for observation in list(self._by_resource.get(resource, {}).values()):
                path = observation.request.options.path
                if only is not None and observation.key != only:
                    continue
                if rest is None or path[len(path) - len(rest) :] == rest:
                    self._notify(observation, now)
        finally:
            self._rendering.discard(resource)

    def drop(self, resource: Resource, response: Message) -> None:
        """The resource is gone: notify its observers and remove them (RFC 7641 §4.2)."""
        now = self._layer.clock()
        for observation in list(self._by_resource.get(resource, {}).values()):
            self._deliver(observation, response, now)

    def _notify(self, observation: Observation, now: float) -> None:
        if observation.in_flight:
            observation.is_stale = True  # the newest state goes out when this one has arrived
            return
        exchange = Notification.of(
            self._layer,
            observation,
            lambda response, *outcome: self._deliver(observation, response, now, *outcome),
        )
        self._render(observation.resource, observation.request, exchange)

    def _deliver(
        self,
        observation: Observation,
        response: Message,
        now: float,
        on_acknowledged: Callable[[], None] | None = None,
        on_lost: Callable[[str], None] | None = None,
    ) -> None:
        if self._all.get(observation.key) is not observation:
            if on_lost is not None:
                on_lost("the observer has gone")
            return
        if response.code < n.BAD_REQUEST and response.options.get(n.CONTENT_FORMAT) != observation.format:
            # a client can't follow a change of the format (RFC 7641 §4.2)
            response = Message(n.NOT_ACCEPTABLE)
        if response.code >= n.BAD_REQUEST:
            self.remove(observation.key)
        elif observation.in_flight:
            observation.is_stale = True
            if on_lost is not None:
                on_lost("an earlier notification is still under way")
            return
        self._send(observation, response, now, on_acknowledged, on_lost)

    def _send(
        self,
        observation: Observation,
        response: Message,
        now: float,
        on_acknowledged: Callable[[], None] | None,
        on_lost: Callable[[str], None] | None,
    ) -> None:
        layer, peer, policy = self._layer, observation.peer, observation.resource.policy
        if response.code < n.BAD_REQUEST:
            response = self._shape(observation, response, now)
        mid = peer.next_mid()
        must_confirm = on_acknowledged is not None
        is_due = must_confirm or now - observation.confirmed >= CONFIRM_INTERVAL
        type_ = n.CON if policy.confirmable_notifications or is_due else n.NON
        token = observation.key[1]
        data = encode(type_, response.code, mid, token, response.options, response.payload)
        if type_ == n.NON:
            self._by_mid.pop(observation.mid, None)
            observation.mid = peer.serial << 16 | mid
            self._by_mid[observation.mid] = observation
            layer.send(data, peer.remote)
            return
        observation.in_flight = True
        layer.transmissions.start(
            peer,
            mid,
            data,
            policy.timing,
            now,
            lambda message: self._arrived(observation, on_acknowledged),
            lambda reason: self._lost(observation, reason, on_lost),
        )

    def _lost(self, observation: Observation, reason: str, on_lost: Callable[[str], None] | None) -> None:
        self.remove(observation.key)
        if on_lost is not None:
            on_lost(reason)

    def _arrived(self, observation: Observation, on_acknowledged: Callable[[], None] | None) -> None:
        if on_acknowledged is not None:
            on_acknowledged()
        now = self._layer.clock()
        observation.in_flight = False
        observation.confirmed = now
        if observation.is_stale and self._all.get(observation.key) is observation:
            observation.is_stale = False
            self._notify(observation, now)
