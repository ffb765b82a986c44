"""What ``twistd iotgw --processes N`` runs."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from twisted.application.service import IService

from iotgw.app.hangups import Hangups
from iotgw.app.processes.directories import Directories
from iotgw.app.processes.supervisor import OneOfSeveral, Supervisor
from iotgw.config.settings import Settings
from iotgw.core.ports.reactor import IReactor
from iotgw.observe.logs import Logs
from iotgw.store.lock import DataDirectoryLock

TWISTD = "from twisted.scripts.twistd import run; run()"


def several(
    count: int,
    name: str,
    settings: Settings,
    data_dir: Path,
    config: Path | None,
    hangups: Hangups,
    reactor: IReactor,
    lock: DataDirectoryLock,
) -> IService:
    """The supervisor of ``count`` processes, which are the nodes ``name``-1 and so on; without a name, they are called as the machine. It holds ``lock``."""
    names = [f"{name or socket.gethostname()}-{number}" for number in range(1, count + 1)]
    processes = [OneOfSeveral(number, each, data_dir / each) for number, each in enumerate(names, 1)]

    def command(one: OneOfSeveral) -> list[str]:
        settled = ["--config", str(config)] if config is not None else []
        of_gateway = ["iotgw", *settled, "--data-dir", str(one.data_dir), "--node", one.name]
        return [sys.executable, "-c", TWISTD, "--nodaemon", "--pidfile=", *of_gateway]

    log = settings.log
    logs = Logs(
        data_dir / log.file if log.file else None,
        log.level,
        log.rotate_bytes,
        log.keep,
        libraries=log.libraries,
    )
    directories = Directories(data_dir, settings, processes)
    return Supervisor(reactor, processes, command, directories.prepare, hangups, logs, lock)
