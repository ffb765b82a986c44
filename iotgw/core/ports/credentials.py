"""What devices prove themselves with. Answers at once: a handshake asks in the middle of OpenSSL and can't wait."""

from __future__ import annotations

from collections.abc import Callable

from zope.interface import Attribute, Interface

from iotgw.core.credential import Grant


class ITenantCredentials(Interface):
    """The credentials of one tenant."""

    several: bool = Attribute("whether an identity has more than one secret, now or at another time")

    def psk(identity: str) -> list[tuple[bytes, Grant]]:
        """The keys that are good now for a PSK identity, each with what it gives; the newest first."""

    def x509(*names: str) -> Grant | None:
        """What the first of these names (device name, SHA-256 fingerprint) gives; None when none is known."""

    def must_be_secure(device: str) -> bool:
        """Whether a device has a credential that doesn't allow it to come without."""


class ICredentials(Interface):
    """Every tenant's credentials."""

    def of(tenant: str) -> ITenantCredentials:
        """Those of one tenant."""

    def watch(callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback()`` after a change that may end a session; returns what ends that."""

    def is_good(grant: Grant, name: str) -> bool:
        """Whether a credential still gives this to who goes by ``name``."""
