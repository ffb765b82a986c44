"""`iotgwctl store migrate`: copy a stopped gateway's data into PostgreSQL, or back into files. It speaks to no gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from iotgw.app.storage import password_file
from iotgw.config import settings as process_settings
from iotgw.core.errors import SettingsError
from iotgw.core.private import keep_to_ourselves
from iotgw.ctl.command import Commands, Context
from iotgw.store.migration.copies import Migrated

DATABASE, FILES = "database", "files"


def add(commands: Commands) -> None:
    """Add the command."""
    group = commands.group("store", "where a gateway's data is")
    about = "copy all that a stopped gateway has stored into an empty database, or back into files"
    parser = group.add("migrate", _migrate, about)
    parser.add_argument(
        "where", choices=[DATABASE, FILES],
        help="database: from the data directory into store.url; files: from store.url into the data directory",
    )  # fmt: skip
    parser.add_argument(
        "--node",
        metavar="NAME",
        default="",
        help="database: the node that goes on (as this machine is called)",
    )
    parser.add_argument(
        "--config", "-c", metavar="FILE", help="the gateway's settings file, with the database in [store]"
    )
    parser.add_argument(
        "--data-dir", "-d", metavar="DIR", help="the data directory; outranks the settings file"
    )


def _migrate(context: Context) -> None:
    keep_to_ourselves()
    options = context.options
    settings = process_settings.load(options.config)
    data_dir = Path(options.data_dir or settings.data_dir)
    if not settings.store.url:
        raise SettingsError("store.url", "expected the database's URL, got none")
    try:
        from iotgw.store.migration.into_database import migrate_into_database  # noqa: PLC0415 (the extra)
        from iotgw.store.migration.into_files import migrate_into_files  # noqa: PLC0415
        from iotgw.store.postgres.connection import Address  # noqa: PLC0415
        from iotgw.store.postgres.names import check  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(
            "store.url", f"expected the extra iotgw[postgres] to be installed, got: {error}"
        ) from error
    address = Address(settings.store.url, password_file(settings.store, data_dir))
    address.check()
    lease = settings.store.lease
    if options.where == DATABASE:
        if options.node:
            check(options.node)
        done = migrate_into_database(data_dir, address, options.node, lease=lease)
    else:
        done = migrate_into_files(data_dir, address, lease=lease)
    shown: dict[str, Any] = {"rows": done.rows, "aside": done.aside}
    context.show(shown, lambda _: _text(done, options.where))


def _text(done: Migrated, where: str) -> str:
    lines = [f"{count:>12}  {name}" for name, count in done.rows.items() if count]
    lines.append(f"{sum(done.rows.values()):>12}  rows, as many as there were")
    lines.append(f"what they were copied from is in {done.aside}")
    if where == FILES:
        lines.append("take url out of [store] before the start")
    return "\n".join(lines)
