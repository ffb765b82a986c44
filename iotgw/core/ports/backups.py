"""Copies of all that the gateway has stored, and where they go."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

PlanState = Literal["idle", "copying", "sending", "removing"]


class MadeBackup(Struct, frozen=True, rename="camel"):
    """A backup that is whole. ``directory`` is where it is, on the gateway's host or as a URL; ``with_key`` says whether the secrets' key is in
    it; ``left_out`` are the dispensable files that could not be copied, with the reason."""

    directory: str
    made_at: int
    seconds: float
    bytes: int
    files: list[str]
    with_key: bool
    left_out: dict[str, str] = {}


class KnownBackup(Struct, frozen=True, rename="camel"):
    """The last backup of a plan: its name, when it was made (a date in ms), how long it took and how large it is."""

    name: str
    made_at: int
    seconds: float
    bytes: int


class BackupFailure(Struct, frozen=True):
    """Why a plan's last try failed, and when (a date in ms)."""

    at: int
    error: str


class PlanStatus(Struct, frozen=True, rename="camel"):
    """A plan: where its backups go (``to``), when (``schedule``, ``next`` as a date in ms; None: when asked), what is kept, and how it went.
    ``last`` is the last backup that is whole, ``failed`` the failure since; ``made`` and ``failures`` count since the start. ``due`` is the first time of
    the schedule since the last backup, or since the start where there is none: once that is past, one is missing."""

    name: str
    to: str
    schedule: str
    keep: dict[str, int]
    state: PlanState
    next: int | None
    last: KnownBackup | None
    failed: BackupFailure | None
    made: int
    failures: int
    due: int | None = None


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
