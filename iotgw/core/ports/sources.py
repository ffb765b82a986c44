"""The existing datasources, for other rooms to look up."""

from __future__ import annotations

from zope.interface import Interface

from iotgw.core.ports.datasources import IDatasource, IPushes
from iotgw.core.specs import SpeaksFor


class ISources(Interface):
    """The datasources of a gateway by id."""

    def name(id: str) -> str:
        """A datasource's name; its id when it is gone."""

    def speaks_for(id: str) -> SpeaksFor:
        """For which devices a datasource may speak, besides those that prove what they are."""

    def running(id: str) -> IDatasource | None:
        """The open datasource, or None."""

    def pushing(id: str) -> IPushes | None:
        """The open datasource, if it can send to a device without being asked; else None."""
