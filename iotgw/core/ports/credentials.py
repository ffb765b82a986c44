"""Devices' credentials. Lookups are synchronous: a handshake makes them inside an OpenSSL callback and can't
wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from zope.interface import Attribute, Interface

from iotgw.core.credential import Grant


class ITenantCredentials(Interface):
    """The credentials of one tenant."""

    several: bool = Attribute("whether an identity has more than one secret, now or at another time")
    are_any: bool = Attribute("whether there are any")

    def psk(identity: str) -> list[tuple[bytes, Grant]]:
        """The keys that are valid now for a PSK identity, each with its grant; newest first."""

    def account(device: str, but: str) -> tuple[str, bytes] | None:
        """The PSK identity of a device with its key that is valid now, for a server that tells devices of others; None if it has none. One
        of another identity than ``but`` is preferred."""

    def x509(*names: str) -> Grant | None:
        """The grant of the first known name (device name, SHA-256 fingerprint); None if none is known."""

    def must_be_secure(device: str) -> bool:
        """Whether a device has credentials and may not be spoken for without them. One whose credentials are disabled is barred. A pattern counts for the names
        that match it, unless it matches all."""

    def may_be_insecure(device: str) -> bool:
        """Whether a device has a credential that lets it speak without it (``allowInsecure``)."""


class ICredentials(Interface):
    """Every tenant's credentials."""

    unusable: Mapping[str, str] = Attribute(
        "by id, why a credential can't be used although it is stored: its secrets can't be decrypted"
    )

    def of(tenant: str) -> ITenantCredentials:
        """The credentials of one tenant."""

    def watch(callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback()`` after a change that may end a session; returns a function that unsubscribes."""

    def is_good(grant: Grant, name: str) -> bool:
        """Whether a credential still gives this grant under ``name``."""
