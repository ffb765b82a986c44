"""What datasources keep over restarts, such as the registrations of devices: rows that each reads once, when it starts."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from twisted.internet.defer import Deferred
from zope.interface import Interface

Rows = Mapping[str, bytes | None]
"""Values by key; None removes the row."""


class IKept(Interface):
    """Rows by their owner, which is a datasource's id. They are dispensable: who finds none begins anew."""

    def start() -> Deferred[None]:
        """Open it; fires when rows can be read."""

    def stop() -> Deferred[None]:
        """Write what is not written yet, and close it."""

    def rows(owner: str) -> Deferred[dict[str, bytes]]:
        """All rows of an owner, with every change that was asked for before."""

    def save(owner: str, rows: Rows) -> Deferred[None]:
        """Change rows; fires when that is durable. What fails is tried again with the next change. Changes are written in the
        order in which they were asked for, those of one turn together."""

    def drop(owner: str) -> Deferred[None]:
        """Remove all rows of an owner."""

    def drop_others(owners: Collection[str]) -> Deferred[list[str]]:
        """Remove all rows but those of these owners; fires with whose rows went. Where several nodes share the rows, those stay whose
        owner the registry has by now."""
