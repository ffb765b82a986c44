"""What debugging keeps of single messages, whatever the database: it waits for it within bounds, and what comes beyond is dropped."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.ports.debug import DebugEntry, IDebugStore
from iotgw.core.ports.tenants import IForgetsTenants

PENDING = 4 << 20
"""Bytes that may wait for the database; what comes beyond is dropped."""
ENTRIES = 1_000
"""Entries of one answer."""
STEP = 1_000
"""Entries that are deleted at once where there are too many."""
Row = tuple[str, str, bytes]
"""Tenant, message id and entry."""


@implementer(IDebugStore, IForgetsTenants)
class DebugRing(ABC):
    """The half of an `IDebugStore` in the reactor's thread. ``dropped`` counts the entries that the database was too slow for."""

    _log = Logger()
    put_aside: str

    def __init__(self) -> None:
        self._pending: list[Row] = []
        self._pending_bytes = 0
        self._writing: Deferred[None] | None = None
        self._takes = False
        self._decode = msgspec.json.Decoder(DebugEntry).decode
        self._encode = msgspec.json.Encoder().encode
        self.dropped = 0

    def start(self) -> Deferred[None]:
        """See `IDebugStore.start`."""
        self._takes = True
        return self._opened()

    def stop(self) -> Deferred[None]:
        """See `IDebugStore.stop`."""
        self._takes = False
        return self._flushed().addBoth(lambda _: self._ended())

    def add(self, tenant: str, message_id: str, entry: DebugEntry) -> None:
        """See `IDebugStore.add`."""
        body = self._encode(entry)
        if not self._takes or self._pending_bytes + len(body) > PENDING:
            self.dropped += 1
            return
        self._pending.append((tenant, message_id, body))
        self._pending_bytes += len(body)
        if self._writing is None:
            self._write()

    def of(self, tenant: str, message_id: str) -> Deferred[list[DebugEntry]]:
        """See `IDebugStore.of`."""
        return self._flushed().addCallback(lambda _: self._work(self._of, tenant, message_id))

    def forget_tenant(self, tenant: str) -> Deferred[int]:
        """See `IForgetsTenants.forget_tenant`."""
        return self._flushed().addCallback(lambda _: self._work(self._forget_tenant, tenant))

    def _flushed(self) -> Deferred[None]:
        """Fires when what was added so far is written."""
        if self._writing is None:
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._writing.addCallback(done.callback)
        return done.addCallback(lambda _: self._flushed())

    def _write(self) -> None:
        rows, self._pending, self._pending_bytes = self._pending, [], 0
        written = self._writing = Deferred()

        def over(result: object) -> None:
            if isinstance(result, Failure):
                self.dropped += len(rows)
                self._log.warn("debugging can't be written: {why}", why=result.getErrorMessage())
            self._writing = None
            if self._pending:
                self._write()
            written.callback(None)

        self._work(self._add, rows).addBoth(over)

    # --- the database's own half

    @abstractmethod
    def _opened(self) -> Deferred[None]:
        """Open it."""

    @abstractmethod
    def _ended(self) -> Deferred[None]:
        """Close it."""

    @abstractmethod
    def _work(self, function: Callable[..., Any], *args: object) -> Deferred[Any]:
        """Call a function in the database's thread."""

    @abstractmethod
    def _add(self, rows: list[Row]) -> None:
        """Write entries, and remove the oldest where there are too many."""

    @abstractmethod
    def _of(self, tenant: str, message_id: str) -> list[DebugEntry]:
        """What was kept of a message, the oldest first."""

    @abstractmethod
    def _forget_tenant(self, tenant: str) -> int:
        """How many entries were removed."""
