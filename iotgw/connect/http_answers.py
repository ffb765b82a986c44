"""What the answers of an HTTP server say, for people and for the next try."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from email.utils import parsedate_to_datetime

from iotgw.core.backoff import LONGEST_RETRY_AFTER
from iotgw.core.numbers import whole
from iotgw.core.redaction import hidden

LONGEST_DATE = 64
"""Characters of a date in a header; an IMF-fixdate has 29."""
LOOKED_AT = 4096
"""Bytes of a body that an excerpt is made of, so that no secret is cut in two."""
EXCERPT = 200
"""Characters of an excerpt."""


def excerpt(body: bytes, secrets: Iterable[str]) -> str:
    """The beginning of a response's body in one line, without these secrets."""
    text = hidden(body[:LOOKED_AT].decode("utf-8", "replace"), secrets)
    return " ".join(text[:EXCERPT].split())


def retry_after(header: bytes | None, now: float) -> float | None:
    """Retry-After (RFC 9110 §10.2.3) in seconds from now, at most a day. None if it is missing or unreadable;
    then our own backoff applies."""
    if not header:
        return None
    seconds = whole(header)
    if seconds is not None:
        return float(min(seconds, LONGEST_RETRY_AFTER))
    if len(header) > LONGEST_DATE or not header.isascii() or header.isdigit():
        return None
    try:
        date = parsedate_to_datetime(header.decode("ascii"))
        if date.tzinfo is None:  # asctime's form, and "-0000"
            date = date.replace(tzinfo=UTC)
        return min(max(0.0, date.timestamp() - now), LONGEST_RETRY_AFTER)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
