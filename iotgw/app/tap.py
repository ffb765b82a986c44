"""``twistd iotgw``: its options, and the service that they make.

The parts are imported only when the service is made, so that SIGHUP is handled first.
"""

from __future__ import annotations

from pathlib import Path

from twisted.application.service import IService
from twisted.python import usage
from zope.interface import alsoProvides

from iotgw.app.hangups import Hangups
from iotgw.app.processes.count import check
from iotgw.config import settings as process_settings
from iotgw.core.errors import IotgwError
from iotgw.core.private import keep_to_ourselves


class Options(usage.Options):
    """Options of ``twistd iotgw``."""

    synopsis = "[--config FILE] [--data-dir DIR] [--node NAME] [--processes N]"
    optParameters = [
        ["config", "c", None, "settings file (TOML); without one, the defaults hold"],
        ["data-dir", "d", None, "data directory; takes precedence over the settings file"],
        [
            "node",
            "n",
            "",
            "of several nodes on one database, which one this is; without a name, the machine's",
        ],
        [
            "processes",
            None,
            1,
            "work with so many processes, which are the nodes NAME-1 to NAME-N of one database and share their ports",
            int,
        ],
    ]

    def postOptions(self) -> None:
        """Read the settings; a wrong one ends the start with one line."""
        self.hangups = Hangups()
        try:
            self.loaded = process_settings.load(self["config"])
        except IotgwError as error:
            raise usage.UsageError(str(error)) from error
        try:
            check(self["processes"], self.loaded)
        except IotgwError as error:
            raise usage.UsageError(str(error)) from error
        # Absolute now: a daemon leaves the directory that it was started in.
        self.data_dir = Path(self["data-dir"] or self.loaded.data_dir).absolute()
        self.config = Path(self["config"]).absolute() if self["config"] else None


def makeService(options: Options) -> IService:
    """The service that `twistd` runs; raises SystemExit with one line when it can't."""
    from twisted.internet import reactor  # noqa: PLC0415 (twistd installs the reactor that it was told to)

    from iotgw.app.clock import run_on  # noqa: PLC0415
    from iotgw.app.notify import notify_ready  # noqa: PLC0415
    from iotgw.app.processes.handed_ports import supervision  # noqa: PLC0415
    from iotgw.app.services import IotgwService  # noqa: PLC0415 (takes half a second; see above)
    from iotgw.app.storage import kept_time  # noqa: PLC0415
    from iotgw.core.clock import GatewayClock, boot_id  # noqa: PLC0415
    from iotgw.core.ports.reactor import IReactor  # noqa: PLC0415
    from iotgw.store.lock import DataDirectoryLock  # noqa: PLC0415
    from iotgw.store.restore import expect_finished  # noqa: PLC0415

    keep_to_ourselves()
    alsoProvides(reactor, IReactor)  # as every reactor of Twisted's does on Linux
    lock = DataDirectoryLock(options.data_dir)
    try:
        lock.acquire()
        expect_finished(options.data_dir)
        if options["processes"] > 1:
            from iotgw.app.processes.service import several  # noqa: PLC0415

            return several(options["processes"], options["node"], options.loaded, options.data_dir, options.config, options.hangups, IReactor(reactor), lock)  # fmt: skip
    except (IotgwError, OSError) as error:
        raise SystemExit(f"iotgw: {error}") from error
    clock = GatewayClock(kept_time(options.loaded.store, options.data_dir, options["node"]), boot_id())
    run_on(reactor, clock)
    found = supervision(IReactor(reactor))
    try:
        return IotgwService(
            options.loaded, options.data_dir, options.config, lock, options.hangups, IReactor(reactor), clock, options["node"],
            found.ready if found is not None else notify_ready,
        )  # fmt: skip
    except IotgwError as error:
        raise SystemExit(f"iotgw: {error}") from error
