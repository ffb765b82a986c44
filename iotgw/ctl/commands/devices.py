"""`iotgwctl devices`, and `device set|delete|import|export`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from iotgw.core import device_table
from iotgw.core.device_table import COLUMNS, NoTable, Row
from iotgw.core.private import write_file
from iotgw.ctl.client import USAGE, CtlError
from iotgw.ctl.command import Commands, Context
from iotgw.ctl.gateway_names import named
from iotgw.ctl.parsing import CommandParameters
from iotgw.ctl.progress_line import ProgressLine
from iotgw.ctl.table import moment, printable, table

BATCH = 250
"""Rows of one request."""
BATCH_BYTES = 1 << 20
PAGE = 1000
FILTERS = ("text", "type", "group", "tag", "datasource", "trouble", "box")
HEAD = ("NAME", "LABEL", "TYPE", "GROUPS", "LAST SEEN", "HEALTH")


def add(commands: Commands) -> None:
    """Add the commands."""
    many = commands.add("devices", _list, "list devices, or show one")
    many.add_argument("name", nargs="?", complete=named("devices"))
    add_filters(many)
    many.add_argument("--limit", type=int, default=1000, help="how many (1000)")
    one = commands.group("device", "create, change and delete devices; import and export lists of them")
    change = one.add("set", _set, "create a device, or change what is said of it")
    change.add_argument("name", complete=named("devices"))
    about = f"one of {', '.join(COLUMNS[1:])} or tag.KEY; groups are parted by '|', and an empty value takes one away"
    change.add_argument("fields", nargs="*", metavar="FIELD=VALUE", help=about)
    gone = one.add("delete", _delete, "delete a device and its last state")
    gone.add_argument("name", complete=named("devices"))
    held = one.add(
        "quarantine", _quarantine, "list devices that nobody knows, whose messages wait; or show one"
    )
    held.add_argument("name", nargs="?", complete=named("quarantine"))
    one.add("groups", _groups, "list the groups in which devices are")
    add_filters(one.add("map", _map, "show where devices stand, those that are close together as one place"))
    keys = one.add("credentials", _credentials, "list what a device proves itself with, or give it a key")
    keys.add_argument("name", complete=named("devices"))
    keys.add_argument("--psk", metavar="SECRET", help="a pre-shared key, 0x… for hexadecimal")
    keys.add_argument("--identity", metavar="ID", help="its PSK identity (the device's name)")
    release = one.add("release", _release, "create a device of the quarantine, and deliver what waits of it")
    release.add_argument("name", complete=named("quarantine"))
    drop = one.add("drop", _drop, "drop what waits of a device in quarantine")
    drop.add_argument("name", complete=named("quarantine"))
    take = one.add("import", _import, "create or change the devices of a CSV or JSON file")
    take.add_argument("file", help="a file in CSV or JSON (by its name), or - for CSV from standard input")
    take.add_argument("--dry-run", action="store_true", help="say what would happen, and change nothing")
    give = one.add("export", _export, "write devices to a CSV or JSON file, which can be imported")
    give.add_argument("file", help="a file in CSV or JSON (by its name), or - for CSV on standard output")
    give.add_argument(
        "--with-keys", action="store_true", help="their pre-shared keys, too, in the clear (an admin may)"
    )
    add_filters(give)


def add_filters(parser: CommandParameters) -> None:
    """The options that choose devices: `FILTERS`."""
    parser.add_argument("--text", help="part of name, label, serial, identity or place")
    parser.add_argument("--type", help="of this type")
    parser.add_argument("--group", help="in this group")
    parser.add_argument("--tag", metavar="KEY[=TEXT]", help="with this tag")
    parser.add_argument("--datasource", help="that belong to this datasource")
    parser.add_argument(
        "--trouble", choices=("silent", "battery", "signal"), help="silent, low battery, weak signal"
    )
    parser.add_argument(
        "--box", metavar="SOUTH,WEST,NORTH,EAST", help="that stand in this rectangle, in degrees"
    )


def _asked(context: Context) -> dict[str, Any]:
    return {name: getattr(context.options, name) for name in FILTERS}


# --- one, and all


def _list(context: Context) -> None:
    name = context.options.name
    if name is not None:
        value = context.client.get(_path(name))
        context.show(value, lambda value: json.dumps(value, indent=2, ensure_ascii=False))
        return
    found = context.client.get("/devices", **_asked(context), limit=context.options.limit)
    context.show(found, lambda page: table(HEAD, [_row(each) for each in page["items"]]))


def _path(name: str) -> str:
    return f"/devices/{quote(name, safe='')}"


def _row(each: dict[str, Any]) -> tuple[Any, ...]:
    groups = ", ".join(each.get("groups", ()))
    return (
        each["name"],
        each.get("label"),
        each.get("type"),
        groups,
        moment(each.get("lastSeen")),
        _health(each),
    )


def _health(each: dict[str, Any]) -> str:
    health = each.get("health", {})
    said = {
        "silentSince": "silent since",
        "batteryLowSince": "low battery since",
        "signalWeakSince": "weak signal since",
    }
    wrong = [f"{text} {moment(health[key])}" for key, text in said.items() if health.get(key)]
    return ", ".join(wrong) or ("" if health.get("state") == "unwatched" else "well")


def _set(context: Context) -> None:
    said: dict[str, Any] = {}
    for pair in context.options.fields:
        column, equals, text = pair.partition("=")
        if not equals or (column not in COLUMNS[1:] and not column.startswith("tag.")):
            raise CtlError(
                f"expected FIELD=VALUE with a FIELD of {', '.join(COLUMNS[1:])} or tag.KEY, got {pair!r}",
                USAGE,
            )
        try:
            value = device_table.value_of(column, text)
        except ValueError as error:
            raise CtlError(str(error), USAGE) from error
        if column.startswith("tag."):
            said.setdefault("tags", {})[column[4:]] = value
        else:
            said[column] = value
    path = _path(context.options.name)
    try:
        saved = context.client.call("PATCH", path, said)
    except CtlError as error:
        if error.status != 404:
            raise
        new = {key: value for key, value in said.items() if value is not None}
        new["tags"] = {key: text for key, text in said.get("tags", {}).items() if text is not None}
        saved = context.client.call("PUT", path, new)
    context.show(
        saved, lambda device: f"device {printable(device['name'])} is saved (revision {device['revision']})"
    )


def _delete(context: Context) -> None:
    name = context.options.name
    context.client.call("DELETE", _path(name))
    context.show({"deleted": name}, lambda _: f"device {printable(name)} is deleted")


def _groups(context: Context) -> None:
    found = context.client.get("/fleet/groups")
    context.show(found, lambda found: table(("GROUP", "DEVICES"), [*found.items()]))


def _map(context: Context) -> None:
    found = context.client.get("/fleet/map", **_asked(context))
    head = ("LATITUDE", "LONGITUDE", "DEVICES", "IN TROUBLE", "NAME", "LABEL", "BOX")
    keys = ("latitude", "longitude", "count", "troubled", "name", "label", "box")
    context.show(
        found, lambda found: table(head, [tuple(each[key] for key in keys) for each in found["items"]])
    )


def _credentials(context: Context) -> None:
    options, path = context.options, f"{_path(context.options.name)}/credentials"
    if options.psk is not None:
        is_hex = options.psk.startswith("0x")
        secret = {"value": options.psk.removeprefix("0x"), "encoding": "hex" if is_hex else "text"}
        new = {"secrets": [secret], **({"identity": options.identity} if options.identity else {})}
        made = context.client.call("POST", path, new)
        context.show(made, lambda made: f"credential {printable(made['name'])} is created")
        return
    found = context.client.get(path)
    rows = [
        (each["name"], each["type"], each["identity"], each["status"].get("state")) for each in found["items"]
    ]
    context.show(found, lambda _: table(("NAME", "TYPE", "IDENTITY", "STATE"), rows))


def _quarantine(context: Context) -> None:
    if (name := context.options.name) is not None:
        one = context.client.get(f"/quarantine/{quote(name, safe='')}")
        context.show(one, lambda one: json.dumps(one, indent=2, ensure_ascii=False))
        return
    found = context.client.get("/quarantine")
    rows = [
        (
            each["name"],
            each["datasource"],
            each["messages"],
            moment(each["firstSeen"]),
            moment(each["lastSeen"]),
        )
        for each in found["items"]
    ]
    context.show(found, lambda _: table(("NAME", "DATASOURCE", "WAITING", "FIRST", "LAST"), rows))


def _release(context: Context) -> None:
    done = context.client.call("POST", f"/quarantine/{quote(context.options.name, safe='')}/release")
    context.show(
        done, lambda done: f"device {printable(done['name'])} is released with {done['messages']} messages"
    )


def _drop(context: Context) -> None:
    done = context.client.call("DELETE", f"/quarantine/{quote(context.options.name, safe='')}")
    context.show(done, lambda done: f"{done['messages']} messages of {printable(done['name'])} are dropped")


# --- lists


def _import(context: Context) -> int:
    options = context.options
    total = {"created": 0, "changed": 0, "unchanged": 0}
    refused: list[dict[str, Any]] = []
    names: dict[str, int] = {}
    query = "?dryRun=true" if options.dry_run else ""
    size, read = _size(options.file), [0]
    progress = ProgressLine("imported")
    try:
        with _opened(options.file) as rows:
            for batch in _batches(rows(lambda at: read.__setitem__(0, at))):
                new = [row for row in batch if not (row.error or _is_repeated(row, names))]
                refused += [_refusal(row, names) for row in batch if row not in new]
                if new:
                    devices = {"devices": [row.device for row in new], "lines": [row.line for row in new]}
                    answer = context.client.call("POST", f"/fleet/import{query}", devices)
                    refused += answer["refused"]
                    for key in total:
                        total[key] += answer[key]
                progress.show(sum(total.values()) + len(refused), read[0] / size if size else None)
    except NoTable as error:
        raise CtlError(f"{options.file}: {error}", USAGE) from error
    finally:
        progress.end()
    would = "would be " if options.dry_run else ""
    context.show({**total, "refused": refused}, lambda _: _summary(total, refused, would))
    return 1 if refused else 0


def _is_repeated(row: Row, names: dict[str, int]) -> bool:
    name = row.device.get("name")
    return isinstance(name, str) and names.setdefault(name, row.line) != row.line


def _refusal(row: Row, names: dict[str, int]) -> dict[str, Any]:
    name = row.device.get("name", "")
    return {
        "line": row.line,
        "name": name,
        "error": row.error or f"name: row {names[name]} is about the same device",
    }


def _summary(total: dict[str, int], refused: list[dict[str, Any]], would: str) -> list[str]:
    done = ", ".join(f"{count} {would}{what}" for what, count in total.items())
    lines = [f"{done}; {len(refused)} refused"]
    if refused:
        rows = [
            (each["line"], each["name"], each["error"])
            for each in sorted(refused, key=lambda each: each["line"])
        ]
        lines += ["", table(("LINE", "NAME", "WHY"), rows[:100])]
        lines += [f"… and {len(rows) - 100} more (--json shows all)"] if len(rows) > 100 else []
    return lines


class _opened:
    """A file's rows, read as they are needed. ``rows(at)`` tells ``at`` how many bytes were read."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._file: Any = None

    def __enter__(self) -> Callable[[Callable[[int], None]], Iterable[Row]]:
        if self._name.lower().endswith(".json"):
            return self._json
        try:
            self._file = sys.stdin.buffer if self._name == "-" else Path(self._name).open("rb")
        except OSError as error:
            raise CtlError(f"{self._name}: {error.strerror}", USAGE) from error
        return self._csv

    def __exit__(self, *error: object) -> None:
        if self._file is not None and self._name != "-":
            self._file.close()

    def _csv(self, at: Callable[[int], None]) -> Iterable[Row]:
        return device_table.read(self._lines(at))

    def _lines(self, at: Callable[[int], None]) -> Iterator[str]:
        first = self._file.readline()
        if first.startswith((b"\xff\xfe", b"\xfe\xff")):
            yield from device_table.lines_of(device_table.text_of(first + self._file.read()))
            return
        read, line = 0, first
        while line:
            read += len(line)
            at(read)
            yield device_table.text_of(line)
            line = self._file.readline(1 << 20)

    def _json(self, at: Callable[[int], None]) -> Iterable[Row]:
        try:
            value = msgspec.json.decode(Path(self._name).read_bytes())
        except OSError as error:
            raise CtlError(f"{self._name}: {error.strerror}", USAGE) from error
        except msgspec.DecodeError as error:
            raise CtlError(f"{self._name}: expected JSON: {error}", USAGE) from error
        if isinstance(value, dict):
            value = value.get("items", value.get("devices"))
        if not isinstance(value, list):
            raise CtlError(
                f"{self._name}: expected a list of devices, or an object with `devices` or `items`", USAGE
            )
        return [
            Row(number, each) if isinstance(each, dict) else Row(number, {}, "expected an object")
            for number, each in enumerate(value, 1)
        ]


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """As many rows as go into one request."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        weight = len(msgspec.json.encode(row.device))
        if batch and (len(batch) >= BATCH or size + weight > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += weight
    if batch:
        yield batch


def _export(context: Context) -> None:
    options = context.options
    devices = list(_all(context))
    if options.file.lower().endswith(".json"):
        text = json.dumps({"devices": devices}, indent=1, ensure_ascii=False) + "\n"
    else:
        text = device_table.write(devices, device_table.tags_of(devices), options.with_keys)
    if options.file == "-":
        sys.stdout.write(text)
        return
    path = Path(options.file)
    try:
        if options.with_keys:
            write_file(path, text.encode())  # which nobody else may read
        else:
            path.write_text(text, "utf-8", newline="")
    except OSError as error:
        raise CtlError(f"{options.file}: {error.strerror}", USAGE) from error
    context.show({"exported": len(devices)}, lambda done: f"{done['exported']} devices are in {options.file}")


def _all(context: Context) -> Iterator[dict[str, Any]]:
    path = "/fleet/export-with-keys" if context.options.with_keys else "/fleet/export"
    after: str | None = None
    progress = ProgressLine("exported")
    count = 0
    while True:
        page = context.client.get(path, **_asked(context), limit=PAGE, after=after)
        yield from page["items"]
        count += len(page["items"])
        progress.show(count)
        after = page["next"]
        if after is None:
            progress.end()
            return


def _size(name: str) -> int:
    try:
        return Path(name).stat().st_size if name != "-" else 0
    except OSError:
        return 0
