"""Uplinks that can't be converted, as their metadata says: the datasource rejected them, or the journal can't read them."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from iotgw.core.model import ConversionError, Uplink

REJECTED = b'"rejected":'
"""It stands in the metadata (JSON) of every uplink that can't be converted."""


class _Rejection(Struct):
    """The metadata of an uplink that can't be converted."""

    rejected: str = ""
    unreadable: bool = False


_rejection = msgspec.json.Decoder(_Rejection).decode


def rejection(uplink: Uplink) -> ConversionError | None:
    """Why the datasource rejected an uplink; None if it didn't."""
    if REJECTED not in uplink.metadata:
        return None
    found = _rejection(uplink.metadata)
    if not found.rejected:
        return None
    if (
        found.unreadable and not uplink.tenant
    ):  # no device can forge this: the journal's stand-in has no tenant
        return ConversionError(found.rejected, stage="journal", name="Unreadable")
    return ConversionError(found.rejected, stage="datasource", name="Rejected")
