"""Whose the names are that network platforms give their devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from twisted.internet.defer import Deferred
from zope.interface import Interface

from iotgw.core.model import Metadata
from iotgw.core.ports.tenants import IForgetsTenants


class NameClaim(NamedTuple):
    """A device that comes with a name; ``identity`` tells it apart from all others, as `iotgw.core.identities` writes it."""

    tenant: str
    name: str
    identity: str


class Claimed(NamedTuple):
    """Whose a name is: its identity, which is empty where a tenant has too many names for another one; and whether it is so since just now."""

    owner: str
    is_new: bool = False


class NamedDevice(NamedTuple):
    """The name by which a device goes here. If its name on the platform is another device's, ``owner`` is that one's identity, and empty
    otherwise. ``is_new``: it goes by a name of its own since just now."""

    name: str
    owner: str = ""
    is_new: bool = False


class IPlatformNameRows(IForgetsTenants):
    """Where it is stored, for all nodes."""

    def claim(claims: Sequence[NameClaim]) -> Deferred[list[Claimed]]:
        """Give each name to the identity that claims it, unless another one has it. Fires with whose each is, once that is durable; fails with
        NoSpace or Unavailable."""

    def owner(tenant: str, name: str) -> Deferred[str]:
        """The identity that has a name; empty if none has."""


class IPlatformNames(Interface):
    """The names of all tenants. A name belongs to the first identity that comes with it, or to the one that the device's entry names."""

    def known(tenant: str, metadata: Metadata) -> NamedDevice | None:
        """The name of the device that sent an uplink, as far as that is known without asking. An uplink whose metadata says no ``deviceName``, or
        no identity, has none that could be another's: its name is as it says."""

    def learn(tenant: str, metadata: Metadata) -> Deferred[NamedDevice]:
        """The same, asked for. Whoever asks for one device twice gets the answers in that order. Fails with NoSpace or Unavailable."""

    def owner(tenant: str, name: str) -> Deferred[str]:
        """The identity that has a name; empty if none has. Fails as `learn`."""

    def is_anothers(tenant: str, name: str, identity: str) -> bool:
        """Whether a name is known to be another one's than the device's with this identity."""
