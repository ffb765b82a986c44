"""The message layer (RFC 7252 §4): decodes datagrams, recognizes duplicates, and sends replies.

Both roles share the Message IDs, the tokens and the table of unacknowledged messages. The contents of requests and
responses are handled by the layers above, known here as `Requests` and `Responses`.
"""

from __future__ import annotations

import random as random_module
from collections import deque
from collections.abc import Callable, Hashable
from random import Random
from typing import ParamSpec, Protocol

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.deduplication import ANY_CONTENT, REUSED, SILENCE, Remembered, content_of, reused_key
from iotgw.wire.coap.defence import bounded
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.limits import EndpointCounters, EndpointLimits
from iotgw.wire.coap.message import Decoder, FormatError, Message, encode, header
from iotgw.wire.coap.peers import Peer, Peers
from iotgw.wire.coap.timers import Timers
from iotgw.wire.coap.timing import Timing
from iotgw.wire.coap.transmission import Transmissions

Send = Callable[[bytes, Hashable], None]
Clock = Callable[[], float]
Notice = Callable[[str, Hashable, str], bool]
Failed = Callable[[BaseException, Message], None]
P = ParamSpec("P")
BARE_ACK = 0x40 | n.ACK << 4
"""The first byte of an acknowledgement, without the length of its token."""


class Requests(Protocol):
    """What takes requests: the server role."""

    def request(self, request: Message, exchange: Exchange, now: float) -> None:
        """Take a request that is no duplicate."""

    def shape(self, exchange: Exchange, response: Message) -> Message | None:
        """Fit a response to its request; None where the peer wants none."""

    def reset(self, peer: Peer, mid: int) -> bool:
        """A peer has reset a Non-confirmable message; returns whether that was a notification."""

    def changed_at(self, path: tuple[str, ...], now: float) -> None:
        """What is at a path has changed."""

    def forget(self, peer: Peer) -> None:
        """A peer is gone."""


class Responses(Protocol):
    """What takes separate responses: the client role."""

    def response(self, peer: Peer, message: Message, now: float) -> bool:
        """Take a separate response or a notification that is no copy, and call `MessageLayer.accept` when it may be
        acknowledged, now or later. Returns False if nobody waits for it, so that it is rejected."""

    def forget(self, peer: Peer) -> None:
        """A peer is gone."""


