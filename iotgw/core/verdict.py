"""What a target reports on records that it was sent; the second argument of ``settle``."""

from __future__ import annotations

from msgspec import Struct
from twisted.logger import Logger

_log = Logger()


class Delivered(Struct, frozen=True, gc=False):
    """The target accepted the records. ``response`` is its answer, shortened, for people to read."""

    response: str = ""


class Retry(Struct, frozen=True, gc=False):
    """This message failed for its own reason and may succeed later. Counts as an attempt.

    ``after`` is the shortest wait in seconds that the target asked for.
    """

    reason: str
    after: float | None = None


class Rejected(Struct, frozen=True, gc=False):
    """This message will never be accepted; it becomes a dead letter."""

    reason: str


class Unavailable(Struct, frozen=True, gc=False):
    """The target is down or full. This is not the message's fault and doesn't count as an attempt. ``after`` as
    in `Retry`.

    A message for which a target is down again and again, while others get through, is suspected of being the reason. With ``is_certain`` it
    isn't: the target knows that it would be the same for any other.
    """

    reason: str
    after: float | None = None
    is_certain: bool = False


class Apart(Struct, frozen=True, gc=False):
    """The batch failed because of one of its records: send each of them alone."""

    reason: str


Verdict = Delivered | Retry | Rejected | Unavailable | Apart

DELIVERED = Delivered()


def unforeseen(doing: str, error: Exception) -> Retry:
    """The verdict on records whose target raised an exception instead of reporting, so that records are always
    settled. It is logged, since it is a bug in the target's code."""
    _log.failure("a target failed at {doing}", doing=doing)
    return Retry(f"{doing}: {type(error).__name__}: {error}"[:300])
