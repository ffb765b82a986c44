"""Who may speak for a device: send as it, take its downlinks, and confirm them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from zope.interface import Interface

from iotgw.core.model import Output
from iotgw.core.proof import Proved


class IOwners(Interface):
    """Which datasource a device belongs to, by its id."""

    def owner(tenant: str, device: str) -> str:
        """The datasource that a device belongs to; empty if there is none."""

    def owned(tenant: str, datasource: str) -> Collection[str]:
        """The devices that belong to a datasource, as they are while one looks at them: not to be kept."""

    def hand_over(tenant: str, device: str, datasource: str) -> None:
        """Give a device to a datasource. It need not prove itself any more, unless it has credentials."""

    def disown(tenant: str, device: str) -> None:
        """A device belongs to no datasource any more, until one introduces it."""


class ISpeakers(Interface):
    """The tenants' rule. It is asked for each message, so it answers from memory."""

    def objection(tenant: str, datasource: str, device: str, proved: Proved = "") -> str:
        """Why a sender at a datasource (by id) may not speak for a device; empty if it may. ``proved`` is what
        the sender has proved to be."""

    def taking_objection(tenant: str, datasource: str, device: str, proved: Proved = "") -> str:
        """Why a sender may not take a device's downlinks, or confirm them: the same, and while it is still being learned to
        whom devices belong, also because nobody knows it of this one."""

    def identity_objection(tenant: str, datasource: str, identity: str, proved: Proved = "") -> str:
        """Why a sender may not go by an identity; empty if it may. An identity is a number of the sender's own,
        which may be another device's name by chance. So only devices with credentials matter."""

    def has_credentials(tenant: str) -> bool:
        """Whether any device of a tenant has credentials."""

    def familiar(tenant: str, datasource: str) -> Callable[[str], bool] | None:
        """What tells at a glance whether a device belongs to a datasource that has introduced it, so that a sender there may
        speak for it without any proof. None where more has to be looked at. It is right until something is called that may
        change the credentials: ask for it anew for each batch."""

    def heard(tenant: str, datasource: str, outputs: Sequence[Output], proved: Proved = "") -> None:
        """A message with these outputs counts: a device that belongs to no datasource belongs to this one from
        now on."""
