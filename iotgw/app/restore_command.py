"""`iotgwctl restore DIR`: put a backup back. It speaks to no gateway: none may run on that data directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from iotgw.app.found_backup import found_backup
from iotgw.config import settings as process_settings
from iotgw.core.private import keep_to_ourselves
from iotgw.ctl.command import Commands, Context
from iotgw.store.restore import Restored, restore


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add("restore", _restore, "put a backup into the data directory of a stopped gateway")
    parser.add_argument(
        "directory",
        metavar="BACKUP",
        help="a directory; or a plan of --config (its newest), PLAN/NAME or a URL",
    )
    parser.add_argument(
        "--config", "-c", metavar="FILE", help="the gateway's settings file; its data directory is used"
    )
    parser.add_argument(
        "--data-dir", "-d", metavar="DIR", help="the data directory; outranks the settings file"
    )
    parser.add_argument("--key", metavar="FILE", help="secret.key, where the backup doesn't have it")
    parser.add_argument("--force", action="store_true", help="move what is in the data directory aside")
    parser.add_argument(
        "--paused", action="store_true", help="the gateway starts paused, until `iotgwctl resume`"
    )


def _restore(context: Context) -> None:
    keep_to_ourselves()
    options = context.options
    data_dir = options.data_dir or process_settings.load(options.config).data_dir
    with found_backup(options.directory, options.config) as backup:
        done = restore(
            backup, Path(data_dir),
            key=Path(options.key) if options.key else None, force=options.force, paused=options.paused,
        )  # fmt: skip
    shown: dict[str, Any] = {
        "dataDir": str(done.data_dir), "madeAt": done.made_at, "files": done.files,
        "aside": str(done.aside) if done.aside is not None else None, "lacksKey": done.lacks_key,
    }  # fmt: skip
    context.show(shown, lambda _: _text(done))


def _text(done: Restored) -> str:
    lines = [f"{', '.join(done.files)} are in {done.data_dir}"]
    if done.aside is not None:
        lines.append(f"what was there is in {done.aside}")
    if done.lacks_key:
        lines.append(
            f"put secret.key into {done.data_dir} before the start: without it no secret can be read"
        )
    return "\n".join(lines)
