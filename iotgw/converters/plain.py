"""The output that most converters make, decoded and checked in one go: one device, with the values of the time of receipt.

It comes to what `iotgw.converters.output.check` makes of it, and costs a third; tests hold the two together. Whatever else an
output has, right or wrong, is left to that.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from iotgw.converters.output import DEFAULT_TYPE, LEAST, MAX_BYTES, MAX_NAME, MAX_TEXT, MAX_VALUES, MOST
from iotgw.core.model import Output
from iotgw.core.names import unfit

_Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
_Value = (
    bool
    | Annotated[int, Meta(ge=LEAST, le=MOST)]
    | Annotated[float, Meta(ge=float(LEAST), lt=float(MOST + 1))]
    | Annotated[str, Meta(max_length=MAX_TEXT)]
)
_Values = Annotated[dict[_Name, _Value], Meta(max_length=MAX_VALUES)]


class _Plain(Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    device_name: _Name
    telemetry: _Values
    device_type: _Name = DEFAULT_TYPE
    attributes: _Values = {}


class _Entry(Struct, gc=False):
    ts: int
    values: _Values


class _Body(Struct, rename="camel", gc=False):
    device_name: str
    device_type: str
    attributes: _Values
    telemetry: tuple[_Entry] | tuple[()]


_decode = msgspec.json.Decoder(_Plain).decode
_encode = msgspec.json.Encoder().encode


def plain(result: str, received_ms: int) -> Output | None:
    """The output that a converter's result (JSON) comes to; None if it isn't plain, or isn't right."""
    try:
        made = _decode(result)
    except msgspec.DecodeError:
        return None
    name, type_, telemetry, attributes = made.device_name, made.device_type, made.telemetry, made.attributes
    if "values" in telemetry or unfit(name) or unfit(type_):
        return None
    entries = (_Entry(received_ms, telemetry),) if telemetry else ()
    body = _encode(_Body(name, type_, attributes, entries))
    if len(body) > MAX_BYTES:
        return None
    return Output(name, type_, body, hash((*attributes, None, *telemetry)))
