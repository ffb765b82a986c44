"""What every framer must bear: any cut of a stream, and any bytes."""

from __future__ import annotations

from collections.abc import Callable

from iotgw.wire.framing import Events, Fault, Framer


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def events_of(framer: Framer, data: bytes, size: int) -> Events:
    events: Events = []
    for piece in pieces(data, size):
        events += framer.feed(piece)
    return events + framer.close()


def assert_cut_does_not_matter(make: Callable[[], Framer], data: bytes) -> Events:
    """The same events come out whole, by one byte and by seven; returns them.

    Past a fault the stream is given up, so its evidence may be as long as the pieces were.
    """
    whole = events_of(make(), data, max(1, len(data)))
    for size in (1, 7):
        cut = events_of(make(), data, size)
        assert [_without_evidence(event) for event in cut] == [_without_evidence(event) for event in whole]
    return whole


def _without_evidence(event: object) -> object:
    return (event.reason.split(", got")[0], event.ends) if isinstance(event, Fault) else event


def assert_bounded(framer: Framer, data: bytes, limit: int) -> None:
    """No more than ``limit`` bytes wait, however the stream goes on."""
    for piece in pieces(data, 1):
        framer.feed(piece)
        assert framer.pending <= limit
