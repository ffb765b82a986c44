"""The backup plans of the settings, with what their secrets refer to."""

from __future__ import annotations

from pathlib import Path

import msgspec

from iotgw.app.threads import in_threads
from iotgw.backups.places import Place, place_of
from iotgw.backups.plans import BackupPlans, Sending
from iotgw.config.settings import Settings
from iotgw.core.backup_plan import BackupPlan
from iotgw.core.ports.backups import IBackups
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.kept import IKept
from iotgw.core.ports.reactor import IReactor
from iotgw.core.recorder import Recorder
from iotgw.core.references import References
from iotgw.core.validate import convert

SENDING = ".sending"
"""Directory in the backup directory for backups that are sent elsewhere."""


def plans_of(
    settings: Settings,
    data_dir: Path,
    backups: IBackups,
    kept: IKept,
    recorder: Recorder,
    reactor: IReactor,
    connector: IConnector,
    calendar: ICalendar,
) -> BackupPlans:
    """All plans. Raises SettingsError for one that can't be carried out."""
    plans: dict[str, tuple[BackupPlan, Place]] = {}
    for name in settings.backup:
        plan = opened(settings, name)
        place = place_of(name, plan, data_dir, reactor, connector, in_threads(reactor), calendar.seconds)
        plans[name] = plan, place
    sending = Sending(data_dir / settings.store.backup_directory / SENDING, in_threads(reactor))
    return BackupPlans(plans, backups, sending, kept, recorder, reactor, calendar)


def opened(settings: Settings, name: str) -> BackupPlan:
    """A plan with its secrets. Raises SettingsError where a reference leads nowhere."""
    place = f"backup.{name}"
    said = msgspec.to_builtins(settings.backup[name])
    return convert(References().resolved(said, Path("/"), place), BackupPlan, place)
