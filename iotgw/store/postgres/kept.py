"""What datasources keep over restarts, in PostgreSQL. All nodes share the rows; the last one to write a row is right."""

from __future__ import annotations

from iotgw.core.ports.reactor import IThreadedClock
from iotgw.store.kept import KeptStore, Place
from iotgw.store.postgres.connection import Address, Connection
from iotgw.store.postgres.packed import bytes_of
from iotgw.store.postgres.session import DatabaseSession

_WRITE = """INSERT INTO kept SELECT * FROM unnest(%s::text[], %s, %s)
ON CONFLICT (owner, key) DO UPDATE SET value = excluded.value"""
_REMOVE = """DELETE FROM kept USING unnest(%s::text[], %s) AS gone(owner, key)
WHERE kept.owner = gone.owner AND kept.key = gone.key"""

_STRANGERS = """DELETE FROM kept WHERE owner <> ALL(%s::text[]) AND NOT EXISTS (SELECT FROM resource WHERE resource.id = kept.owner)
RETURNING owner"""


class PostgresKept(KeptStore):
    """Rows in the database at ``address``. `iotgw.store.postgres.node` has made the schema."""

    def __init__(self, address: Address, reactor: IThreadedClock) -> None:
        super().__init__(reactor)
        self._session = DatabaseSession(address)

    def _open(self) -> None:
        """It is opened when it is needed."""

    def _close(self) -> None:
        self._session.close()
        self._worker.stop()

    def _commit(self, rows: dict[Place, bytes | None]) -> None:
        gone = sorted(place for place, value in rows.items() if value is None)
        new = sorted((place, value) for place, value in rows.items() if value is not None)

        def change(db: Connection) -> None:
            if gone:
                db.execute(_REMOVE, ([owner for owner, _ in gone], _keys(gone)))
            if new:
                places = [place for place, _ in new]
                values = bytes_of([value for _, value in new])
                db.execute(_WRITE, ([owner for owner, _ in places], _keys(places), values))

        self._session.run(change)

    def _drop(self, owner: str) -> None:
        self._session.run(lambda db: db.execute("DELETE FROM kept WHERE owner = %s", (owner,)))

    def _drop_others(self, owners: list[str]) -> list[str]:
        gone = self._session.run(lambda db: db.execute(_STRANGERS, (owners,)).fetchall())
        return sorted({owner for (owner,) in gone})

    def _read(self, owner: str) -> dict[str, bytes]:
        rows = self._session.run(
            lambda db: db.execute("SELECT key, value FROM kept WHERE owner = %s", (owner,)).fetchall()
        )
        return {key.decode(): value for key, value in rows}


def _keys(places: list[Place]) -> object:
    return bytes_of([key.encode() for _, key in places])
