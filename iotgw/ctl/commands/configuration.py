"""`iotgwctl apply`, `diff` and `export`: the configuration as files."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from iotgw.core.references import References
from iotgw.core.resources_file import KINDS, read
from iotgw.ctl.client import USAGE, CtlError
from iotgw.ctl.command import Commands, Context
from iotgw.ctl.directory import files_of, write
from iotgw.ctl.named_secrets import NamedSecrets, read_secrets
from iotgw.ctl.parsing import CommandParameters
from iotgw.ctl.table import printable, table

PATIENCE = 600.0
"""Seconds that a gateway may take for a whole document."""
NAMES = 20
"""Secrets that an export lists."""
WHERE = "a file (TOML or JSON), or a directory of them"


def add(commands: Commands) -> None:
    """Add the commands."""
    apply = commands.add("apply", _apply, "create or replace what a file or a directory of them says")
    apply.add_argument("file", type=Path, metavar="FILE|DIR", help=WHERE)
    apply.add_argument("--dry-run", action="store_true", help="say what would happen, and change nothing")
    apply.add_argument(
        "--whole", action="store_true",
        help="all or nothing (as a directory is always applied); else each entry of a file stands for itself",
    )  # fmt: skip
    apply.add_argument("--prune", action="store_true", help="delete what isn't there; all or nothing, too")
    apply.add_argument(
        "--backlog", choices=("drain", "drop"),
        help="of what is deleted: work off what waits before it goes (drain), or drop it",
    )  # fmt: skip
    apply.add_argument("--if-state", metavar="STATE", help="only to what `diff` has shown: its last line")
    _secrets(apply)
    diff = commands.add("diff", _diff, "show what differs between files and the gateway: old → new")
    diff.add_argument("file", type=Path, metavar="FILE|DIR", help=WHERE)
    _secrets(diff)
    export = commands.add("export", _export, "write the configuration into a directory, to be kept in git")
    export.add_argument("directory", type=Path, metavar="DIR", help="a new one, or one of an export before")
    about = "leave devices out, which are kept as lists (`device export`)"
    export.add_argument("--without-devices", action="store_true", help=about)
    export.add_argument(
        "--secrets", type=Path, metavar="FILE",
        help="write the secrets into this file (an admin may), for `apply --secrets FILE`; keep it out of git",
    )  # fmt: skip


def _secrets(parser: CommandParameters) -> None:
    parser.add_argument(
        "--secrets", type=Path, metavar="FILE", help="NAME=VALUE lines, looked at before the environment"
    )
    parser.add_argument(
        "--keep-secrets", action="store_true",
        help="where a secret is not to be had here, the gateway keeps the one that it has",
    )  # fmt: skip


def references(context: Context, missing: Any = "refuse") -> References:
    """Where a command's secrets are."""
    options = context.options
    given = read_secrets(options.secrets) if options.secrets else {}
    return References({**os.environ, **given}, missing=missing)


def _document(context: Context) -> Any:
    missing = "keep" if context.options.keep_secrets else "refuse"
    found = msgspec.to_builtins(read(context.options.file, references(context, missing)))
    return {kind: entries for kind, entries in found.items() if entries}


# --- apply


def _apply(context: Context) -> int:
    options = context.options
    options.timeout = max(options.timeout, PATIENCE)
    if not (options.whole or options.prune or options.if_state or options.file.is_dir()):
        query = "?dryRun=true" if options.dry_run else ""
        return _told(context, context.client.call("POST", f"/apply{query}", _document(context)))
    query = "/apply?whole=true" + ("&prune=true" if options.prune else "")
    query += f"&backlog={options.backlog}" if options.backlog else ""
    document = _document(context)
    seen = {"If-Match": f'"{options.if_state}"'} if options.if_state else {}
    plan = context.client.call("POST", f"{query}&dryRun=true", document, seen)
    if plan["refused"] or options.dry_run:
        code = _told(context, plan)
        if plan["refused"]:
            raise CtlError("nothing was changed")
        return code
    return _told(context, context.client.call("POST", query, document, {"If-Match": f'"{plan["state"]}"'}))


def _told(context: Context, result: dict[str, Any]) -> int:
    rows = [(each["kind"], each["name"], each["outcome"], each.get("error")) for each in result["items"]]
    warned = [
        printable(f"warning: {each['name']}: {line}")
        for each in result["items"]
        for line in each.get("warnings", ())
    ]
    lines = [table(("KIND", "NAME", "OUTCOME", "WHY"), rows), _counts(result["items"]), *warned]
    context.show(result, lambda _: lines)
    return 1 if result["refused"] else 0


