"""Devices' specs as they are stored, and back."""

from __future__ import annotations

import msgspec
from msgspec.structs import force_setattr

from iotgw.core.device_entry import DeviceEntry, DeviceSpec

_json = msgspec.json.Encoder().encode


class _Stored(
    DeviceSpec, frozen=True, kw_only=True, gc=False, omit_defaults=True, forbid_unknown_fields=False
):
    """A spec as it is stored: what is as by default is left out, and so is the name, which is a column."""

    name: str = ""

    def __post_init__(self) -> None:
        """It was checked when it was saved."""


_stored = msgspec.json.Decoder(_Stored).decode
_spec = msgspec.json.Decoder(DeviceSpec).decode
_FIELDS = DeviceSpec.__struct_fields__


class EntryBodies:
    """Encodes and decodes. Entries that are made by one of it share their texts: many devices have one type, and the same groups."""

    def __init__(self) -> None:
        self._words: dict[str, str] = {}
        self._groups: dict[tuple[str, ...], tuple[str, ...]] = {}

    def encode(self, spec: DeviceSpec) -> bytes:
        """A spec as JSON, without its name."""
        fields = {field: getattr(spec, field) for field in _FIELDS if field != "name"}
        return _json(_Stored(**fields))

    def entry(
        self, tenant: str, name: str, revision: int, created_ms: int, updated_ms: int, body: bytes | msgspec.Raw
    ) -> DeviceEntry:  # fmt: skip
        """A device's entry. Raises msgspec.MsgspecError where its body can't be read."""
        rest, words = bytes(body), self._words
        try:
            spec = _spec(b'{"name":%b%b%b' % (_json(name), b"" if rest == b"{}" else b",", rest[1:]))
        except msgspec.MsgspecError:
            spec = _lenient(name, rest)
        # Nobody else has it yet.
        force_setattr(spec, "type", words.setdefault(spec.type, spec.type))
        force_setattr(spec, "groups", self._groups.setdefault(spec.groups, spec.groups))
        return DeviceEntry(words.setdefault(tenant, tenant), spec, revision, created_ms, updated_ms)


def _lenient(name: str, body: bytes) -> DeviceSpec:
    """A spec that a newer release has written: what this one doesn't know is left out."""
    said = _stored(body)
    fields = {field: getattr(said, field) for field in _FIELDS}
    fields["name"] = name
    try:
        return DeviceSpec(**fields)
    except ValueError as error:
        raise msgspec.ValidationError(str(error)) from error
