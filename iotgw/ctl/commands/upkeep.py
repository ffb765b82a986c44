"""`iotgwctl backup` and `iotgwctl resume`: copy what the gateway has stored, and go on after a restore."""

from __future__ import annotations

from typing import Any

from iotgw.ctl.command import Commands, Context
from iotgw.ctl.table import moment

LONG = 6 * 3600.0
"""Seconds that a backup may take."""


def add(commands: Commands) -> None:
    """Add the commands."""
    about = "copy all databases, as they are at one moment, to a directory on the gateway's host"
    parser = commands.add("backup", _backup, about)
    parser.add_argument(
        "directory", nargs="?", default="", metavar="DIR",
        help="a new directory in the gateway's backup-directory (the time)",
    )  # fmt: skip
    parser.add_argument(
        "--with-key", action="store_true", help="with the key of the secrets and the first token"
    )
    commands.add("resume", _resume, "end the pause after a restore: deliver, and send downlinks")


def _backup(context: Context) -> None:
    options = context.options
    options.timeout = max(options.timeout, LONG)
    made = context.client.call("POST", "/backups", {"name": options.directory, "withKey": options.with_key})
    context.show(made, _made)


def _made(made: dict[str, Any]) -> str:
    lines = [f"{made['directory']} on the gateway's host: {made['bytes']} bytes in {made['seconds']:g} s"]
    lines += [f"not in it: {name}: {reason}" for name, reason in made.get("leftOut", {}).items()]
    if not made["withKey"]:
        lines.append(
            "not in it: secret.key, without which the secrets can't be read; keep a copy of it elsewhere"
        )
    return "\n".join(lines)


def _resume(context: Context) -> None:
    context.show(context.client.call("POST", "/resume"), _resumed)


def _resumed(answer: dict[str, Any]) -> str:
    was = answer["wasPaused"]
    if was is None:
        return "it was not paused"
    return f"deliveries and downlinks go on; paused since {moment(was['since'])}: {was['reason']}"