def _counts(items: list[dict[str, Any]]) -> str:
    words = ("created", "changed", "deleted", "deleting", "unchanged", "refused")
    counts = {word: sum(each["outcome"] == word for each in items) for word in words}
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "nothing is said"


# --- diff


def _diff(context: Context) -> int:
    document = _document(context)
    plan = context.client.call("POST", "/apply?whole=true&prune=true&dryRun=true", document)
    context.show(plan, lambda _: [*_differences(plan)])
    return 1 if any(each["outcome"] != "unchanged" for each in plan["items"]) else 0


def _differences(plan: dict[str, Any]) -> Iterator[str]:
    for each in plan["items"]:
        title = printable(f"{each['kind']} {each['name']}")
        if each["outcome"] == "created":
            yield f"{title}: only in the files"
        elif each["outcome"] == "deleted":
            yield f"{title}: only at the gateway (`apply --prune` deletes it)"
        elif each["outcome"] == "refused":
            yield f"{title}: refused: {printable(each['error'])}"
        elif each["outcome"] == "changed":
            yield f"{title}:"
            for change in each.get("changes", ()):
                yield from _change(change)
    yield f"{_counts(plan['items'])}; state {plan['state']}"


def _change(change: dict[str, Any]) -> Iterator[str]:
    old, new = change.get("old"), change.get("new")
    path = printable(change["path"])
    if any(isinstance(each, str) and "\n" in each for each in (old, new)):
        yield f"  {path}:"
        before, after = (str(each or "").splitlines() for each in (old, new))
        for line in difflib.unified_diff(before, after, "gateway", "files", lineterm="", n=2):
            yield f"    {printable(line)}"
        return
    more = " (another secret)" if old == new else ""
    yield f"  {path}: {_said(old)} → {_said(new)}{more}"


def _said(value: Any) -> str:
    return "-" if value is None else printable(json.dumps(value, ensure_ascii=False))


# --- export


def _export(context: Context) -> None:
    result = export(context, context.options.directory)
    context.show(result, lambda _: [*_exported(context, result)])


def export(context: Context, directory: Path) -> dict[str, Any]:
    """Write the configuration into a directory; returns what was written. The options are those of `iotgwctl export`."""
    options = context.options
    options.timeout = max(options.timeout, PATIENCE)
    devices = "false" if options.without_devices else None
    shown = context.client.get("/configuration", devices=devices)
    clear = context.client.get("/configuration-with-secrets", devices=devices) if options.secrets else {}
    secrets = NamedSecrets()
    document = {}
    for kind in KINDS:
        known = {each["name"]: each for each in clear.get(kind, ())}
        document[kind] = [secrets.entry(kind, each, known.get(each["name"])) for each in shown.get(kind, ())]
    if clear and _is_inside(options.secrets, directory):
        raise CtlError("--secrets: expected a file outside of the directory, which is kept in git", USAGE)
    try:
        if options.secrets:
            secrets.write(options.secrets)
    except OSError as error:
        raise CtlError(f"--secrets: {options.secrets}: {error.strerror}", USAGE) from error
    gone = write(directory, files_of(document))
    counts = {kind: len(entries) for kind, entries in document.items() if entries}
    return {"directory": str(directory), "counts": counts, "secrets": secrets.names, "gone": gone}


def _is_inside(file: Path, directory: Path) -> bool:
    return directory.resolve() in file.resolve().parents


def _exported(context: Context, result: dict[str, Any]) -> Iterator[str]:
    counts = ", ".join(f"{count} {kind}s" for kind, count in result["counts"].items()) or "nothing"
    yield f"{counts} in {result['directory']}"
    if result["gone"]:
        yield f"{len(result['gone'])} files of the export before are gone"
    if result["secrets"] and context.options.secrets:
        yield f"{len(result['secrets'])} secrets are in {context.options.secrets}; keep it out of git"
    elif result["secrets"]:
        yield f"{len(result['secrets'])} secrets are named, and to be set where it is applied:"
        yield from (f"  {name}" for name in result["secrets"][:NAMES])
        if (more := len(result["secrets"]) - NAMES) > 0:
            yield f"  and {more} more, which the files name; --secrets FILE writes all of them with their values"
