"""The resources file: what users save, as TOML or JSON, to be applied as a whole. It may be a directory of such files.

``[[tenant]]``, ``[[converter]]``, ``[[credential]]``, ``[[device-type]]``, ``[[device-group]]``, ``[[datasource]]``, ``[[integration]]`` and ``[[device]]``
hold what the API takes. Instead of ``script`` a converter may name a file beside this one (``scriptFile``) or a bundled converter
(``library``); its vectors may be in a JSON file (``testsFile``), and its further files in a directory (``filesDirectory``). Secrets may be
named instead of said (`iotgw.core.references`).

Of a directory, all files whose names end in ``.toml`` or ``.iotgw.json`` are read, at any depth; nothing in it whose name begins with a
dot is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from iotgw.core.errors import SettingsError
from iotgw.core.references import References
from iotgw.core.validate import convert

KINDS = (
    "tenant", "converter", "credential", "device-type", "device-group", "datasource", "integration", "device",
)  # fmt: skip
"""In the order in which they are applied: what is named comes before what names it."""
CODE = frozenset({"script", "files", "tests"})
"""Fields of converters in which nothing is a reference."""
JSON_SUFFIX = ".iotgw.json"
Entry = dict[str, Any]


class ResourcesDocument(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """The contents of a file: each entry as the API takes it; a converter may have ``library``."""

    tenant: Annotated[list[Entry], Meta(description="Tenants, each as the API takes it.")] = []
    converter: Annotated[
        list[Entry],
        Meta(description="Converters, or a `library` name for a bundled one, each as the API takes it."),
    ] = []
    credential: Annotated[list[Entry], Meta(description="Credentials, each as the API takes it.")] = []
    device_type: Annotated[list[Entry], Meta(description="Types of devices, each as the API takes it.")] = []
    device_group: Annotated[
        list[Entry], Meta(description="Groups of devices, each as the API takes it.")
    ] = []
    datasource: Annotated[list[Entry], Meta(description="Datasources, each as the API takes it.")] = []
    integration: Annotated[list[Entry], Meta(description="Integrations, each as the API takes it.")] = []
    device: Annotated[list[Entry], Meta(description="Devices, each as the API takes it.")] = []

    def of(self, kind: str) -> list[Entry]:
        """The entries of a kind, one of `KINDS`."""
        found: list[Entry] = getattr(self, kind.replace("-", "_"))
        return found


def read(path: Path, references: References | None = None) -> ResourcesDocument:
    """Read a resources file or a directory of them, with the files that they name, and the secrets that they name (those of the
    environment by default). Raises SettingsError with the place of the fault."""
    known = references or References()
    if not path.is_dir():
        return _read(path, known)
    entries: dict[str, list[Entry]] = {kind: [] for kind in KINDS}
    places: dict[tuple[str, str], Path] = {}
    for file in _files(path):
        document = _read(file, known)
        for kind in KINDS:
            for entry in document.of(kind):
                name = str(entry.get("name", entry.get("library", "")))
                if (other := places.setdefault((kind, name), file)) != file:
                    raise SettingsError(str(file), f"{kind} {name!r} stands in {other}, too")
            entries[kind] += document.of(kind)
    return ResourcesDocument(**{kind.replace("-", "_"): found for kind, found in entries.items()})


def _files(directory: Path) -> Iterator[Path]:
    def failed(error: OSError) -> None:
        raise SettingsError(str(directory), f"expected a readable directory: {error.strerror}") from error

    for where, below, names in os.walk(directory, onerror=failed):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(names):
            if name.endswith((".toml", JSON_SUFFIX)) and not name.startswith("."):
                yield Path(where) / name


def _read(path: Path, references: References) -> ResourcesDocument:
    try:
        raw = path.read_bytes()
        decode = msgspec.json.decode if path.suffix == ".json" else msgspec.toml.decode
        document: ResourcesDocument = convert(decode(raw), ResourcesDocument)
    except OSError as error:
        raise SettingsError(str(path), f"expected a readable file: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        kind = "JSON" if path.suffix == ".json" else "TOML"
        raise SettingsError(str(path), f"expected {kind}: {error}") from error
    except SettingsError as error:
        raise SettingsError(f"{path}: {error.path}".rstrip(": "), error.problem) from error
    found: dict[str, list[Entry]] = {}
    for kind in KINDS:
        entries = []
        for number, entry in enumerate(document.of(kind)):
            place = f"{path}: {kind}[{number}]"
            whole = _with_files(entry, path, place) if kind == "converter" else entry
            said = {key: item for key, item in whole.items() if kind != "converter" or key not in CODE}
            entries.append({**whole, **references.resolved(said, path.parent, place)})
        found[kind.replace("-", "_")] = entries
    return ResourcesDocument(**found)


def _with_files(entry: Entry, path: Path, place: str) -> Entry:
    named = [key for key in ("script", "scriptFile", "library") if key in entry]
    if len(named) != 1:
        given = " and ".join(named) or "none"
        raise SettingsError(place, f"expected one of script, scriptFile and library, got {given}")
    entry = dict(entry)
    if named == ["scriptFile"]:
        entry["script"] = _text(path.parent / str(entry.pop("scriptFile")), f"{place}.scriptFile")
    if "testsFile" in entry:
        where = path.parent / str(entry.pop("testsFile"))
        try:
            entry["tests"] = msgspec.json.decode(_text(where, f"{place}.testsFile"))
        except msgspec.DecodeError as error:
            raise SettingsError(f"{place}.testsFile", f"expected JSON in {where}: {error}") from error
    if "filesDirectory" in entry:
        where = path.parent / str(entry.pop("filesDirectory"))
        files = sorted(each for each in where.rglob("*") if each.is_file())
        entry["files"] = {
            each.relative_to(where).as_posix(): _text(each, f"{place}.filesDirectory") for each in files
        }
    return entry


def _text(path: Path, place: str) -> str:
    """A file's text with the line ends that it has."""
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(place, f"expected a readable text file: {error}") from error
