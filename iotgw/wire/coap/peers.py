"""The peers of an endpoint: bounded state per address, created only after a valid message."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable
from random import Random

LARGEST_BLOCK = 1024
"""Bytes (RFC 7959 §2.2)."""
VERIFIED_LIFETIME = 600.0
"""Seconds for which an address counts as verified after it has answered. NAT bindings live about as long."""
PING_SIZE = 4
"""Bytes of an empty message."""
MOST_ROOM = 2048
"""Bytes that are left to an address at most, however much came from there."""


class Peer:
    """One remote endpoint: a UDP address or a DTLS session.

    ``serial`` names it in the tables of the message layer. Messages to it have their own sequence of Message IDs,
    starting at a random one (RFC 7252 §4.4); most peers are never sent any. ``verified`` is the time until which its
    address counts as verified; ``room`` is how many bytes more may be sent to find that out, and it ``is_mute`` if it has left pings
    unanswered. It is not forgotten while it has ``pins``: observations, unacknowledged messages, requests to it. ``block_size`` is the
    largest block that it takes, where that is known.
    """

    __slots__ = (
        "block_size",
        "is_mute",
        "last",
        "mid",
        "on_next",
        "pins",
        "random",
        "remote",
        "room",
        "runs",
        "serial",
        "stamp",
        "tokens",
        "verified",
    )

    def __init__(
        self,
        serial: int,
        remote: Hashable,
        random: Random,
        block_size: int = LARGEST_BLOCK,
        verified: float = 0.0,
        room: int = 0,
    ) -> None:
        self.serial = serial
        self.block_size = block_size
        self.remote = remote
        self.random = random
        self.mid = -1  # the last Message ID that was sent to it
        self.tokens = -1.0  # of the rate limit; negative: full
        self.stamp = 0.0  # when the tokens were counted
        self.verified = verified
        self.room = room
        self.is_mute = False
        self.pins = 0
        self.last = -1  # Message ID << 8 | code of the last bare reply, see `Remembered`
        self.runs: tuple[ReplyRun, ...] = ()  # what `Remembered` knows of it in few words
        self.on_next: Callable[[], None] | None = None  # see `heard`

    def heard(self) -> None:
        """The peer no longer waits for its last reply: it sent another request, or none for a lifetime."""
        call, self.on_next = self.on_next, None
        if call is not None:
            call()

    def answered(self, now: float) -> None:
        """The peer got what was sent to its address; when that no longer counts, it may be asked whether it is still there."""
        self.verified = max(self.verified, now + VERIFIED_LIFETIME)
        self.room = MOST_ROOM

    def left(self, size: int) -> None:
        """So many bytes more came from it than were sent there."""
        self.room = min(MOST_ROOM, self.room + max(0, size))

    def next_mid(self) -> int:
        """A Message ID for the next message to this peer."""
        last = self.mid if self.mid >= 0 else self.random.randrange(0x10000)
        self.mid = mid = (last + 1) & 0xFFFF
        return mid


class ReplyRun:
    """Consecutive Message IDs of a peer that all got the same code, without options or payload.

    ``end`` and ``begin`` count its messages from the first one, whose Message ID is ``first``: those before
    ``begin`` are forgotten. ``contents`` are those of the others, see `Remembered`.
    """

    __slots__ = ("begin", "closes", "code", "contents", "end", "first", "peer", "stretches")

    def __init__(self, peer: Peer, first: int, code: int) -> None:
        self.peer = peer
        self.first = first
        self.code = code
        self.begin = 0
        self.end = 0
        self.closes = 0.0  # when its youngest stretch ends
        self.stretches: list[int] = []  # where each begins
        self.contents = array("I")


class Peers:
    """Remote → `Peer`, in two generations: a peer that was silent for one to two ``lifetime`` is forgotten.

    At most ``limit`` peers are in a generation; a flood of addresses only turns generations faster.
    ``block_size_of(remote)`` is asked once for each new peer; see `Peer`. ``verified`` is that of new peers: infinity where
    whoever sends has proved itself before.
    """

    def __init__(self, random: Random, lifetime: float, limit: int = 200_000) -> None:
        self.block_size_of: Callable[[Hashable], int] = lambda _: LARGEST_BLOCK
        self.verified = 0.0
        self.current: dict[Hashable, Peer] = {}
        self._older: dict[Hashable, Peer] = {}
        self._random = random
        self.lifetime = lifetime
        self._limit = limit
        self._serial = 0
        self._turn = 0.0

    def __len__(self) -> int:
        return len(self.current) + len(self._older)

    def get(self, remote: Hashable, now: float, room: int = 0) -> Peer:
        """The peer at this address, new with so much ``room`` if it is not known."""
        peer = self.current.get(remote)
        if peer is None:
            peer = self._older.pop(remote, None)
            if peer is None:
                self._serial += 1
                size = self.block_size_of(remote)
                peer = Peer(self._serial, remote, self._random, size, self.verified, room)
            if not self.current:
                self._turn = now + self.lifetime
            elif len(self.current) >= self._limit:
                self._turn_generation(now)
            self.current[remote] = peer
        return peer

    def find(self, remote: Hashable) -> Peer | None:
        """The peer at this address if it is known."""
        return self.current.get(remote) or self._older.get(remote)

    def forget(self, remote: Hashable) -> Peer | None:
        """Drop a peer, as when its session has ended."""
        return self.current.pop(remote, None) or self._older.pop(remote, None)

    def expire(self, now: float) -> None:
        """Forget peers that were silent for long."""
        if len(self) and now >= self._turn:
            self._turn_generation(now)

    @property
    def next_expiry(self) -> float | None:
        """When `expire` is due, None when there is nobody."""
        return self._turn if len(self) else None

    def _turn_generation(self, now: float) -> None:
        older, self._older, self.current = self._older, self.current, {}
        self._turn = now + self.lifetime
        for remote, peer in older.items():
            if peer.pins:
                self.current[remote] = peer
            elif peer.on_next is not None:
                peer.heard()
