"""Keeps the lease of a partition while its journal opens: what that reads may take longer than the lease."""

from __future__ import annotations

import threading
from contextlib import suppress

import psycopg
from twisted.logger import Logger

from iotgw.core.errors import IotgwError
from iotgw.store.postgres.connection import Address, Connection
from iotgw.store.postgres.partition import Ownership

_LOCAL = "SET synchronous_commit = local"
"""A standby that stands still doesn't make anybody look dead."""
_RENEW = "UPDATE partition SET alive_at = now() WHERE id = %s AND owner_epoch = %s"


class LeaseKeeper:
    """Says several times in a ``lease`` (seconds) that the owner of a partition lives, from a thread and over a connection of its own, until it is
    stopped, or until somebody else owns the partition. Whoever commits to the partition needs none: each commit says it."""

    _log = Logger()

    def __init__(self, address: Address, mine: Ownership, lease: float) -> None:
        self._address, self._mine, self._every = address, mine, lease / 4
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease-keeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Say it no more. From any thread; it may be called again."""
        self._stopped.set()

    def _run(self) -> None:
        connection: Connection | None = None
        while not self._stopped.wait(self._every):
            try:
                if connection is None or connection.closed:
                    connection = self._address.connect()
                    connection.execute(_LOCAL)
                if connection.execute(_RENEW, (self._mine.part, self._mine.epoch)).rowcount != 1:
                    break
            except (psycopg.Error, IotgwError) as error:
                self._log.warn("the lease could not be renewed: {error}", error=str(error).strip())
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()
