"""Splits a record into parts: readings, values, or entities.

A part's number says where it stands in the record, whatever its time: the time may be mended between two tries. Parts are sent in the order of their
times. Their bodies are made one by one, as a large record has many. What a part says stands in its record already: it is cut out and put together,
and no value is decoded for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec
from msgspec import Raw, Struct

from iotgw.core.model import Kind, TelemetryRecord
from iotgw.core.parts import MOST, NAMED, Part, Split
from iotgw.delivery.dating import UNSURE

MOST_PARTS = 10_000
"""Parts of a record. One that has more is refused."""
MOST_BYTES = 64 << 20
"""Bytes of what the parts of a record have in common, over all parts: a small message mustn't become gigabytes."""

_encode = msgspec.json.Encoder().encode


class TooManyParts(ValueError):
    """A record has more parts than are sent."""


class _Reading(Struct, gc=False):
    """Values of one time, as they stand in the record."""

    ts: Raw
    values: dict[str, Raw]


class _Body(Struct, gc=False):
    telemetry: list[_Reading] | None = None


_body_of = msgspec.json.Decoder(_Body).decode
_members_of = msgspec.json.Decoder(dict[str, Raw]).decode
_NAME = b'"telemetry":'

_Made = tuple[Sequence[int], Sequence[str], Sequence[list[_Reading]]]
"""For each part, its number, its name and its readings."""


class Pieces:
    """The parts of a record, in the order in which they are sent: ``numbers`` and ``names`` of all, and `parts` makes them. ``wants`` is what the
    route lets through. Raises `TooManyParts`."""

    numbers: Sequence[int] = (1,)
    names: Sequence[str] = ("",)
    _head = b""
    """What the bodies of all parts begin with, up to their readings; empty where a part is the whole record, or an attribute of it."""
    _attributes: Sequence[Raw] = ()
    """Those that are parts."""
    _readings: Sequence[list[_Reading]] = ()
    """Those of each part."""
    _places: dict[int, int] | None = None

    def __init__(self, record: TelemetryRecord, split: Split, wants: frozenset[str]) -> None:
        self._record = record
        self._is_named = split in NAMED
        if record.kind is Kind.EVENT or split == "device":
            return
        body = _body_of(record.body)
        has_attributes = "attributes" in wants
        if body.telemetry and "telemetry" in wants:
            self.numbers, self.names, self._readings = _MAKE[split](body.telemetry)
            self._head = _head(record.body, has_attributes)
        else:
            found = _attributes_of(record.body) if has_attributes else {}
            if found and split == "reading":
                return
            self._attributes = list(found.values())
            self.names = list(found)
            self.numbers = range(1, len(found) + 1)
        count = len(self.numbers)
        if count > MOST_PARTS:
            raise TooManyParts(f"it has {count} parts, expected at most {MOST_PARTS}")
        common = len(self._head or record.body) if count > 1 else 0
        if count * common > MOST_BYTES:
            raise TooManyParts(
                f"its {count} parts have {common} bytes in common, expected at most {MOST_BYTES} together"
            )

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Part]:
        return islice(self.parts(deque(range(len(self)))), len(self))

    def place(self, number: int) -> int:
        """The place of the part that has this number."""
        if self._places is None:
            self._places = {number: place for place, number in enumerate(self.numbers)}
        return self._places[number]

    def parts(self, left: deque[int]) -> Iterator[Part]:
        """Makes one part after another: each of the place that is the first in ``left``, which is taken out. Places may be put in again."""
        record, numbers, names, readings = self._record, self.numbers, self.names, self._readings
        first, uplink, tenant, datasource = record.seq * MOST, record.uplink, record.tenant, record.datasource
        received_ms, device, type_, kind = (
            record.received_ms,
            record.device_name,
            record.device_type,
            record.kind,
        )
        shared: dict[Any, Any] = {}
        of: list[_Reading] | None = None
        before = behind = b""
        while True:
            place = left.popleft()
            number, name = numbers[place], names[place]
            if not readings:
                body = self._with_attribute(place) if self._attributes else record.body
            elif len(readings[place]) > 1 or not self._is_named:
                body = self._with(name, readings[place])
            else:
                if readings[place] is not of:  # several values of a reading follow one another
                    of = readings[place]
                    values = of[0].values
                    before, behind = self._around(of[0])
                body = b"".join((before, _encode(name), b":", values[name], behind))
            yield Part(
                first + number, uplink, tenant, datasource, received_ms, device, type_, body, kind,
                number=number, whole=record, shared=shared, name=name,
            )  # fmt: skip

    def _around(self, reading: _Reading) -> tuple[bytes, bytes]:
        """What stands in a body before and behind one value of a reading."""
        unsure = reading.values.get(UNSURE)
        end = b"" if unsure is None else b',"%b":%b' % (UNSURE.encode(), unsure)
        return b'%b[{"ts":%b,"values":{' % (self._head, reading.ts), end + b"}}]}"

    def _with(self, name: str, readings: list[_Reading]) -> bytes:
        """A body with these readings, or what they have of a key."""
        some = [_only(name, reading) for reading in readings] if self._is_named else readings
        return b"%b%b}" % (self._head, _encode(some))

    def _with_attribute(self, place: int) -> bytes:
        """A body with nothing but one attribute."""
        said = {"telemetry": [], "attributes": {self.names[place]: self._attributes[place]}}
        return _encode(_members_of(self._record.body) | said)


