"""Splits a record into parts: readings, values, or entities.

A part's number says where it stands in the record, whatever its time: the time may be mended between two tries. Parts are sent in the order of their
times. Their bodies are made one by one, as a large record has many.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from iotgw.core.model import Kind, TelemetryRecord
from iotgw.core.parts import MOST, Part, Split
from iotgw.delivery.dating import UNSURE

MOST_PARTS = 10_000
"""Parts of a record. One that has more is refused."""
MOST_BYTES = 64 << 20
"""Bytes of what the parts of a record have in common, over all parts: a small message mustn't become gigabytes."""

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class TooManyParts(ValueError):
    """A record has more parts than are sent."""


class _Piece(Struct, frozen=True, gc=False):
    """What a part is made of: some readings, or attributes, and the key it is about."""

    number: int
    entries: list[dict[str, Any]]
    name: str = ""
    attributes: dict[str, Any] | None = None


class Pieces:
    """The parts of a record, which `part` makes. ``wants`` is what the route lets through. Raises `TooManyParts`."""

    def __init__(self, record: TelemetryRecord, split: Split, wants: frozenset[str]) -> None:
        self._record = record
        self.pieces: list[_Piece]
        """In the order in which they are sent."""
        self._rest: dict[str, Any] = {}
        if record.kind is Kind.EVENT or split == "device":
            self.pieces = [_Piece(1, [])]
            self._is_whole = True
            return
        body = _decode(record.body)
        self._rest = body
        telemetry = body.pop("telemetry", None) or []
        if "telemetry" not in wants:
            telemetry = []
        if "attributes" not in wants:
            body["attributes"] = {}
        attributes = body.get("attributes") or {}
        self._is_whole = split == "reading" and not telemetry
        if self._is_whole:
            self.pieces = [_Piece(1, [])] if attributes else []
        elif split == "reading":
            self.pieces = [_Piece(number, [entry]) for number, entry in enumerate(telemetry, 1)]
        elif telemetry:
            self.pieces = (_values if split == "value" else _entities)(telemetry)
        else:
            self.pieces = [
                _Piece(number, [], name, {name: value})
                for number, (name, value) in enumerate(attributes.items(), 1)
            ]
        count = len(self.pieces)
        if count > MOST_PARTS:
            raise TooManyParts(f"it has {count} parts, expected at most {MOST_PARTS}")
        text = _encode(body)
        common = len(text) if count > 1 else 0
        if count * common > MOST_BYTES:
            raise TooManyParts(
                f"its {count} parts have {common} bytes in common, expected at most {MOST_BYTES} together"
            )
        self._head = _head(text)
        if len(telemetry) > 1:
            self.pieces.sort(key=_first_time)

    def part(self, place: int) -> Part:
        """The part at a place of `pieces`."""
        piece, record = self.pieces[place], self._record
        body = record.body
        if not self._is_whole:
            head = self._head
            if piece.attributes is not None:
                head = _head(_encode(self._rest | {"attributes": piece.attributes}))
            body = head + _encode(piece.entries) + b"}"
        return Part(
            record.seq * MOST + piece.number, record.uplink, record.tenant, record.datasource, record.received_ms,
            record.device_name, record.device_type, body, record.kind,
            number=piece.number, whole=record, name=piece.name,
        )  # fmt: skip


def _head(rest: bytes) -> bytes:
    """The beginning of a body, up to its telemetry. ``rest`` is the object of all else."""
    return rest[:-1] + (b',"telemetry":' if rest != b"{}" else b'"telemetry":')


def _first_time(piece: _Piece) -> float:
    time: float = piece.entries[0]["ts"]
    return time


def _reading(entry: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    """A reading of one key. The mark of an uncertain time stays with it."""
    values = {name: value}
    if UNSURE in entry["values"]:
        values[UNSURE] = entry["values"][UNSURE]
    return {"ts": entry["ts"], "values": values}


def _values(telemetry: list[dict[str, Any]]) -> list[_Piece]:
    pieces: list[_Piece] = []
    for entry in telemetry:
        ts, values = entry["ts"], entry["values"]
        if UNSURE in values:
            for name, value in values.items():
                if name != UNSURE:
                    pieces.append(_Piece(len(pieces) + 1, [_reading(entry, name, value)], name))
            continue
        for name, value in values.items():
            pieces.append(_Piece(len(pieces) + 1, [{"ts": ts, "values": {name: value}}], name))
    return pieces


def _entities(telemetry: list[dict[str, Any]]) -> list[_Piece]:
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in telemetry:
        for name, value in entry["values"].items():
            if name != UNSURE:
                found.setdefault(name, []).append(_reading(entry, name, value))
    return [_Piece(number, entries, name) for number, (name, entries) in enumerate(found.items(), 1)]
