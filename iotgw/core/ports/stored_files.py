"""Files that users upload for their devices, such as firmware: kept whole in the data directory, with their digests."""

from __future__ import annotations

import builtins
from typing import Annotated

from msgspec import Meta, Struct
from twisted.internet.defer import Deferred
from zope.interface import Interface


class StoredFile(Struct, frozen=True, rename="camel"):
    """A file as people see it."""

    id: Annotated[str, Meta(description="Its id.")]
    name: Annotated[str, Meta(description="Its name.")]
    size: Annotated[int, Meta(description="Bytes of the whole file.")]
    received: Annotated[int, Meta(description="Bytes that are there.")]
    sha256: Annotated[str, Meta(description="Its SHA-256 in hexadecimal; empty until it is whole.")]
    created_at: Annotated[int, Meta(description="When it was made: milliseconds since 1970.")]

    @property
    def is_whole(self) -> bool:
        """Whether all of it is there."""
        return bool(self.sha256)


class IStoredFiles(Interface):
    """The files of all tenants. A file that is whole never changes."""

    def list(tenant: str) -> builtins.list[StoredFile]:
        """A tenant's files by name."""

    def get(tenant: str, name: str) -> StoredFile:
        """One of them, by its name or its id. Raises NotFound."""

    def path(file: StoredFile) -> str:
        """Where the bytes of a file are on the disk."""

    def begin(tenant: str, name: str, size: int, content: bytes = b"") -> Deferred[StoredFile]:
        """A new file of ``size`` bytes, with its first ones; fires when these are on the disk. Fails with Conflict if the name is taken or
        the tenant has as much as it may, with SettingsError for a size or a name that no file may have, and with NoSpace."""

    def append(tenant: str, name: str, offset: int, content: bytes) -> Deferred[StoredFile]:
        """Bytes that follow the first ``offset`` ones; fires when they are on the disk, and after the last of them when the file is whole and
        hashed. Fails with NotFound, with Conflict if another number of bytes is there, and with NoSpace."""

    def delete(tenant: str, name: str) -> Deferred[None]:
        """Remove a file. Fails with NotFound."""
