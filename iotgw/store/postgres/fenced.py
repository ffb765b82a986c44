"""One connection that commits groups, each exactly once, whatever happens to the connection meanwhile.

A commit is *in doubt* when the connection is lost before its answer: it may have happened or not. So nobody is told anything until the partition's
``group_no`` has told which. And a commit that was not replicated, although it should have been (the wait was cancelled), looks like any
other, but for a warning: it counts once a later commit was replicated, as that one stands behind it in the log.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import psycopg
from psycopg.types.numeric import Int8
from twisted.logger import Logger

from iotgw.core.errors import Unavailable
from iotgw.store.postgres.connection import NOT_REPLICATED, Address, Connection, sql
from iotgw.store.postgres.partition import Fenced, Ownership, retake
from iotgw.store.postgres.statements import BEAT

PAUSE = 0.2
"""Seconds between attempts to find out what became of a commit."""
READ_ONLY = "25006"
"""The SQLSTATE of a server that takes no writes."""


class CannotTell(Unavailable):
    """The gateway stops, and what became of the last commit can't be found out. The next start will see it."""


class FencedConnection:
    """Commits as the owner of a partition. ``hear`` is told why nothing can be committed for now, and, with an empty text, when that is over.

    ``is_given_up()`` says that the process stops, and no longer waits for the database. Used in the writer's thread only.
    """

    _log = Logger()

    def __init__(
        self, address: Address, connection: Connection, mine: Ownership, hear: Callable[[str], None],
        is_given_up: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._address = address
        self._mine = mine
        self._hear = hear
        self._is_given_up = is_given_up
        self._is_unreplicated = False
        self._is_in_trouble = False
        self.connection: Connection
        self._adopt(connection)

    @property
    def part(self) -> int:
        """The partition."""
        return self._mine.part

    def _adopt(self, connection: Connection) -> None:
        connection.add_notice_handler(self._noticed)
        self.connection = connection
        self._cursor = connection.cursor(binary=True)

    def _noticed(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        if diagnostic.sqlstate in NOT_REPLICATED:
            self._is_unreplicated = True
            self._log.warn("the database: {message}", message=diagnostic.message_primary)

    # --- committing

    def commit(
        self, statement: str, values: Sequence[object], uplink: int = 0, telemetry: int = 0, bytes: int = 0
    ) -> None:
        """Commit a statement that begins with the fence; returns when it is durable. ``uplink`` and ``telemetry`` are the highest positions in it,
        and ``bytes`` more than before are stored.

        Raises psycopg.Error where nothing is committed, for a value's sake or because there is no connection to begin with; `Fenced` when somebody
        else owns the partition; `CannotTell` when the gateway stops meanwhile."""  # fmt: skip
        self._commit(statement, values, (uplink, telemetry, bytes))
        while self._is_unreplicated:
            self._say("what was committed is not replicated yet")
            if self._is_given_up():
                raise CannotTell("the gateway stops, and the standby is away")
            try:
                self._commit(BEAT, (), (0, 0, 0))
            except psycopg.Error as error:
                self._log.warn("the database: {error}", error=error)
                self._is_unreplicated = True
                time.sleep(PAUSE)
        self._say("")

    def _commit(self, statement: str, values: Sequence[object], figures: tuple[int, int, int]) -> None:
        if self.connection.closed:
            self.reconnect()
        number = self._mine.group_no
        head = (*(Int8(each) for each in figures), self._mine.part, Int8(self._mine.epoch), Int8(number))
        self._is_unreplicated = False
        while True:
            try:
                row = self._cursor.execute(sql(statement), [*head, *values], prepare=True).fetchone()
            except psycopg.Error as error:
                if error.sqlstate == READ_ONLY:  # the server is a standby now: look for the other one
                    self.close()
                elif not self.connection.closed:
                    raise  # refused, as for a value or a full disk: nothing was committed
                if self._is_committed(number, str(error)):
                    break
                continue
            if row is None or row[0] != 1:
                raise Fenced("another gateway has taken over")
            break
        self._mine = msgspec.structs.replace(self._mine, group_no=number + 1)

    def _is_committed(self, number: int, problem: str) -> bool:
        """Find out what became of a commit; waits until the database answers."""
        while True:
            self._say(f"the database is away: {problem.strip()}")
            if self._is_given_up():
                raise CannotTell("the gateway stops, and the database is away")
            try:
                last = self._connect()
            except psycopg.Error as error:
                problem = str(error)
                time.sleep(PAUSE)
                continue
            if last not in (number, number + 1):
                raise Fenced("another gateway has written to the partition")
            # What is visible after a crash may not be replicated: what comes next must be, before this counts.
            self._is_unreplicated = self._is_unreplicated or last == number + 1
            return last == number + 1

    def _say(self, problem: str) -> None:
        if problem or self._is_in_trouble:
            self._is_in_trouble = bool(problem)
            self._hear(problem)

    # --- connections

    def reconnect(self) -> None:
        """Connect anew, when there is nothing in doubt. Raises psycopg.OperationalError if that can't be done."""
        if self._connect() != self._mine.group_no:
            raise Fenced("another gateway has written to the partition")

    def _connect(self) -> int:
        self.close()
        connection = self._address.connect()
        try:
            last = retake(connection, self._mine)
        except BaseException:
            connection.close()
            raise
        self._adopt(connection)
        return last

    def close(self) -> None:
        """Let go of the connection, and with it of the lock."""
        self.connection.close()

    def abandon(self) -> None:
        """From another thread: end the connection under whoever waits for it, as a server that stands still answers nobody."""
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(self.connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)

    def fetch(self, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        """The rows of a query on this connection."""
        return self._cursor.execute(sql(query), values, prepare=True).fetchall()
