"""What stores do when a tenant leaves."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import Interface


class IForgetsTenants(Interface):
    """A store that keeps something of tenants."""

    def forget_tenant(tenant: str) -> Deferred[int]:
        """Remove all that is kept of a tenant; fires with about how many rows that was. It may be done again after a kill. Nothing of the tenant
        comes meanwhile."""
