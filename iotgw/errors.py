"""The errors by their former name, for packages that import them from here; they live in `iotgw.core.errors`."""

from __future__ import annotations

from iotgw.core.errors import (
    AlreadyRunning,
    Conflict,
    ConversionFailed,
    IotgwError,
    NotFound,
    ProtocolError,
    SettingsError,
    StillReferenced,
    Unavailable,
)

__all__ = [
    "AlreadyRunning",
    "Conflict",
    "ConversionFailed",
    "IotgwError",
    "NotFound",
    "ProtocolError",
    "SettingsError",
    "StillReferenced",
    "Unavailable",
]
