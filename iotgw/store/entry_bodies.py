"""Devices' specs as they are stored, and back."""

from __future__ import annotations

import msgspec

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
_FIELDS = DeviceSpec.__struct_fields__


class EntryBodies:
    """Encodes and decodes. Entries that are made by one of it share their texts: many devices have one type, and the same groups."""

    def __init__(self) -> None:
        self._words: dict[str, str] = {}

    def encode(self, spec: DeviceSpec) -> bytes:
        """A spec as JSON, without its name."""
        fields = {field: getattr(spec, field) for field in _FIELDS if field != "name"}
        return _json(_Stored(**fields))

    def entry(
        self, tenant: str, name: str, revision: int, created_ms: int, updated_ms: int, body: bytes | msgspec.Raw
    ) -> DeviceEntry:  # fmt: skip
        """A device's entry. Raises msgspec.MsgspecError where its body can't be read."""
        said, words = _stored(body), self._words
        fields = {field: getattr(said, field) for field in _FIELDS}
        fields["name"] = name
        fields["type"] = words.setdefault(said.type, said.type)
        fields["groups"] = tuple([words.setdefault(group, group) for group in said.groups])
        return DeviceEntry(
            words.setdefault(tenant, tenant), DeviceSpec(**fields), revision, created_ms, updated_ms
        )
