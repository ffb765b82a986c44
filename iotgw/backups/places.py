"""What an operator's ``to`` means: a directory, an SFTP server, or a bucket."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from iotgw.backups.directory import DirectoryPlace
from iotgw.backups.pieces import InThread, PieceReader
from iotgw.backups.s3 import S3Place
from iotgw.backups.sftp import SftpPlace
from iotgw.core.backup_plan import BackupPlan
from iotgw.core.errors import SettingsError
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.reactor import IReactor

Place = DirectoryPlace | SftpPlace | S3Place


def place_of(
    name: str,
    plan: BackupPlan,
    data_dir: Path,
    reactor: IReactor,
    connector: IConnector,
    in_thread: InThread,
    date: Callable[[], float],
) -> Place:
    """The place of the plan that is called ``name``. Raises SettingsError with the setting's path."""
    scheme, sign, _ = plan.to.partition("://")
    try:
        if not sign:
            return DirectoryPlace(data_dir / plan.to, in_thread)
        pieces = PieceReader(reactor, in_thread)
        if scheme == "sftp":
            return SftpPlace(plan, reactor, connector, pieces)
        if scheme == "s3":
            return S3Place(plan, reactor, connector, pieces, date)
        raise SettingsError("to", f"expected a directory, sftp://… or s3://…, got {scheme}://")
    except ValueError as error:  # a URL whose port is none
        raise SettingsError(f"backup.{name}.to", str(error)) from error
    except SettingsError as error:
        path = error.path.removeprefix("configuration.")
        raise SettingsError(f"backup.{name}.{path}", error.problem, error.is_secret) from error
