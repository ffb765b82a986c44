"""At each start: what is kept of datasources, integrations and jobs that the registry doesn't have goes, and is told of.

A deletion cleans up before its resource leaves the registry, so there is nothing after a crash. It is there after the registry was put
back from an older copy, or where a version before this one was killed.
"""

from __future__ import annotations

from pathlib import Path

from twisted.logger import Logger

from iotgw.backups.plans import OWNER as BACKUPS
from iotgw.core.errors import IotgwError
from iotgw.core.model import DEFAULT_TENANT
from iotgw.core.own_file import remove_strangers
from iotgw.core.ports.kept import IKept
from iotgw.core.ports.registry import IRegistry
from iotgw.core.recorder import Recorder
from iotgw.datasources.mqtt import session
from iotgw.jobs.run import KIND as JOB
from iotgw.pipeline.checkpoints import KIND as CHECKPOINTS

OWNERS = ("datasource", "integration", JOB)
"""Kinds of resources that have files or rows."""
_log = Logger()


async def tidy(registry: IRegistry, kept: IKept, data_dir: Path, recorder: Recorder) -> None:
    """Compare and mend. ``registry`` and ``kept`` have started, and no datasource or integration has. What can't be removed is logged: the
    next start tries again."""
    known = {resource.id for kind in OWNERS for resource in registry.list(kind)}

    def orphaned(id: str, what: str) -> None:
        recorder.note("orphaned", "gateway", id, f"it no longer exists: {what}", DEFAULT_TENANT, "warning")

    try:
        for left in session.of_strangers(str(data_dir), known):
            recorder.note(
                "session-left", "gateway", left.client_id,
                f"its datasource no longer exists, and {left.broker} may keep messages for the session until it expires there, or a "
                "client of this id ends it", DEFAULT_TENANT, "warning",
            )  # fmt: skip
        for directory in (data_dir, *(data_dir / "adopted").glob("*")):
            remove_strangers(str(directory), known)
        for place in registry.list(CHECKPOINTS):
            if place.name not in known:
                await registry.delete(CHECKPOINTS, place.id)
                orphaned(place.name, "its places in streams were removed")
        for owner in await kept.drop_others({*known, BACKUPS}):
            orphaned(owner, "the rows that it kept were removed")
    except (OSError, IotgwError) as error:
        _log.warn("something of what was deleted could not be removed: {error}", error=error)
