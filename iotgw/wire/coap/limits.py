"""What an endpoint may keep, and what it has counted."""

from __future__ import annotations

from msgspec import Struct


class EndpointLimits(Struct, frozen=True):
    """What an endpoint may keep. Counts, and bytes where the name says so."""

    remembered: int = 1_000_000
    remembered_bytes: int = 256 << 20
    peers: int = 200_000
    unacknowledged: int = 100_000
    body_bytes: int = 64 << 20  # of uploads and of replies kept for block-wise, together
    observers: int = 10_000
    multicast_leisure: float = 5.0  # seconds (RFC 7252 §4.8: DEFAULT_LEISURE)


DEFAULT_LIMITS = EndpointLimits()


class EndpointCounters:
    """What an endpoint has seen since it began."""

    def __init__(self) -> None:
        self.requests = 0
        self.duplicates = 0
        self.reused_mids = 0
        self.malformed = 0
        self.unexpected = 0
        self.refused = 0
        self.limited = 0
        self.separate = 0
        self.lost = 0
        self.errors = 0
        self.stale = 0
