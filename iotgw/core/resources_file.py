"""The resources file: what users save, as TOML or JSON, to be applied as a whole.

``[[converter]]``, ``[[credential]]``, ``[[datasource]]`` and ``[[integration]]`` hold what the API takes. Instead of ``script``
a converter may name a file beside this one (``scriptFile``) or a bundled converter (``library``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from iotgw.core.errors import SettingsError
from iotgw.core.validate import convert


class ResourcesDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """The contents of a file: each entry as the API takes it; a converter may have ``library``."""

    converter: list[dict[str, Any]] = []
    credential: list[dict[str, Any]] = []
    datasource: list[dict[str, Any]] = []
    integration: list[dict[str, Any]] = []


def read(path: Path) -> ResourcesDocument:
    """Read a resources file; script files are read too. Raises SettingsError with the place of the fault."""
    try:
        raw = path.read_bytes()
        decode = msgspec.json.decode if path.suffix == ".json" else msgspec.toml.decode
        document: ResourcesDocument = convert(decode(raw), ResourcesDocument)
    except OSError as error:
        raise SettingsError(str(path), f"expected a readable file: {error.strerror}") from error
    except msgspec.DecodeError as error:
        kind = "JSON" if path.suffix == ".json" else "TOML"
        raise SettingsError(str(path), f"expected {kind}: {error}") from error
    except SettingsError as error:
        raise SettingsError(f"{path}: {error.path}".rstrip(": "), error.problem) from error
    converters = [_with_script(entry, path, number) for number, entry in enumerate(document.converter)]
    return msgspec.structs.replace(document, converter=converters)


def _with_script(entry: dict[str, Any], path: Path, number: int) -> dict[str, Any]:
    named = [key for key in ("script", "scriptFile", "library") if key in entry]
    place = f"{path}: converter[{number}]"
    if len(named) != 1:
        given = " and ".join(named) or "none"
        raise SettingsError(place, f"expected one of script, scriptFile and library, got {given}")
    if named != ["scriptFile"]:
        return entry
    entry = dict(entry)
    script = path.parent / str(entry.pop("scriptFile"))
    try:
        return {**entry, "script": script.read_text()}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{place}.scriptFile", f"expected a readable text file: {error}") from error
