"""Writes how far integrations have come that the owner of a partition has lent to this node.

The loan is the fence. It is a number that every commit names, and that is another one as soon as the owner has taken the integration back, or another
node has borrowed it; besides, nothing is written without the lease. So whoever stood still commits nothing after his time. A commit in doubt needs no
inquiry: a new number is taken, by which whatever the old one may still do comes too late, and the commit, which says how things are, is made again.
"""

from __future__ import annotations

import msgspec
import psycopg
from msgspec import Struct
from psycopg.types.numeric import Int8
from twisted.logger import Logger

from iotgw.core.errors import Unavailable
from iotgw.core.model import Counters
from iotgw.core.ports.nodes import lease_of
from iotgw.store import unfit
from iotgw.store.group import Advance, Group
from iotgw.store.names import NameTable
from iotgw.store.postgres.connection import NOT_REPLICATED, Address, Connection, is_away, sql
from iotgw.store.postgres.draft import ProgressDraft
from iotgw.store.postgres.statements import BORROW, BORROWED, FORGET_BORROWED, borrowed

TRIES = 3
"""How often a commit is made that isn't replicated."""


class Borrower(Struct, frozen=True):
    """Who borrows from a partition: the node ``name`` as long as it has the integration's lease, of so many seconds."""

    address: Address
    name: str
    part: int
    lease: float


class BorrowedNames(NameTable):
    """The names of another's partition, which gives them."""

    def __missing__(self, text: str) -> int:
        raise Unavailable(f"the partition has no name {text!r} yet")


class BorrowedWriter:
    """Commits what `Borrower` borrows. Used in one thread only."""

    _log = Logger()

    def __init__(self, tenant: Borrower, names: BorrowedNames) -> None:
        self._tenant = tenant
        self._names = names
        self._connection: Connection | None = None
        self._is_unreplicated = False
        self._loans: dict[str, int] = {}

    # --- loans

    def borrow(self, integration: str) -> tuple[int, Counters] | None:
        """Take what is lent of an integration: its place and its accounts. None where nothing is, or this node hasn't the lease."""
        self._loans.pop(integration, None)
        row = self._take(integration, 0)
        return None if row is None else (row[1], msgspec.json.decode(row[2], type=Counters))

    def give_back(self, integration: str) -> None:
        """Write nothing more for it."""
        self._loans.pop(integration, None)

    def _take(self, integration: str, before: int) -> tuple[int, int, bytes] | None:
        part = self._tenant.part
        values = (part, self._names[integration], Int8(before), Int8(before), *self._leased(integration))
        row = self._open().execute(sql(BORROW), values).fetchone()
        if row is not None:
            self._loans[integration] = row[0]
        return row

    def _leased(self, integration: str) -> tuple[str, str, float]:
        return lease_of(integration), self._tenant.name, self._tenant.lease

    def _open(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = self._tenant.address.connect()
            self._connection.add_notice_handler(self._noticed)
        return self._connection

    def _noticed(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        self._is_unreplicated = self._is_unreplicated or diagnostic.sqlstate in NOT_REPLICATED

    # --- commits

    def commit(self, group: Group) -> list[str]:
        """Write what a group says of integrations. Returns those that this node has no more. Raises psycopg.Error where the database is away: then
        the group may be committed again."""
        if self._connection is None or self._connection.closed:
            for integration, loan in list(self._loans.items()):
                if self._take(integration, loan) is None:
                    del self._loans[integration]
        lost = []
        for integration in group.forgotten:
            if integration in self._loans:
                values = (self._tenant.part, self._names[integration], Int8(self._loans[integration]))
                self._write(FORGET_BORROWED, [*values, *self._leased(integration)])
                self.give_back(integration)
        for integration, advance in group.progress.items():
            if integration not in self._loans or not self._advance(integration, advance):
                self.give_back(integration)
                lost.append(integration)
        return lost

    def _advance(self, integration: str, advance: Advance) -> bool:
        try:
            return self._written(integration, advance)
        except Exception as error:
            if isinstance(error, psycopg.Error) and is_away(error):
                raise
            self._log.warn("a record can't be stored and was rejected: {error}", error=error)
            group = Group()
            group.progress[integration] = advance
            unfit.take_out(group)
            return self._mended(integration, advance)

    def _mended(self, integration: str, advance: Advance) -> bool:
        """What still can't be stored is delivered again."""
        try:
            return self._written(integration, advance)
        except Exception as error:
            if isinstance(error, psycopg.Error) and is_away(error):
                raise
            self._log.failure("progress can't be stored and was dropped")
            return False

    def _written(self, integration: str, advance: Advance) -> bool:
        draft = ProgressDraft(self._names)
        draft.advance(self._names[integration], advance)
        ((_, cursor, counters, _),) = draft.integrations
        values = (
            Int8(cursor),
            counters,
            self._tenant.part,
            self._names[integration],
            Int8(self._loans[integration]),
        )
        return self._write(BORROWED, [*values, *self._leased(integration), *borrowed(draft)])

    def _write(self, statement: str, values: list[object]) -> bool:
        for _ in range(TRIES):
            self._is_unreplicated = False
            row = self._open().execute(sql(statement), values).fetchone()
            if not self._is_unreplicated:
                return row is not None and row[0] == 1
        raise psycopg.OperationalError("what was committed is not replicated yet")

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
