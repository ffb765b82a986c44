"""A target as the delivery service sees it."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def"
from zope.interface import Attribute, Interface


class IIntegration(Interface):
    """A running target."""

    capacity = Attribute("int: how many records may be in flight at once")
    max_batch = Attribute("int: the most records that one `send` may carry")
    whole = Attribute("bool: one `send` is one request, so it may carry several records of one device")

    def start():
        """Get ready; returns a Deferred. A connection that can't be made is not a failure: it is retried."""

    def stop():
        """Let go of connections; Deferred. What is in flight is settled, or nobody asks for it again."""

    def send(records, settle):
        """Send a list of `model.TelemetryRecord`; call ``settle(seqs, verdict)`` for each of them exactly
        once, in groups as they come, with an `iotgw.core.verdict` value. Does not raise."""

    def check():
        """Connect and authenticate, deliver nothing; Deferred of a dict ``{"ok", "detail"}``."""

    def status():
        """A dict for the API: ``{"state": "connected" | "connecting" | …, "lastError": …}``."""


class IIntegrationType(Interface):
    """A kind of integration; as `IDatasourceType`, entry point group ``iotgw.integrations``."""

    name = Attribute("str: the ``type`` of an integration")
    settings = Attribute("the msgspec Struct of ``configuration``")

    def build(settings, context):
        """Make an `IIntegration` from its settings and an `IntegrationContext`. Raises SettingsError."""
