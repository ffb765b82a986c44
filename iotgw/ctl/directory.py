"""Writes a configuration as a directory that is kept in git: a file for each definition, scripts and their vectors as files of their own.

    converters/NAME.toml, NAME.js, NAME.tests.json, NAME.files/
    datasources/NAME.toml    integrations/NAME.toml
    tenants.toml    credentials.toml    device-types.toml    device-groups.toml    devices.toml

`iotgw.core.resources_file` reads it again. What TOML can't say (null) is in a file whose name ends in ``.iotgw.json``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import tomli_w

from iotgw.core.resources_file import JSON_SUFFIX, KINDS
from iotgw.ctl.client import USAGE, CtlError

Entry = dict[str, Any]
WRITTEN = ".iotgw-export"
"""Which files an export wrote, so that the next one takes away those that it doesn't write again."""
_EACH = {"converter": "converters", "datasource": "datasources", "integration": "integrations"}
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")


def files_of(document: Mapping[str, list[Entry]]) -> dict[str, str]:
    """The files that a document becomes: texts by their paths in the directory."""
    found: dict[str, str] = {}
    for kind in KINDS:
        entries = document.get(kind, [])
        if kind in _EACH:
            for name, entry in _named(entries):
                found |= _alone(kind, f"{_EACH[kind]}/{name}", entry)
            continue
        sayable = [entry for entry in entries if not _has_null(entry)]
        if sayable:
            found[f"{kind}s.toml"] = _toml(kind, sayable)
        if len(sayable) < len(entries):
            found[f"{kind}s{JSON_SUFFIX}"] = _json({kind: [each for each in entries if _has_null(each)]})
    return found


def write(directory: Path, files: Mapping[str, str]) -> list[str]:
    """Write files into a new directory, or into one that an export wrote before; returns which of those are gone.

    Raises CtlError for one that has files of others, and for what the disk says.
    """
    try:
        before = _written(directory)
        for path, text in files.items():
            where = _inside(directory, path)
            where.parent.mkdir(parents=True, exist_ok=True)
            where.write_bytes(text.encode())
        gone = sorted(set(before) - set(files))
        for path in gone:
            _inside(directory, path).unlink(missing_ok=True)
        (directory / WRITTEN).write_text("".join(f"{path}\n" for path in sorted(files)))
    except OSError as error:
        raise CtlError(f"{error.filename or directory}: {error.strerror}", USAGE) from error
    return gone


def _written(directory: Path) -> list[str]:
    directory.mkdir(parents=True, exist_ok=True)
    mark = directory / WRITTEN
    if mark.exists():
        paths = mark.read_text().splitlines()
        return [path for path in paths if not _leads_out(path)]
    others = sorted(
        path.name
        for path in directory.rglob("*")
        if path.name.endswith((".toml", JSON_SUFFIX)) and ".git" not in path.parts
    )
    if others:
        raise CtlError(
            f"{directory}: expected an empty directory, or one that an export wrote, got {others[0]}", USAGE
        )
    return []


def _inside(directory: Path, path: str) -> Path:
    """Where a file of the directory is. Raises CtlError for one that a symbolic link, perhaps somebody else's in a repository, leads
    out of it."""
    where = directory / path
    if not where.resolve().is_relative_to(directory.resolve()):
        raise CtlError(f"{where}: expected a file in the directory, got a link that leads out of it", USAGE)
    return where


def _alone(kind: str, path: str, entry: Entry) -> dict[str, str]:
    found = {}
    entry = dict(entry)
    name = path.rpartition("/")[2]
    if kind == "converter":
        suffix = ".tbel" if entry.get("dialect") == "tbel" else ".js"
        found[path + suffix] = entry.pop("script")
        entry["scriptFile"] = name + suffix
        if "tests" in entry:
            found[f"{path}.tests.json"] = _json(entry.pop("tests"))
            entry["testsFile"] = f"{name}.tests.json"
        files = entry.get("files", {})
        if files and not any(_leads_out(each) for each in files):
            del entry["files"]
            found |= {f"{path}.files/{each}": text for each, text in files.items()}
            entry["filesDirectory"] = f"{name}.files"
    if _has_null(entry):
        found[path + JSON_SUFFIX] = _json({kind: [entry]})
    else:
        found[f"{path}.toml"] = _toml(kind, [entry])
    return found


def _leads_out(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return not parts or path.startswith("/") or ".." in parts or "\\" in path or "/".join(parts) != path


def _named(entries: list[Entry]) -> Iterator[tuple[str, Entry]]:
    """Each entry with a file's name of its own, on any file system."""
    taken: set[str] = set()
    for entry in entries:
        wanted = _UNFIT.sub("_", entry["name"])[:100].lstrip(".") or "_"
        name, number = wanted, 2
        while name.lower() in taken:
            name, number = f"{wanted}-{number}", number + 1
        taken.add(name.lower())
        yield name, entry


def _has_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_null(item) for item in value.values())
    return value is None or (isinstance(value, list) and any(_has_null(item) for item in value))


def _toml(kind: str, entries: list[Entry]) -> str:
    text = json.dumps(entries)
    return tomli_w.dumps({kind: entries}, multiline_strings="\\r" not in text)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
