"""Files of the operator's that settings of tenants may name: certificates, keys and trust anchors."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from twisted.internet.defer import Deferred
from zope.interface import Interface


class IOperatorFiles(Interface):
    """A directory of the operator's."""

    def read(tenant: str, names: Collection[str]) -> Deferred[dict[str, bytes]]:
        """The contents of a tenant's files by their names, read in a thread; never fails.

        A file that can't be used is not among them, and nothing tells whether it exists: whoever asks is no operator."""


class ICertificateEnds(Interface):
    """When the operator's certificates end."""

    def ends() -> Mapping[tuple[str, str], int]:
        """The earliest end (a date in seconds) of the certificates in each file, by tenant and name, as a thread has found them; it looks again where
        that is a minute ago. Files without certificates, and bundles of authorities, are not among them."""
