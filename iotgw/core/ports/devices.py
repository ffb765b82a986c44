"""Known devices and their last state; written later, in batches."""

from __future__ import annotations

import builtins
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Interface

from iotgw.core.model import TelemetryRecord

Owned = tuple[str, str, str, bool]
"""Tenant, device, id of the datasource that it belongs to, and whether it has proved itself."""


class IDevices(Interface):
    """The devices that have sent messages."""

    def saw(records: builtins.list[TelemetryRecord]) -> None:
        """Record device, type, attributes, latest telemetry and last seen."""

    def get(tenant: str, name: str) -> Deferred[dict[str, Any] | None]:
        """A device, as JSON, or None."""

    def list(tenant: str, after: str, limit: int, text: str = "") -> Deferred[builtins.list[dict[str, Any]]]:
        """Devices by name, names > after; with ``text`` in the name."""

    def own(tenant: str, name: str, datasource: str, has_proved: bool) -> None:
        """Record which datasource (by id) a device belongs to, and whether it has proved itself."""

    def owners() -> Deferred[builtins.list[Owned]]:
        """All that was recorded by `own`."""

    def count() -> Deferred[int]:
        """How many there are."""
