"""How long the data of Dragino's models is: enough to tell where a frame may end, and often whose it is.

G0 to G2 frames don't name their model. A layout fits a frame when its length works out and its timestamps
lie where the layout says; when exactly one layout fits, the model is known. Several models share a length
(NLMS01, NSPH01 and NMDS200, for one): then only the datasource's ``models`` setting can say.
"""

from __future__ import annotations

from msgspec import Struct

from iotgw.wire.dragino.frame import DraginoFrame

_GPS = 12
"""Latitude 4, longitude 4, time of the fix 4."""
_EARLIEST, _LATEST = 1_420_070_400, 2_366_841_600
"""2015 and 2045: what can be a timestamp of a device of this kind. Its converter knows today and is stricter."""

MODEL_CODES = {0x46: "PS-NB"}
"""High byte of the version word of G2 and G3, as far as it is public (that of PS-CB)."""


class Layout(Struct, frozen=True):
    """Sizes in bytes: ``group`` from the signal byte to the first timestamp, ``record`` of one history
    record without its timestamp; ``gps`` says that a position follows the first timestamp."""

    model: str
    generation: str
    group: int
    record: int
    gps: bool = False


LAYOUTS = (
    Layout("NSE01", "G0", 8, 8),
    Layout("NBSN95", "G1", 10, 15),
    Layout("NBSN95", "G1", 8, 13),
    Layout("NBSN95", "G1", 12, 17),
    Layout("NBSN95", "G1", 5, 10),
    Layout("N95S31B", "G1", 10, 4),
    Layout("NDDS75", "G1", 4, 2),
    Layout("NLMS01", "G1", 6, 4),
    Layout("NSPH01", "G1", 6, 4),
    Layout("NMDS200", "G1", 6, 4),
    Layout("NSE01", "G1", 10, 8),
    Layout("CPN01", "G1", 10, 8),
    Layout("NDS03A", "G1", 9, 7),
    Layout("NDS03A", "G1", 17, 14),
    Layout("SW3L", "G1", 10, 4),
    Layout("PS-NB", "G1", 10, 4),
    Layout("N95S31B", "G2", 12, 4),
    Layout("NDDS75", "G2", 5, 2),
    Layout("NLMS01", "G2", 7, 4),
    Layout("NSPH01", "G2", 7, 4),
    Layout("NMDS200", "G2", 7, 4),
    Layout("NSE01", "G2", 11, 8),
    Layout("NDS03A", "G2", 9, 7),
    Layout("SW3L", "G2", 10, 4),
    Layout("PS-NB", "G2", 12, 4),
    Layout("NDDS75", "G3", 5, 2, gps=True),
    Layout("PS-NB", "G3", 24, 4),
)


def fitting(frame: DraginoFrame) -> tuple[Layout, ...]:
    """The layouts that fit a binary frame; of several, those that make sense of most of its timestamps."""
    if frame.generation not in ("G0", "G1", "G2"):
        return ()
    generations = (frame.generation,) if frame.generation != "G2" else ("G2", "G3")
    coded = MODEL_CODES.get((frame.version or 0) >> 8)
    fits = [
        (garbage, layout)
        for layout in LAYOUTS
        if layout.generation in generations
        and coded in (None, layout.model)
        and (garbage := _garbage(layout, frame)) is not None
    ]
    least = min((garbage for garbage, _ in fits), default=0)
    return tuple(layout for garbage, layout in fits if garbage == least)


def _garbage(layout: Layout, frame: DraginoFrame) -> int | None:
    """How many timestamps of the history can't be any; None when the layout doesn't fit."""
    data = frame.payload
    first = frame.data + layout.group
    end = first + 4 + (_GPS if layout.gps else 0)
    step = layout.record + 4
    if len(data) < end or (len(data) - end) % step or not _is_time(data, first):
        return None
    if layout.gps and not _is_position(data[first + 4 : end]):
        return None
    times = range(end + layout.record, len(data), step)
    garbage = sum(not _is_time(data, at) for at in times)
    # devices do send garbage times, but not mostly
    return garbage if garbage * 2 <= len(times) else None


def _is_time(data: bytes, at: int) -> bool:
    value = int.from_bytes(data[at : at + 4], "big")
    return not value or _EARLIEST <= value < _LATEST


def _is_position(data: bytes) -> bool:
    latitude = int.from_bytes(data[:4], "big", signed=True)
    longitude = int.from_bytes(data[4:8], "big", signed=True)
    # degrees · 10⁶
    return abs(latitude) <= 90_000_000 and abs(longitude) <= 180_000_000 and _is_time(data, 8)
