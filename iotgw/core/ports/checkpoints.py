"""How far a datasource has read a stream whose broker doesn't keep that for it."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.defer import Deferred
from zope.interface import Interface


class ICheckpoints(Interface):
    """The positions of one datasource, by the parts of a stream. They survive a restart, and are in backups. Whoever lost them would pass
    over messages, so they have the registry's guarantees; what can be learned again is in `iotgw.core.ports.kept.IKept`."""

    def read(stream: str) -> dict[str, str]:
        """The positions of this stream that were written last; none if it was another one."""

    def write(stream: str, positions: Mapping[str, str]) -> Deferred[None]:
        """Keep these in place of those before; fires when they are durable. One write at a time."""

    def forget() -> Deferred[None]:
        """Keep none any more."""