class MessageLayer:
    """Sends and takes messages; a base, to which `iotgw.wire.coap.endpoint.Endpoint` adds the two roles. It is a base
    rather than a part, since a call from one object to another costs time with each message.

    The arguments are those of `Endpoint`.

    Many methods: each kind of message has one for the way in, and each kind of reply one for the way out.
    """

    server: Requests
    client: Responses

    def __init__(
        self,
        send: Send,
        clock: Clock,
        timing: Timing,
        limits: EndpointLimits,
        random: Random | None,
        notice: Notice,
        failed: Failed,
    ) -> None:
        self.send = send
        self.clock = clock
        self.timing = timing
        self.limits = limits
        self.random = random or random_module.SystemRandom()
        self.notice = notice
        self._failed = failed
        self.resets_notifications = True  # Non-confirmable ones, where nobody observes
        self.counters = EndpointCounters()
        self.timers = Timers()
        self.peers = Peers(self.random, timing.exchange_lifetime, limits.peers)
        self.remembered = Remembered(limits.remembered, limits.remembered_bytes, timing.exchange_lifetime)
        self.transmissions = Transmissions(self.timers, self.random, send, limits.unacknowledged)
        self._decode = Decoder().decode
        self._is_sweeping = False
        self._waiting: deque[Exchange] = deque()  # for the reply or for the empty ACK, in order of ack_due
        self.set_timing(timing)

    def set_timing(self, timing: Timing) -> None:
        """Use another timing from now on."""
        self.timing = timing
        self.peers.lifetime = self.remembered.lifetime = timing.exchange_lifetime
        self._lifetimes = (timing.exchange_lifetime, timing.non_lifetime)

    # --- in ---------------------------------------------------------------------------------------

    def datagram(self, data: bytes, remote: Hashable, now: float, multicast: bool = False) -> None:
        """Take a datagram. Never raises for what is in it."""
        try:
            message = self._decode(data)
        except FormatError as flaw:
            self.counters.malformed += 1
            self.notice("malformed", remote, str(flaw))
            if flaw.mid is not None and not multicast:
                self.send(encode(n.RST, n.EMPTY, flaw.mid), remote)
            return
        code = message.code
        if 0 < code < 32 and message.type < n.ACK:
            self._request(message, remote, now, multicast, content_of(data))
        elif multicast:
            self.counters.unexpected += 1  # only requests go to a group (RFC 7252 §8.1)
        elif not code:
            self._empty(message, remote)
        elif 64 <= code < 192 and message.type != n.RST:
            self._response(message, remote, now)
        else:
            self._unexpected(message, remote)

    def _request(self, request: Message, remote: Hashable, now: float, multicast: bool, content: int) -> None:
        peer = self.peers.current.get(remote) or self.peers.get(remote, now)
        key = peer.serial << 16 | request.mid
        known = self.remembered.find(peer, request.mid, request.token, content)
        if known is REUSED:
            self.counters.reused_mids += 1
            key = reused_key(key, content)
        elif known is not None:
            self._repeat(known, request, peer)
            return
        self.counters.requests += 1
        if not self._is_sweeping:
            self._begin_sweeping(now)
        exchange = Exchange(self, peer, request, request.type, request.mid, request.token, key, now, content)
        self.remembered.open(key, exchange)
        if multicast:
            if request.type == n.CON:
                self.counters.unexpected += 1  # RFC 7252 §8.1: requests to a group are Non-confirmable
                return
            exchange.multicast = True
        if peer.on_next is not None:
            peer.heard()
        self.server.request(request, exchange, now)
        if not exchange.replied and request.type == n.CON:
            exchange.ack_due = now + exchange.policy.empty_ack_delay
            self._wait(exchange)

    def _repeat(self, known: bytes | Exchange, request: Message, peer: Peer) -> None:
        """Give a duplicate the reply of the original."""
        self.counters.duplicates += 1
        if isinstance(known, bytes):
            if known:
                self.send(known, peer.remote)
        elif known.acknowledged:
            self.send(encode(n.ACK, n.EMPTY, request.mid), peer.remote)
        # otherwise its reply is still to come, once the message has been handled

    def _empty(self, message: Message, remote: Hashable) -> None:
        if message.type == n.CON:
            self.send(encode(n.RST, n.EMPTY, message.mid), remote)  # a ping (RFC 7252 §4.3)
            return
        peer = self.peers.find(remote)
        if peer is None or message.type == n.NON:
            self.counters.unexpected += 1
        elif message.type == n.ACK:
            if not self.transmissions.settle(peer, message):
                self.counters.unexpected += 1
        elif not self.transmissions.reset(peer, message.mid) and not self.server.reset(peer, message.mid):
            self.counters.unexpected += 1

    def _response(self, message: Message, remote: Hashable, now: float) -> None:
        peer = self.peers.find(remote)
        if peer is None:
            self._unexpected(message, remote)
            return
        if message.type == n.ACK:
            if not self.transmissions.settle(peer, message):
                self.counters.unexpected += 1
            return
        known = self.remembered.kept(response_key(peer, message))
        if known is not None:  # a copy
            self.counters.duplicates += 1
            if known:
                self.send(known, remote)
        elif not self.client.response(peer, message, now):
            self._unexpected(message, remote)

    def accept(self, peer: Peer, message: Message) -> None:
        """A separate response or a notification is taken: its copies are not taken again, and a Confirmable one is
        acknowledged."""
        if self.peers.find(peer.remote) is not peer:
            return  # its session has ended meanwhile
        reply = encode(n.ACK, n.EMPTY, message.mid) if message.type == n.CON else b""
        key, lifetime = response_key(peer, message), self._lifetimes[message.type]
        self.remembered.keep(key, reply, lifetime, self.clock(), ANY_CONTENT)
        if reply:
            self.send(reply, peer.remote)

    def _unexpected(self, message: Message, remote: Hashable) -> None:
        """Reset a Confirmable message (RFC 7252 §4.2), and a notification, so that no more of them come (RFC 7641 §3.6)."""
        self.counters.unexpected += 1
        self.notice("unexpected", remote, str(message))
        is_notification = message.type == n.NON and message.options.get(n.OBSERVE) is not None
        if message.type == n.CON or (is_notification and self.resets_notifications):
            self.send(encode(n.RST, n.EMPTY, message.mid), remote)

    # --- out --------------------------------------------------------------------------------------

    def acknowledge(self, exchange: Exchange) -> None:
        """Send the empty ACK of an exchange; its response will be a message of its own."""
        exchange.acknowledged = True
        self.send(encode(n.ACK, n.EMPTY, exchange.mid), exchange.peer.remote)

    def shape_and_respond(self, exchange: Exchange, response: Message) -> None:
        """Fit a response to what its request asks for (block-wise, Observe, No-Response …) and send it."""
        self.respond(exchange, self.server.shape(exchange, response))

    def respond_raw(self, exchange: Exchange, response: Message) -> None:
        """Send a response that comes from the server itself, about one block, and not from the resource."""
        exchange.replied = True
        self.respond(exchange, response)

    def fail(self, exchange: Exchange, problem: BaseException) -> None:
        """See `Responder.fail`."""
        self.counters.errors += 1
        self._failed(problem, exchange.request)
        if not exchange.replied:
            exchange.reply(Message(n.INTERNAL_SERVER_ERROR))

    def tell(self, request: Message, hear: Callable[P, None], *what: P.args, **more: P.kwargs) -> bool:
        """Call the owner of a request of ours. Whatever it raises is counted and reported, and stops nothing else: False
        is returned."""
        try:
            hear(*what, **more)
        except Exception as problem:
            self.counters.errors += 1
            self._failed(problem, request)
            return False
        return True

    def changed_at(self, path: tuple[str, ...]) -> None:
        """See `Responder.changed_at`."""
        self.server.changed_at(path, self.clock())

    def settle(self, exchange: Exchange, reply: bytes, bare: int | None = None) -> None:
        """Remember the reply for duplicates of a request; ``bare`` as in `Remembered.settle`."""
        self.remembered.settle(exchange, self._lifetimes[exchange.type], reply, bare)

    def respond(self, exchange: Exchange, response: Message | None) -> None:
        """Send a response the way its request asks for; None sends only an acknowledgement."""
        if response is None and exchange.on_lost is not None:
            exchange.on_lost("the peer wants no response")
            exchange.on_acknowledged = None
        peer = exchange.peer
        if response is not None and response.payload and response.code >= n.BAD_REQUEST:
            response = bounded(response, exchange.request, peer, self.clock())
        if exchange.type == n.NON:
            self.settle(exchange, b"", SILENCE)
            if response is not None:
                self._respond_non(exchange, response)
        elif not exchange.acknowledged:
            if response is None:
                reply = encode(n.ACK, n.EMPTY, exchange.mid)
                self.settle(exchange, reply)
            elif response.options or response.payload:
                reply = encode(
                    n.ACK, response.code, exchange.mid, exchange.token, response.options, response.payload
                )
                self.settle(exchange, reply)
            else:
                code, token = response.code, exchange.token
                reply = header(BARE_ACK | len(token), code, exchange.mid) + token
                self.remembered.settle(exchange, self._lifetimes[exchange.type], reply, code)
            if exchange.on_acknowledged is not None:
                _also_on_next(peer, exchange.on_acknowledged)
            self.send(reply, peer.remote)
        else:
            self.settle(exchange, encode(n.ACK, n.EMPTY, exchange.mid))
            if response is not None:
                self._respond_separately(exchange, response)
        waiting = self._waiting
        while waiting and waiting[0].replied:
            waiting.popleft()

    def _respond_non(self, exchange: Exchange, response: Message) -> None:
        peer = exchange.peer
        data = encode(
            n.NON, response.code, peer.next_mid(), exchange.token, response.options, response.payload
        )
        if not exchange.multicast:
            if exchange.on_acknowledged is not None:
                _also_on_next(peer, exchange.on_acknowledged)
            self.send(data, peer.remote)
        elif response.code < n.BAD_REQUEST and response.payload:
            # Group members don't answer with errors, and their responses must not collide (RFC 7252 §8.2).
            due = self.clock() + self.random.uniform(0, self.limits.multicast_leisure)
            self.timers.at(due, lambda now: self.send(data, peer.remote))

    def _respond_separately(self, exchange: Exchange, response: Message) -> None:
        peer = exchange.peer
        mid = peer.next_mid()
        data = encode(n.CON, response.code, mid, exchange.token, response.options, response.payload)
        self.counters.separate += 1
        acknowledged = exchange.on_acknowledged
        lost = exchange.on_lost

        def settled(message: Message) -> None:
            if acknowledged is not None:
                acknowledged()

        def gave_up(reason: str) -> None:
            self.counters.lost += 1
            if lost is not None:
                lost(reason)

        self.transmissions.start(peer, mid, data, exchange.policy.timing, self.clock(), settled, gave_up)

    # --- time -------------------------------------------------------------------------------------

    def poll(self, now: float) -> float | None:
        """Do what is due; returns when `poll` is due next, None when nothing is pending."""
        waiting = self._waiting
        while waiting and (waiting[0].replied or waiting[0].ack_due <= now):
            exchange = waiting.popleft()
            if not exchange.replied and not exchange.acknowledged:
                self.acknowledge(exchange)
        self.timers.run(now)
        return self.deadline

    @property
    def deadline(self) -> float | None:
        """When `poll` has something to do."""
        due = self.timers.next
        if self._waiting:
            ack_due = self._waiting[0].ack_due
            return ack_due if due is None or ack_due < due else due
        return due

    def _begin_sweeping(self, now: float) -> None:
        self._is_sweeping = True
        self.timers.at(now + 1, self._sweep)

    def _sweep(self, now: float) -> None:
        """Forget what has expired, and schedule the next look."""
        self.remembered.expire(now)
        self.peers.expire(now)
        times = [time for time in (self.remembered.next_expiry, self.peers.next_expiry) if time is not None]
        self._is_sweeping = bool(times)
        if times:
            self.timers.at(max(min(times), now + 1), self._sweep)

    def _wait(self, exchange: Exchange) -> None:
        waiting = self._waiting
        if waiting and exchange.ack_due < waiting[-1].ack_due:
            # rare: another resource has a shorter delay, so this exchange needs a timer of its own
            self.timers.at(exchange.ack_due, lambda now: exchange.acknowledge())
        else:
            waiting.append(exchange)

    def forget(self, remote: Hashable) -> None:
        """Drop all that is kept for a peer whose session has ended."""
        peer = self.peers.forget(remote)
        if peer is not None:
            self.transmissions.forget(peer)
            self.server.forget(peer)
            self.client.forget(peer)


def response_key(peer: Peer, message: Message) -> int:
    """Names a separate response or a notification among all messages. The requests of a peer have keys from 0 up, so
    that one whose requests and responses are numbered separately is understood as well."""
    token = int.from_bytes(b"\x01" + message.token, "big")
    return -((peer.serial << 16 | message.mid) << 72 | token)


def _also_on_next(peer: Peer, call: Callable[[], None]) -> None:
    earlier = peer.on_next
    if earlier is None:
        peer.on_next = call
        return

    def both() -> None:
        earlier()
        call()

    peer.on_next = both
