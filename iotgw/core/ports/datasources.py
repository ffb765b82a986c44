"""What a datasource is given and what it offers."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def"
from zope.interface import Attribute, Interface


class IIntake(Interface):
    """What a datasource sees of the gateway; one per datasource, made by the gateway."""

    room = Attribute("bool: False when the gateway is full; a stream should stop reading")
    guard = Attribute(
        "None, or what a datasource sets: ``guard(metadata, outputs)`` is asked of each conversion, with the "
        "metadata's JSON text and the `model.Output` items; a text that is not empty makes it fail"
    )

    def receive(payload, metadata, answer, received_ms=0, listens=True):
        """Take an uplink: ``bytes``, a dict of JSON values, and what to call with the `model.Answer`.

        ``answer`` is called once, later in the reactor's thread, when the uplink is durable (or converted,
        where the datasource says so), or at once with BUSY, or TOO_LARGE where the payload or the
        metadata is larger than the gateway takes. It must not raise. ``received_ms``: 0 means now.
        ``listens``: False when the answer can carry no downlink, so that none is taken from the queue.
        """

    def receive_and_hold(payload, metadata, answer, ttd):
        """As `receive`, of a device that listens for ``ttd`` seconds: an answer that would carry no downlink is
        held back so long for one that is queued meanwhile. Returns what to call when the device went away;
        ``answer`` may not be called any more then."""

    def reject(payload, metadata, reason):
        """Keep bytes that can't be an uplink as a failed message, with a reason in one line."""

    def when_room(callback):
        """Call ``callback()`` once when there is room again (at once if there is)."""

    def event(type, message, severity="info", **detail):
        """Record what happened to this datasource."""

    def downlink_sent(downlink):
        """Bytes of this `model.Downlink` left; whether they arrived is not known yet."""

    def downlink_delivered(downlink, is_certain=True):
        """The transport confirmed this downlink. Not ``is_certain``: it did all that it can, but an answer may
        still be lost; an item that must be confirmed waits for the device's own receipt then."""

    def downlink_lost(downlink, reason):
        """This downlink did not reach the device; it goes back into the queue."""

    def downlink_returned(downlink):
        """This downlink could not go with this answer, and goes with another; that is no attempt."""

    def downlink_offered(downlink):
        """This downlink was handed to a network that says later, in `downlink_confirmed`, what became of it."""

    def downlink_confirmed(device, delivered, reason=""):
        """What became of the latest downlink that was offered for a device (by name or identity)."""

    def downlinks(device, limit=1):
        """Take up to ``limit`` queued downlinks for a device that can be reached now (late additions to an
        open session). Returns a Deferred of a tuple of `model.Downlink`."""

    def reachable(device, send):
        """Say that ``device`` can be reached until the function that this returns is called.

        ``send(downlinks)`` is called with `model.Downlink` items that should leave at once.
        """


class IDatasource(Interface):
    """A running datasource."""

    def start():
        """Open the listener or the subscription; Deferred that fires when it is open, or fails."""

    def stop():
        """Close it; Deferred that fires when nothing more will come in."""

    def status():
        """A dict for the API: ``{"state": "listening", "address": "udp 0.0.0.0:5683", …}``."""


class IPushes(IDatasource):
    """A datasource that can send to a device without being asked."""

    can_push = Attribute("bool: False where its settings say that devices take nothing but answers")

    def push(metadata, downlinks):
        """Send a tuple of `model.Downlink` to the device whose last uplink had this metadata (a dict), and
        report each to the intake."""


class IDatasourceType(Interface):
    """A kind of datasource. One instance per gateway, made as ``factory(reactor)``: what its datasources
    share (a UDP port) lives on it. Third parties name the factory in the entry point group
    ``iotgw.datasources``."""

    name = Attribute("str: the ``type`` of a datasource")
    settings = Attribute("the msgspec Struct of ``configuration``; its definitions make schema and docs")

    def build(settings, context):
        """Make an `IDatasource` from its settings and a `DatasourceContext`. Raises SettingsError."""
