"""A backup by its place, for commands that run without a gateway: a directory, or what a plan of the settings file has sent somewhere."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import alsoProvides

from iotgw.app.backup_plans import opened
from iotgw.app.parts import way_out
from iotgw.app.threads import in_threads
from iotgw.backups.places import place_of
from iotgw.backups.retention import made_at
from iotgw.config import settings as process_settings
from iotgw.config.settings import Settings
from iotgw.core import private
from iotgw.core.errors import NotFound
from iotgw.core.ports.backups import IBackupPlace
from iotgw.core.ports.reactor import IReactor
from iotgw.store.manifest import MANIFEST, Manifest

T = TypeVar("T")


@contextmanager
def found_backup(where: str, config: str | None) -> Iterator[Path]:
    """The directory of a backup. ``where`` is one; or a plan of the settings file ``config``, which is its newest, ``PLAN/NAME``, or a URL:
    then it is fetched into a temporary directory. Raises NotFound, Unavailable and SettingsError."""
    if Path(where).is_dir():
        yield Path(where)
        return
    settings = process_settings.load(config)
    plan, name = _named(where, settings)
    with tempfile.TemporaryDirectory(prefix="iotgw-backup-") as directory:
        yield run(partial(_fetch, settings, plan, name, Path(directory)))


def _named(where: str, settings: Settings) -> tuple[str, str]:
    """The plan, and the name of its backup; empty for the newest."""
    for plan, said in settings.backup.items():
        for begin in (plan, said.to.rstrip("/")):
            if where.rstrip("/") == begin:
                return plan, ""
            if where.startswith(f"{begin}/") and "/" not in (name := where[len(begin) + 1 :].rstrip("/")):
                return plan, name
    known = ", ".join(settings.backup) or "none"
    raise NotFound(
        f"{where}: expected a directory, or a backup of a plan of --config FILE, which has: {known}"
    )


async def _fetch(settings: Settings, plan: str, name: str, directory: Path, reactor: IReactor) -> Path:
    place: IBackupPlace = place_of(
        plan, opened(settings, plan), Path(settings.data_dir).absolute(), reactor,
        way_out(settings.integrations, reactor), in_threads(reactor), time.time,
    )  # fmt: skip
    try:
        there = await place.names()
        if not name:
            of_plan = [(made, each) for each in there if (made := made_at(plan, each)) is not None]
            if not of_plan:
                raise NotFound(f"{place.where}: there is no backup of the plan {plan!r}")
            name = max(of_plan)[1]
        if name not in there:
            raise NotFound(f"{place.where}: there is no whole backup {name!r}")
        folder = directory / name
        private.make_directory(folder)
        await place.fetch(name, MANIFEST, folder / MANIFEST)
        for file in Manifest.read(folder).files:
            private.make_directory((folder / file).parent)
            await place.fetch(name, file, folder / file)
        return folder
    finally:
        await place.close()


def run(work: Callable[[IReactor], Coroutine[Any, Any, T]]) -> T:
    """Run a reactor until some work is done, and return what it returns."""
    from twisted.internet import reactor  # noqa: PLC0415  # it is installed by importing it

    alsoProvides(reactor, IReactor)
    found: list[T | Failure] = []

    def begin() -> None:
        done: Deferred[Any] = Deferred.fromCoroutine(work(IReactor(reactor)))
        done.addBoth(found.append)
        done.addBoth(lambda _: IReactor(reactor).stop())

    IReactor(reactor).callWhenRunning(begin)
    IReactor(reactor).run()
    result = found[0]
    if isinstance(result, Failure):
        result.raiseException()
    return result
