"""Connections to PostgreSQL: where it is, and what each connection needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, LiteralString, cast
from urllib.parse import urlsplit

import psycopg
from msgspec import Struct
from psycopg import conninfo

from iotgw.core.errors import SettingsError
from iotgw.store.postgres import packed

Connection = psycopg.Connection[tuple[Any, ...]]
SCHEMES = ("postgresql", "postgres")
DEFAULTS = {
    "connect_timeout": "3",
    "target_session_attrs": "read-write",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "application_name": "iotgw",
}
"""What holds unless the URL says otherwise: of several hosts, the one that takes writes; a host that is dead is noticed in 10 s."""


NOT_REPLICATED = ("01000", "57P01")
"""SQLSTATEs of a notice that says that a commit is not replicated: its wait was cancelled, or the server shuts down."""
_OF_THE_SERVER = ("08", "25", "40", "53", "55", "57", "58", "XX")
"""Classes of SQLSTATEs that say nothing of a value: connection, transaction, resources, operator, system."""


class Address(Struct, frozen=True):
    """Where the database is. ``url`` is libpq's, perhaps with several hosts; the password is in a file, which is read at each connection,
    so that it may change."""

    url: str
    password_file: Path | None = None

    def check(self) -> None:
        """Raises SettingsError where the URL is none, or has a password in it."""
        if urlsplit(self.url).scheme not in SCHEMES:
            raise SettingsError("store.url", "expected a URL such as postgresql://user@host/database")
        try:
            parts = conninfo.conninfo_to_dict(self.url)
        except psycopg.ProgrammingError:
            raise SettingsError(
                "store.url", "expected a URL that libpq understands", is_secret=True
            ) from None
        if parts.get("password"):
            raise SettingsError(
                "store.url", "expected a URL without a password, which belongs in store.password-file",
                is_secret=True,
            )  # fmt: skip

    @property
    def shown(self) -> str:
        """Host and database, for people."""
        parts = conninfo.conninfo_to_dict(self.url)
        return f"{parts.get('host', 'localhost')}/{parts.get('dbname', '')}"

    def connect(self) -> Connection:
        """A connection that commits each statement by itself. Raises psycopg.OperationalError if there is none to be had, and SettingsError
        when the password can't be read."""
        values: dict[str, Any] = {**DEFAULTS, **conninfo.conninfo_to_dict(self.url)}
        if self.password_file is not None:
            try:
                values["password"] = self.password_file.read_text("utf-8").rstrip("\n")
            except OSError as error:
                raise SettingsError(
                    "store.password-file",
                    f"expected a readable file, got {self.password_file}: {error.strerror}",
                ) from error
        connection = cast(Connection, psycopg.connect("", autocommit=True, **values))
        packed.register(connection)
        connection.execute("SET search_path = iotgw")
        return connection


def is_away(error: Exception) -> bool:
    """Whether the server is at fault, and not the values: it may work later."""
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return True
    return isinstance(error, psycopg.Error) and (error.sqlstate or "")[:2] in _OF_THE_SERVER


def sql(text: str) -> LiteralString:
    """A statement that was put together of our own texts."""
    return text
