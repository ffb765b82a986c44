"""The gateway as a node of its database: what is done once, before any part reads or writes."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Protocol

import psycopg
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorThreads

from iotgw.core.errors import IotgwError, Unavailable
from iotgw.store.manifest import fingerprint
from iotgw.store.postgres import names, schema
from iotgw.store.postgres.connection import Address, Connection
from iotgw.store.postgres.keeper import LeaseKeeper
from iotgw.store.postgres.partition import LEASE, Ownership, take
from iotgw.store.secrets import Sealer
from iotgw.store.worker import StoreThread

_KEY = "secret-key"
"""Of the table ``fact``: the fingerprint of the key that seals secrets."""


class OtherKey(IotgwError):
    """The secrets in the database are sealed with another key."""


class IHolder(Protocol):
    """Holds a partition for the one who writes to it."""

    @property
    def address(self) -> Address:
        """Where the database is."""

    @property
    def lease(self) -> float:
        """Seconds after which an owner that was not heard of is taken for dead."""

    def hand_over(self) -> tuple[Connection, Ownership]:
        """The connection that holds the partition, to the one who writes on it, once."""

    def taken_up(self) -> None:
        """Whoever writes on it says from now on that the owner lives."""


class HeldPartition:
    """An `IHolder` of a partition that was taken; its lease is kept until it is `taken_up` or let go of. ``part`` is its number."""

    def __init__(self, address: Address, lease: float, connection: Connection, mine: Ownership) -> None:
        self.address, self.lease, self.part = address, lease, mine.part
        self._held: tuple[Connection, Ownership] | None = (connection, mine)
        self._keeper = LeaseKeeper(address, mine, lease)

    def hand_over(self) -> tuple[Connection, Ownership]:
        """See `IHolder.hand_over`."""
        if self._held is None:
            raise Unavailable("the partition is not held by anybody who could hand it over")
        held, self._held = self._held, None
        return held

    def taken_up(self) -> None:
        """See `IHolder.taken_up`."""
        self._keeper.stop()

    def let_go(self) -> None:
        """Let go of what nobody has asked for."""
        self._keeper.stop()
        if self._held is not None:
            self._held[0].close()
            self._held = None


class DatabaseNode:
    """Connects, upgrades the schema, checks that ``key_file`` is the key of this database, and takes the partition of the node ``wanted``
    (`iotgw.store.postgres.names.named`). ``lease`` in seconds.

    ``name`` and ``part``, the number of its partition, are known when it has started."""

    def __init__(
        self, reactor: IReactorThreads, address: Address, key_file: Path, wanted: str = "", *, lease: float = LEASE
    ) -> None:  # fmt: skip
        self.address = address
        self.lease = lease
        self.name = wanted
        self.part = 0
        self._reactor = reactor
        self._key_file = key_file
        self._held: HeldPartition | None = None

    def start(self) -> Deferred[None]:
        """Fires when this process owns the partition. Fails with IotgwError where it can't."""
        worker = StoreThread(self._reactor, "node")
        done = worker.call(self._open)
        worker.stop()
        return done

    def stop(self) -> Deferred[None]:
        """Let go of what nobody has asked for."""
        if self._held is not None:
            self._held.let_go()
        return succeed(None)

    def hand_over(self) -> tuple[Connection, Ownership]:
        """See `IHolder.hand_over`."""
        if self._held is None:
            raise Unavailable("the partition is not held by anybody who could hand it over")
        return self._held.hand_over()

    def taken_up(self) -> None:
        """See `IHolder.taken_up`."""
        if self._held is not None:
            self._held.taken_up()

    def _open(self) -> None:
        try:
            connection = self.address.connect()
        except psycopg.OperationalError as error:
            raise Unavailable(
                f"store.url: expected a database at {self.address.shown}, got: {str(error).strip()}"
            ) from error
        try:
            try:
                schema.upgrade(connection)
                self._check_key(connection)
                found = names.join(connection, self.name, socket.gethostname())
                self.name, self.part = found.name, found.part
                mine = take(connection, self.part, self.name, lease=self.lease)
            except psycopg.Error as error:
                raise Unavailable(f"the database at {self.address.shown}: {str(error).strip()}") from error
        except BaseException:
            connection.close()
            raise
        self._held = HeldPartition(self.address, self.lease, connection, mine)

    def _check_key(self, connection: Connection) -> None:
        """The first start says which key seals this database's secrets; every later one needs the same."""
        known = connection.execute("SELECT value FROM fact WHERE key = %s", (_KEY,)).fetchone()
        if known is None:
            Sealer.of_file(self._key_file)  # made if there is none
        elif not self._key_file.exists():
            raise OtherKey(
                f"{self._key_file}: expected the key that this database's secrets are sealed with, got no file; copy it here"
            )
        mine = fingerprint(self._key_file.read_bytes()).encode()
        connection.execute("INSERT INTO fact VALUES (%s, %s) ON CONFLICT DO NOTHING", (_KEY, mine))
        row = connection.execute("SELECT value FROM fact WHERE key = %s", (_KEY,)).fetchone()
        if row is None or row[0] != mine:
            raise OtherKey(
                f"{self._key_file}: expected the key that this database's secrets are sealed with, got another; copy that file here"
            )
