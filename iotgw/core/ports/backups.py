"""Copies of all that the gateway has stored."""

from __future__ import annotations

from msgspec import Struct
from twisted.internet.defer import Deferred
from zope.interface import Interface


class MadeBackup(Struct, frozen=True, rename="camel"):
    """A backup that is whole. ``directory`` is on the gateway's host; ``with_key`` says whether the secrets' key is in it;
    ``left_out`` are the dispensable files that could not be copied, with the reason."""

    directory: str
    made_at: int
    seconds: float
    bytes: int
    files: list[str]
    with_key: bool
    left_out: dict[str, str] = {}


class IBackups(Interface):
    """Makes them."""

    def take(name: str, with_key: bool) -> Deferred[MadeBackup]:
        """Copy all databases as they are at one moment to a new directory of that name in the operator's backup directory.
        The key of the secrets, and the first token, are left out unless ``with_key``. Fails with SettingsError for a name that
        is none, Conflict while another one is made or when there is one of that name, NoSpace, or Unavailable."""
