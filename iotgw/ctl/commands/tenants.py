"""`iotgwctl tenants` and `tenant …`: what tenants may use, have, and used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from iotgw.core import private
from iotgw.ctl.client import USAGE, CtlError
from iotgw.ctl.command import Commands, Context
from iotgw.ctl.commands.configuration import export
from iotgw.ctl.commands.jobs import wait
from iotgw.ctl.table import printable, table
from iotgw.ctl.times import EXPECTED, moment_ms

KINDS = ("datasources", "integrations", "converters", "devices")
FIELDS = ("limit", "deviceLimit", "beyondLimit", "description", *(f"quota.{kind}" for kind in KINDS))
HEAD = (
    "NAME",
    "LIMIT",
    "DATASOURCES",
    "INTEGRATIONS",
    "CONVERTERS",
    "DEVICES",
    "MESSAGES",
    "BYTES",
    "ERRORS",
    "DELIVERIES",
)


def add(commands: Commands) -> None:
    """Add the commands."""
    many = commands.add("tenants", _list, "list tenants with what they may use, have and used; or show one")
    many.add_argument("name", nargs="?")
    many.add_argument(
        "--since", metavar="TIME", type=moment_ms, help=f"usage since then (30 days): {EXPECTED}"
    )
    one = commands.group("tenant", "say what a tenant may use")
    change = one.add("set", _set, "change a tenant's limits and quotas")
    change.add_argument("name")
    about = f"one of {', '.join(FIELDS)}; an empty value takes one away"
    change.add_argument("fields", nargs="+", metavar="FIELD=VALUE", help=about)
    gone = one.add("unlimit", _unlimit, "take all limits and quotas of a tenant away; what it has stays")
    gone.add_argument("name")
    about = "delete a tenant with all that it has: resources, devices, messages, credentials, tokens, files, events, usage"
    delete = one.add("delete", _delete, about)
    delete.add_argument("name")
    delete.add_argument(
        "--export",
        type=Path,
        metavar="DIR",
        help="first write what it is told and what it used into this directory",
    )
    delete.add_argument("--no-wait", action="store_true", help="don't wait until all is gone")
    delete.add_argument("--confirm", metavar="NAME", help="its name once more, where nothing is exported")


def _path(name: str) -> str:
    return f"/tenants/{quote(name, safe='')}"


def _list(context: Context) -> None:
    options = context.options
    if options.name is not None:
        value = context.client.get(_path(options.name), since=options.since)
        context.show(value, lambda value: json.dumps(value, indent=2, ensure_ascii=False))
        return
    found = context.client.get("/tenants", since=options.since)
    context.show(found, lambda page: table(HEAD, [_row(each) for each in page["items"]]))


def _row(each: dict[str, Any]) -> tuple[Any, ...]:
    has, quota, usage = each["has"], each["quota"], each["usage"]
    counts = [
        f"{has[kind]}/{quota[kind]}" if quota.get(kind) is not None else str(has[kind]) for kind in KINDS
    ]
    figures = [str(usage[name]) for name in ("messages", "bytes", "errors", "deliveries")]
    return (each["name"], each["limit"], *counts, *figures)


def _set(context: Context) -> None:
    options = context.options
    try:
        known = context.client.get(_path(options.name))
    except CtlError as error:
        if error.status != 404:
            raise
        known = {}
    spec = {
        name: known[name]
        for name in ("limit", "deviceLimit", "beyondLimit", "description", "quota")
        if name in known
    }
    spec["quota"] = dict(spec.get("quota", {}))
    for pair in options.fields:
        _put(spec, pair)
    saved = context.client.call("PUT", _path(options.name), spec)
    context.show(saved, lambda each: f"tenant {printable(each['name'])} is saved")


def _put(spec: dict[str, Any], pair: str) -> None:
    field, equals, text = pair.partition("=")
    if not equals or field not in FIELDS:
        raise CtlError(f"expected FIELD=VALUE with a FIELD of {', '.join(FIELDS)}, got {pair!r}", USAGE)
    kind = field.removeprefix("quota.")
    if kind == field:
        spec[field] = text or ("refuse" if field == "beyondLimit" else "")
        return
    try:
        spec["quota"][kind] = _count(text) if text else None
    except ValueError as error:
        raise CtlError(f"{field}: {error}", USAGE) from error


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError(f"expected a whole number, got {text!r}")
    return int(text)


def _delete(context: Context) -> int:
    options = context.options
    name = options.name
    if (options.export is None) == (options.confirm is None):
        raise CtlError("expected --export DIR, or --confirm NAME to delete it without an export", USAGE)
    if options.confirm not in (None, name):
        raise CtlError(f"--confirm: expected {name!r}, got {options.confirm!r}", USAGE)
    options.tenant = name
    if options.export is not None:
        context.client.get(_path(name))  # is it there?
        try:
            _export(context, options.export)
        except OSError as error:
            raise CtlError(
                f"--export: {error.filename}: {error.strerror}; nothing is deleted", USAGE
            ) from error
    context.client.tenant = None  # the job is the gateway's
    job = context.client.call("POST", f"{_path(name)}/erase", {"confirm": name})
    ended = job if options.no_wait else wait(context.client, job)
    context.show(ended, lambda job: _erased(name, job))
    return 0 if options.no_wait or ended["state"] == "done" else 1


def _erased(name: str, job: dict[str, Any]) -> str:
    if job["state"] == "done":
        return f"tenant {printable(name)} is gone with all that it had"
    return f"tenant {printable(name)} is not gone yet: {job['state']} {printable(job['problem'])} (`iotgwctl job show {job['id']}`)"


def _export(context: Context, directory: Path) -> None:
    """The configuration, the secrets beside it, the devices and what was used."""
    options = context.options
    options.secrets, options.without_devices = directory / "secrets.env", True
    private.make_directory(directory)
    for name in ("devices.json", "usage.json"):
        private.make_file(directory / name)
    export(context, directory / "configuration")
    with (directory / "devices.json").open("w") as file:
        after = None
        rows: list[Any] = []
        while True:
            page = context.client.get("/fleet/export-with-keys", limit=1000, after=after)
            rows += page["items"]
            if (after := page.get("next")) is None:
                break
        json.dump({"items": rows}, file, indent=2, ensure_ascii=False)
    with (directory / "usage.json").open("w") as file:
        used = {per: _used(context, per) for per in ("datasource", "integration", "converter", "device")}
        json.dump(used, file, indent=2, ensure_ascii=False)


def _used(context: Context, per: str) -> list[Any]:
    found: list[Any] = []
    after = 0
    while after is not None:
        page = context.client.get("/usage", per=per, every="day", limit=1000, after=after)
        found += page["items"]
        after = page["next"]
    return found


def _unlimit(context: Context) -> None:
    name = context.options.name
    context.client.call("DELETE", _path(name))
    context.show({"deleted": name}, lambda _: f"tenant {printable(name)} may use what it likes")
