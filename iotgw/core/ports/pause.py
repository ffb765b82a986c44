"""The pause of a gateway whose data was put back from a backup."""

from __future__ import annotations

from msgspec import Struct
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface


class Paused(Struct, frozen=True):
    """Why nothing leaves the gateway, and since when (milliseconds since 1970)."""

    reason: str
    since: int


class IPause(Interface):
    """While it holds, nothing is delivered and no downlink leaves. Uplinks are taken and converted."""

    paused: Paused | None = Attribute("None while everything goes its way")

    def resume() -> Deferred[None]:
        """End it, for good; fires when a restart would not pause again. Does nothing where there is none."""
