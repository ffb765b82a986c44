"""What a target says of records that it was sent; the second argument of ``settle``."""

from __future__ import annotations

from msgspec import Struct
from twisted.logger import Logger

_log = Logger()


class Delivered(Struct, frozen=True, gc=False):
    """The target has them. ``response`` is what it answered, in short, for a person to look at."""

    response: str = ""


class Retry(Struct, frozen=True, gc=False):
    """This message failed for a reason of its own; it may work later. Costs it a try.

    ``after`` is the shortest wait in seconds that the target asked for.
    """

    reason: str
    after: float | None = None


class Rejected(Struct, frozen=True, gc=False):
    """This message will never be taken; it goes to the dead letters."""

    reason: str


class Unavailable(Struct, frozen=True, gc=False):
    """The target is down, or full: nobody's fault, costs no tries. ``after`` as in `Retry`."""

    reason: str
    after: float | None = None


class Apart(Struct, frozen=True, gc=False):
    """The batch failed for the reason of one of its records: send each alone."""

    reason: str


Verdict = Delivered | Retry | Rejected | Unavailable | Apart

DELIVERED = Delivered()


def unforeseen(doing: str, error: Exception) -> Retry:
    """The verdict on records whose target raised, instead of one that says how they fared: whatever happens to
    an answer, its records are settled. Logged, since it is a fault of the target's code."""
    _log.failure("a target failed at {doing}", doing=doing)
    return Retry(f"{doing}: {type(error).__name__}: {error}"[:300])
