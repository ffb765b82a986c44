"""Known devices."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def"
from zope.interface import Interface


class IDevices(Interface):
    """Known devices and their last state; written behind, many at once."""

    def saw(records):
        """Note a list of `model.TelemetryRecord`: device, type, attributes, latest telemetry, last seen."""

    def get(tenant, name):
        """Deferred of a device dict, or None."""

    def list(tenant, after, limit, text=""):
        """Deferred of a list of device dicts by name, names > after."""
