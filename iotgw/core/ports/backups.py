"""Copies of all that the gateway has stored, and where they go."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

PlanState = Literal["idle", "copying", "sending", "removing"]


class MadeBackup(Struct, frozen=True, rename="camel"):
    """A backup that is whole."""

    directory: Annotated[str, Meta(description="Where it is: on the gateway's host, or a URL.")]
    made_at: Annotated[int, Meta(description="When it was made: milliseconds since 1970.")]
    seconds: Annotated[float, Meta(description="Seconds that it took.")]
    bytes: Annotated[int, Meta(description="Bytes of all its files.")]
    files: Annotated[list[str], Meta(description="Names of its files.")]
    with_key: Annotated[bool, Meta(description="Whether the key of the secrets is in it.")]
    left_out: Annotated[
        dict[str, str], Meta(description="Dispensable files that could not be copied, with the reason.")
    ] = {}


class KnownBackup(Struct, frozen=True, rename="camel"):
    """The last backup of a plan."""

    name: Annotated[str, Meta(description="Its name.")]
    made_at: Annotated[int, Meta(description="When it was made: milliseconds since 1970.")]
    seconds: Annotated[float, Meta(description="Seconds that it took.")]
    bytes: Annotated[int, Meta(description="Bytes of all its files.")]


class BackupFailure(Struct, frozen=True):
    """A plan's last try, which failed."""

    at: Annotated[int, Meta(description="When it was: milliseconds since 1970.")]
    error: Annotated[str, Meta(description="Why it failed.")]


class PlanStatus(Struct, frozen=True, rename="camel"):
    """A backup plan, and how it went."""

    name: Annotated[str, Meta(description="Its name.")]
    to: Annotated[str, Meta(description="Where its backups go.")]
    schedule: Annotated[str, Meta(description="When they are made; empty: when asked.")]
    keep: Annotated[dict[str, int], Meta(description="How many are kept, by period.")]
    state: Annotated[PlanState, Meta(description="What it does now.")]
    next: Annotated[
        int | None, Meta(description="When the next one is made: milliseconds since 1970; null: when asked.")
    ]
    last: Annotated[
        KnownBackup | None, Meta(description="The last backup that is whole; null where there is none.")
    ]
    failed: Annotated[
        BackupFailure | None, Meta(description="The failure since then; null where there was none.")
    ]
    made: Annotated[int, Meta(description="How many were made since the start.")]
    failures: Annotated[int, Meta(description="How many failed since the start.")]
    due: Annotated[
        int | None,
        Meta(
            description="The first time of the schedule since the last backup, or since the start where there is none: milliseconds since 1970. Once that is past, one is missing."
        ),
    ] = None


class IBackups(Interface):
    """Makes them."""

    def take(name: str, with_key: bool, folder: Path | None = None) -> Deferred[MadeBackup]:
        """Copy all databases as they are at one moment to a new directory of that name in the operator's backup directory, or in another
        ``folder`` of the operator's. The key of the secrets, and the first token, are left out unless ``with_key``. Fails with SettingsError
        for a name that is none, Conflict while another one is made or when there is one of that name, NoSpace, or Unavailable."""


class IBackupPlace(Interface):
    """Where whole backups are kept. What is not whole, after a kill or a lost connection, is not among its ``names``.

    Each coroutine raises Unavailable when the place can't be reached or refuses."""

    where: str = Attribute("the place as people write it, without secrets")

    def names() -> Coroutine[Any, Any, list[str]]:
        """Of the whole backups that are there."""

    def send(name: str, folder: Path, files: Sequence[str]) -> Coroutine[Any, Any, None]:
        """Put a backup there: these files of ``folder``, of which the last one makes it whole."""

    def fetch(name: str, file: str, path: Path) -> Coroutine[Any, Any, None]:
        """Write a file of a backup to a new file ``path``."""

    def remove(name: str) -> Coroutine[Any, Any, None]:
        """Take a backup away; from the first moment on it is none."""

    def tidy(prefix: str) -> Coroutine[Any, Any, None]:
        """Take away what was left of backups that aren't whole and whose names begin so."""

    def close() -> Coroutine[Any, Any, None]:
        """Let go of connections. It may be used again."""


class IBackupPlans(Interface):
    """The operator's plans: each makes backups on a schedule, somewhere, and keeps some."""

    def plans() -> list[PlanStatus]:
        """All of them, by name."""

    def run(name: str) -> Deferred[MadeBackup]:
        """Make a plan's backup now. Fires when it is there, and what need not be kept any longer is gone. Fails with NotFound, or as
        `IBackups.take` and the place do."""
