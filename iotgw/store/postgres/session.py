"""A connection for what is written now and then: each call is a transaction, and whoever is told that it succeeded may rely on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import psycopg
from twisted.logger import Logger

from iotgw.core.errors import Unavailable
from iotgw.store.postgres.connection import NOT_REPLICATED, Address, Connection, is_away

T = TypeVar("T")
TRIES = 3
PAUSE = 0.2
"""Seconds between attempts."""


class DatabaseSession:
    """Runs functions on a connection, which is opened again when it was lost. Used in one thread only."""

    _log = Logger()

    def __init__(self, address: Address) -> None:
        self._address = address
        self._connection: Connection | None = None
        self._is_unreplicated = False

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def run(self, function: Callable[[Connection], T]) -> T:
        """Run a function in one transaction, and return what it returns, once that is durable. A function that was in doubt, as the connection was
        lost meanwhile, is run again: it must come to the same. Raises Unavailable where the database doesn't answer."""
        problem = ""
        for attempt in range(TRIES):
            if attempt:
                time.sleep(PAUSE)
            try:
                return self._replicated(self._run(function))
            except psycopg.Error as error:
                if not is_away(error):
                    raise
                problem = str(error).strip()
                self._log.warn("the database: {error}", error=problem)
        raise Unavailable(f"the database doesn't answer: {problem}", 5.0)

    def _run(self, function: Callable[[Connection], T]) -> T:
        connection = self._connection
        if connection is None or connection.closed:
            connection = self._connection = self._address.connect()
            connection.add_notice_handler(self._noticed)
        self._is_unreplicated = False
        with connection.transaction():
            return function(connection)

    def _replicated(self, result: T) -> T:
        """What was committed and not replicated counts once something later is replicated."""
        for _ in range(TRIES):
            if not self._is_unreplicated:
                return result
            self._run(lambda connection: connection.execute("UPDATE schema_version SET version = version"))
        raise Unavailable("the change was made, and is not replicated yet: the standby is away", 5.0)

    def _noticed(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        self._is_unreplicated = self._is_unreplicated or diagnostic.sqlstate in NOT_REPLICATED
