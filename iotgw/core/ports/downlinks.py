"""The downlink queue."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def"
from zope.interface import Interface


class IDownlinks(Interface):
    """The downlink queue."""

    def waited_for(tenant):
        """The names and identities of a tenant's devices that have items which could leave: a collection, as of
        now; to be looked at, not to be kept."""

    def acknowledged(tenant, device, identity, ack):
        """A device's receipt: a dict ``{id | msgType, success, response}`` of a converter's output. ``identity``
        is what its datasource knows it by; an item may be queued for either."""

    def reachable(tenant, device, datasource, send):
        """See `IIntake.reachable`."""

    def listen(tenant, device, callback):
        """Call ``callback()`` whenever an item was queued for a device (by name or identity), until the function
        that this returns is called."""

    def take(tenant, device, datasource, uplink_metadata, limit, done):
        """Call ``done(tuple of model.Downlink)`` with items that leave now; each is marked offered."""

    def outcome(downlink_id, state, reason=""):
        """A datasource's report: ``sent``, ``offered``, ``delivered``, ``answered`` (as good
        as delivered, unless the item must be confirmed), ``lost``; or a converter's ``downlinkAck``;
        or ``returned``, when an item that was taken did not leave, which is no attempt."""

    def confirmed(tenant, device, state, reason=""):
        """``delivered`` or ``lost``, of the latest item of a device (by name or identity) that is SENT."""
