"""Confirmable messages on their way out: retransmitted until acknowledged, reset or given up (RFC 7252 §4.2)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from random import Random

from iotgw.wire.coap.message import Message
from iotgw.wire.coap.peers import Peer
from iotgw.wire.coap.timers import Timer, Timers
from iotgw.wire.coap.timing import Timing

GAVE_UP = "not acknowledged"
RESET = "reset by the peer"
NO_ROOM = "too many messages are unacknowledged"
FORGOTTEN = "the peer is gone"


class Transmission:
    """One Confirmable message, and whom to tell what became of it."""

    __slots__ = ("attempts", "data", "key", "lost", "max_retransmit", "peer", "settled", "timeout", "timer")

    def __init__(
        self,
        key: int,
        peer: Peer,
        data: bytes,
        max_retransmit: int,
        timeout: float,
        settled: Callable[[Message], None] | None,
        lost: Callable[[str], None] | None,
    ) -> None:
        self.key = key
        self.peer = peer
        self.data = data
        self.max_retransmit = max_retransmit
        self.timeout = timeout
        self.attempts = 0
        self.settled = settled
        self.lost = lost
        self.timer: Timer | None = None


class Transmissions:
    """The unacknowledged messages of an endpoint, by peer and Message ID; at most ``limit``.

    A match by Message ID alone would let any address stop our retransmissions (RFC 7252 §4.4).
    """

    def __init__(
        self, timers: Timers, random: Random, send: Callable[[bytes, Hashable], None], limit: int = 100_000
    ) -> None:
        self._timers = timers
        self._random = random
        self._send = send
        self._limit = limit
        self._open: dict[int, Transmission] = {}
        self._of_peer: dict[int, set[int]] = {}
        """The keys of each peer's open messages, by its serial."""
        self.retransmitted = 0

    def __len__(self) -> int:
        return len(self._open)

    def start(
        self,
        peer: Peer,
        mid: int,
        data: bytes,
        timing: Timing,
        now: float,
        settled: Callable[[Message], None] | None = None,
        lost: Callable[[str], None] | None = None,
    ) -> Transmission | None:
        """Send ``data`` until it is acknowledged.

        ``settled(message)`` is called with the acknowledgement, ``lost(reason)`` when there is none; one of
        them, once. Returns None, after calling ``lost``, when there is no room.
        """
        key = peer.serial << 16 | mid
        if len(self._open) >= self._limit or key in self._open:
            if lost is not None:
                lost(NO_ROOM)
            return None
        timeout = timing.ack_timeout * self._random.uniform(1.0, timing.ack_random_factor)
        transmission = Transmission(key, peer, data, timing.max_retransmit, timeout, settled, lost)
        self._open[key] = transmission
        self._of_peer.setdefault(peer.serial, set()).add(key)
        peer.pins += 1
        self._arm(transmission, now)
        self._send(data, peer.remote)
        return transmission

    def settle(self, peer: Peer, message: Message) -> bool:
        """Handle an acknowledgement; returns whether it matches an open message."""
        transmission = self._open.get(peer.serial << 16 | message.mid)
        if transmission is None:
            return False
        self.cancel(transmission)
        if transmission.settled is not None:
            transmission.settled(message)
        return True

    def reset(self, peer: Peer, mid: int) -> bool:
        """Handle a Reset; returns whether it matches an open message."""
        transmission = self._open.get(peer.serial << 16 | mid)
        if transmission is None:
            return False
        self._fail(transmission, RESET)
        return True

    def cancel(self, transmission: Transmission) -> None:
        """Stop sending, and tell nobody."""
        if self._open.pop(transmission.key, None) is not None:
            peer = transmission.peer
            peer.pins -= 1
            keys = self._of_peer[peer.serial]
            keys.discard(transmission.key)
            if not keys:
                del self._of_peer[peer.serial]
        if transmission.timer is not None:
            transmission.timer.cancel()

    def forget(self, peer: Peer) -> None:
        """Give up all open messages to a peer that is gone."""
        for key in sorted(self._of_peer.get(peer.serial, ())):
            transmission = self._open.get(key)
            if transmission is not None:  # else the loss of an earlier one ended it
                self._fail(transmission, FORGOTTEN)

    def _arm(self, transmission: Transmission, now: float) -> None:
        transmission.timer = self._timers.at(
            now + transmission.timeout, lambda then: self._timed_out(transmission, then)
        )

    def _timed_out(self, transmission: Transmission, now: float) -> None:
        if transmission.attempts >= transmission.max_retransmit:
            self._fail(transmission, GAVE_UP)
            return
        transmission.attempts += 1
        transmission.timeout *= 2
        self.retransmitted += 1
        self._arm(transmission, now)
        self._send(transmission.data, transmission.peer.remote)

    def _fail(self, transmission: Transmission, reason: str) -> None:
        self.cancel(transmission)
        if transmission.lost is not None:
            transmission.lost(reason)
