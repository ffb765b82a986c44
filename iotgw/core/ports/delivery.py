"""The delivery service."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def"
from zope.interface import Interface


class IDelivery(Interface):
    """The delivery service: one cursor per integration."""

    def feed(records):
        """These `model.TelemetryRecord`s are durable."""

    def deliveries(message):
        """Deferred of a list of `model.Delivery` for a `model.Message`."""

    def room():
        """bool: False while an integration whose overflow is ``rejectNew`` is full."""
