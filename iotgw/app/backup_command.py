"""`iotgwctl backup` and `backups`: copy what a gateway has stored, and look at the plans; `backup verify` opens a copy, and asks no gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from iotgw.ctl.command import Commands, Context
from iotgw.ctl.errors import USAGE, CtlError
from iotgw.ctl.table import moment, table

LONG = 6 * 3600.0
"""Seconds that a backup may take."""
VERIFY = "verify"


def add(commands: Commands) -> None:
    """Add the commands."""
    about = "copy all that the gateway has stored, as it is at one moment, to a directory on the gateway's host, or as a plan says"
    parser = commands.add("backup", _backup, about)
    parser.add_argument(
        "directory", nargs="?", default="", metavar="DIR",
        help="a new directory in the gateway's backup-directory (the time); or `verify`, to open a backup and check it",
    )  # fmt: skip
    parser.add_argument(
        "where", nargs="?", default="", metavar="BACKUP",
        help="verify: a directory; or a plan of --config (its newest), PLAN/NAME or a URL",
    )  # fmt: skip
    parser.add_argument(
        "--with-key", action="store_true", help="with the key of the secrets and the first token"
    )
    parser.add_argument("--to", metavar="PLAN", help="make this plan's backup now")
    checked = parser.add_argument_group("backup verify")
    checked.add_argument("--config", "-c", metavar="FILE", help="the settings file with the plans")
    checked.add_argument("--key", metavar="FILE", help="secret.key: does it fit?")
    commands.add("backups", _backups, "list the backup plans, when each is next, and how the last one went")


def _backup(context: Context) -> int:
    options = context.options
    if options.directory == VERIFY:
        return _verify(context)
    for name in ("where", "config", "key"):
        if getattr(options, name):
            raise CtlError(f"expected {getattr(options, name)!r} behind `backup verify` only", USAGE)
    options.timeout = max(options.timeout, LONG)
    wanted: dict[str, Any] = {"name": options.directory, "withKey": options.with_key}
    if options.to is not None:
        if options.directory or options.with_key:
            raise CtlError("--to PLAN goes alone: the plan says the rest", USAGE)
        wanted = {"plan": options.to}
    context.show(context.client.call("POST", "/backups", wanted), _made)
    return 0


def _made(made: dict[str, Any]) -> str:
    where = made["directory"] if "://" in made["directory"] else f"{made['directory']} on the gateway's host"
    lines = [f"{where}: {made['bytes']} bytes in {made['seconds']:g} s"]
    lines += [f"not in it: {name}: {reason}" for name, reason in made.get("leftOut", {}).items()]
    if not made["withKey"]:
        lines.append(
            "not in it: secret.key, without which the secrets can't be read; keep a copy of it elsewhere"
        )
    return "\n".join(lines)


def _verify(context: Context) -> int:
    from iotgw.app.found_backup import found_backup  # noqa: PLC0415  # stores, SSH and HTTP take a while
    from iotgw.store.restore import verify  # noqa: PLC0415

    options = context.options
    if not options.where:
        raise CtlError("verify: expected a directory, a plan, PLAN/NAME or a URL", USAGE)
    with found_backup(options.where, options.config) as folder:
        found = verify(folder, Path(options.key) if options.key else None)
    shown = {
        "backup": options.where, "isWhole": True, "madeAt": found.made_at, "version": found.version, "files": found.files,
        "bytes": found.bytes, "key": found.key, "keyFits": found.key_fits,
    }  # fmt: skip
    context.show(shown, _verified)
    return 1 if found.key_fits is False else 0


def _verified(found: dict[str, Any]) -> str:
    fits = {
        None: f"its key has the fingerprint {found['key']}; --key FILE says whether yours is it",
        True: "the key fits",
        False: f"THE KEY IS ANOTHER ONE: expected one with the fingerprint {found['key']}",
    }
    return (
        f"{found['backup']} is whole: {found['files']} files, {found['bytes']} bytes, made {moment(found['madeAt'])} "
        f"by iotgw {found['version']}\n{fits[found['keyFits']]}"
    )


def _backups(context: Context) -> int:
    found = context.client.get("/backups")
    context.show(found, _plans)
    return 1 if any(each["failed"] for each in found["items"]) else 0


def _plans(found: dict[str, Any]) -> str:
    if not found["items"]:
        return "there are no backup plans in the gateway's settings"
    head = ("PLAN", "TO", "SCHEDULE", "NEXT", "LAST", "BYTES", "STATE")
    return table(head, [_row(each) for each in found["items"]])


def _row(each: dict[str, Any]) -> tuple[Any, ...]:
    last, failed = each["last"], each["failed"]
    state = f"failed {moment(failed['at'])}: {failed['error']}" if failed else each["state"]
    return (
        each["name"], each["to"], each["schedule"] or "-", moment(each["next"]) if each["next"] else "-",
        moment(last["madeAt"]) if last else "-", last["bytes"] if last else "-", state,
    )  # fmt: skip
