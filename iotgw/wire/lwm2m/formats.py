"""The formats of values by their Content-Formats, and which of them a request is best made in."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from iotgw.wire.lwm2m import cbor, oma_json, paths, senml, tlv
from iotgw.wire.lwm2m.node import Node, TypeOf, untyped
from iotgw.wire.lwm2m.paths import Path
from iotgw.wire.lwm2m.values import (
    CodecError,
    NoInstances,
    ObjectLink,
    Time,
    Value,
    as_type,
    of_plain_text,
    plain_text,
)

TEXT, OPAQUE, CBOR = 0, 42, 60
SENML_JSON, SENML_CBOR = 110, 112
TLV, OMA_JSON, OMA_CBOR = 11542, 11543, 11544
OLD_TLV, OLD_JSON = 1542, 1543
"""The numbers of drafts of LwM2M 1.0, which devices still send."""
NAMES = {
    "text": TEXT, "opaque": OPAQUE, "cbor": CBOR, "senml-json": SENML_JSON, "senml-cbor": SENML_CBOR,
    "tlv": TLV, "json": OMA_JSON,
}  # fmt: skip
"""By the names that settings and users call them."""
_NEWER = {OLD_TLV: TLV, OLD_JSON: OMA_JSON}
SINGLE = frozenset((TEXT, OPAQUE, CBOR))
"""Formats of one value."""


def decode(
    form: int | None, data: bytes, base: Path, type_of: TypeOf = untyped, now: float = 0.0
) -> list[Node]:
    """The values in a payload about ``base``. Without a Content-Format it is text (Core §6.3). ``now`` is the date in seconds
    since 1970 UTC. Raises `CodecError`."""
    form = TEXT if form is None else _NEWER.get(form, form)
    if form == TLV:
        return tlv.decode(data, base, type_of)
    if form == SENML_CBOR:
        return senml.decode_cbor(data, type_of, now)
    if form == SENML_JSON:
        return senml.decode_json(data, type_of, now)
    if form == OMA_JSON:
        return oma_json.decode(data, base, type_of, now)
    if form in SINGLE:
        if len(base) < 3:
            raise CodecError(f"expected a format of several values for {paths.text(base)}, got {form}")
        return [Node(base, _single(form, data, base, type_of))]
    raise CodecError(f"expected a Content-Format of LwM2M, got {form}")


def _single(form: int, data: bytes, path: Path, type_of: TypeOf) -> Value:
    if form == OPAQUE:
        return data
    if form == TEXT:
        try:
            return of_plain_text(data.decode("utf-8"), type_of(path))
        except UnicodeDecodeError as error:
            raise CodecError(f"expected UTF-8, got {error.reason}") from error
    value = cbor.decode(data)
    if not isinstance(value, str | int | float | bool | bytes | Time):
        raise CodecError("CBOR: expected one value")
    return as_type(value, type_of(path))


def encode(form: int, nodes: Sequence[Node], base: Path, type_of: TypeOf = untyped) -> bytes:
    """Values as a payload about ``base``; the root for those of a composite request. Raises `CodecError`."""
    form = _NEWER.get(form, form)
    if form == TLV:
        return tlv.encode(nodes, base, type_of)
    if form == SENML_CBOR:
        return senml.encode_cbor(nodes, base)
    if form == SENML_JSON:
        return senml.encode_json(nodes, base)
    if form == OMA_JSON:
        return oma_json.encode(nodes, base)
    if form in SINGLE:
        if len(nodes) != 1 or nodes[0].path != base:
            raise CodecError(f"expected one value of {paths.text(base)} for the format {form}")
        return _one(form, nodes[0].value)
    raise CodecError(f"expected a Content-Format of LwM2M, got {form}")


def _one(form: int, value: Value) -> bytes:
    if form == TEXT:
        return plain_text(value).encode()
    if form == OPAQUE:
        if not isinstance(value, bytes):
            raise CodecError("expected bytes for the format opaque")
        return value
    if isinstance(value, NoInstances):
        raise CodecError("expected a value, got none")
    return cbor.encode(str(value) if isinstance(value, ObjectLink) else value)


def best(understood: Collection[int], version: str, is_composite: bool = False) -> int:
    """The format to ask a device for, by what its registration says that it understands (``ct``) and by its version. TLV is
    what every device of LwM2M 1.0 has (Core 1.0.2 §6.4); from 1.1 on SenML is (Core 1.1.1 §7.4)."""
    for form in (SENML_CBOR, SENML_JSON):
        if form in understood:
            return form
    if is_composite:
        return SENML_CBOR
    for form in (TLV, OMA_JSON, OLD_TLV, OLD_JSON):
        if form in understood:
            return form
    return TLV if version in ("", "1.0") or not understood else SENML_CBOR
