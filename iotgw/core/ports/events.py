"""The record of what happened."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def"
from zope.interface import Interface


class IEvents(Interface):
    """The record of what happened."""

    def emit(event):
        """Note a `model.Event`; never raises, may drop (and counts drops)."""

    def query(tenant, before, limit, source=None, name=None, type=None):
        """Deferred of a list of ``(id, model.Event)``, newest first."""
