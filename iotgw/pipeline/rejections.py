"""Uplinks that can't be converted, as their metadata says: the datasource rejected them, or the journal can't read them."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from iotgw.core.model import ConversionError, Metadata, Uplink

BEYOND_LIMIT = "BeyondLimit"
"""The error of an uplink that is only kept, because it is beyond a limit."""
REJECTED = b'"rejected":'
"""It stands in the metadata (JSON) of every uplink that can't be converted."""


class _Rejection(Struct, rename="camel"):
    """The metadata of an uplink that can't be converted."""

    rejected: str = ""
    unreadable: bool = False
    beyond_limit: bool = False


_rejection = msgspec.json.Decoder(_Rejection).decode


def rejection(uplink: Uplink) -> ConversionError | None:
    """Why the datasource rejected an uplink; None if it didn't."""
    if uplink.metadata.find(REJECTED) < 0:  # cheaper than `in`
        return None
    found = _rejection(uplink.metadata)
    if not found.rejected:
        return None
    if (
        found.unreadable and not uplink.tenant
    ):  # no device can forge this: the journal's stand-in has no tenant
        return ConversionError(found.rejected, stage="journal", name="Unreadable")
    if found.beyond_limit:
        return ConversionError(found.rejected, stage="datasource", name=BEYOND_LIMIT)
    return ConversionError(found.rejected, stage="datasource", name="Rejected")


def kept_unconverted(reason: str) -> Metadata:
    """What the metadata of an uplink says that is beyond a limit: it waits until somebody has it converted."""
    return {"rejected": reason, "beyondLimit": True}