def _attributes_of(body: bytes) -> dict[str, Raw]:
    attributes = bytes(_members_of(body).get("attributes", b"null"))
    return _members_of(attributes) if attributes != b"null" else {}


def _head(body: bytes, has_attributes: bool) -> bytes:
    """A body up to its telemetry. As converters make it, it stands at the end, and its name nowhere else."""
    at = body.find(_NAME) + len(_NAME)
    if has_attributes and body.endswith(b"]}") and body.find(_NAME, at) < 0:
        return body[:at]
    rest = _members_of(body)
    del rest["telemetry"]
    if not has_attributes:
        rest["attributes"] = Raw(b"{}")
    text = _encode(rest)
    return text[:-1] + (b',"telemetry":' if rest else b'"telemetry":')


def _only(name: str, reading: _Reading) -> _Reading:
    """What a reading has of one key. The mark of an uncertain time stays with it."""
    values = reading.values
    return _Reading(reading.ts, {key: values[key] for key in (name, UNSURE) if key in values})


def _first_time(readings: list[_Reading]) -> float:
    return float(bytes(readings[0].ts))


def _in_order(names: list[str], readings: list[list[_Reading]]) -> _Made:
    """Parts in the order of their times."""
    order = sorted(range(len(names)), key=[_first_time(some) for some in readings].__getitem__)
    return (
        [place + 1 for place in order],
        [names[place] for place in order],
        [readings[place] for place in order],
    )


def _by_reading(readings: list[_Reading]) -> _Made:
    return _in_order([""] * len(readings), [[reading] for reading in readings])


def _by_value(readings: list[_Reading]) -> _Made:
    if len(readings) == 1 and UNSURE not in readings[0].values:
        names = list(readings[0].values)
        return range(1, len(names) + 1), names, [readings] * len(names)
    names, of = [], []
    for reading in readings:
        one = [reading]
        for name in reading.values:
            if name != UNSURE:
                names.append(name)
                of.append(one)
    return _in_order(names, of)


def _by_entity(readings: list[_Reading]) -> _Made:
    found: dict[str, list[_Reading]] = {}
    for reading in readings:
        for name in reading.values:
            if name != UNSURE:
                found.setdefault(name, []).append(reading)
    return _in_order(list(found), list(found.values()))


_MAKE: dict[str, Callable[[list[_Reading]], _Made]] = {
    "reading": _by_reading, "value": _by_value, "entity": _by_entity,
}  # fmt: skip
