"""What an observer hears of a peer's resource (RFC 7641): notifications, and how the observation ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from msgspec import Struct

from iotgw.wire.coap.message import Message

FRESH_AFTER = 128.0
"""Seconds after which a notification is newer than another one whatever their numbers (RFC 7641 §3.4)."""

EndKind = Literal["error", "unobserved", "rejected", "gone", "deregistered", "cancelled"]
Stamp = tuple[int, float]
"""A notification's Observe value, and when it arrived."""


def is_fresher(one: Stamp, other: Stamp) -> bool:
    """Whether a notification is newer than another (RFC 7641 §3.4)."""
    (number, at), (earlier, earlier_at) = one, other
    ahead = (number - earlier) & 0xFFFFFF
    return 0 < ahead < 1 << 23 or at > earlier_at + FRESH_AFTER


class Ended(Struct, frozen=True):
    """How an observation ended.

    ``error``: the peer ended it by an error, which is the ``response``. ``unobserved``: the last notification said that
    no further ones will come. ``rejected``: a notification was not acceptable and was reset. ``gone``: the peer's
    session ended. ``deregistered``: this end asked for it; ``reason`` is empty if the peer has answered.
    ``cancelled``: this end forgot it, and its next notification will be reset.
    """

    kind: EndKind
    reason: str = ""
    response: Message | None = None


class Arrival:
    """A notification that is not stored yet. Call `stored` or `refused`, once.

    ``response`` is the whole notification. A Confirmable one is acknowledged when it is stored. Until then its copies
    get nothing. If it is refused, the next copy is a new notification; a Non-confirmable one has no copies.
    """

    __slots__ = ("_settle", "response", "stamp")

    def __init__(self, response: Message, stamp: Stamp, settle: Callable[[bool], None]) -> None:
        self.response = response
        self.stamp = stamp
        self._settle: Callable[[bool], None] | None = settle

    def stored(self) -> None:
        """It is durable."""
        self._finish(True)

    def refused(self) -> None:
        """It could not be stored."""
        self._finish(False)

    def _finish(self, is_stored: bool) -> None:
        settle, self._settle = self._settle, None
        if settle is not None:
            settle(is_stored)


class Watcher(Protocol):
    """Who observes."""

    def notified(self, arrival: Arrival) -> None:
        """A notification came; it is fresh, and comes once."""

    def ended(self, end: Ended) -> None:
        """No notification will come any more. Called once, if the observation had begun."""
