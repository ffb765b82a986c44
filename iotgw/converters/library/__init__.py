"""Converters that come with iotgw: ``converter.json``, ``converter.js`` and ``vectors.json`` in one folder each.

A datasource can name one directly; a user can copy one. A vector is ``{name, payload (hex), metadata, output}``,
where ``output`` is what the script returns.

Converters of a vendor may have a part in common: a ``converter.js`` that ends with the line ``// --- common to …`` goes on
with ``common.js``, which stands beside its folder. Users see one script.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from iotgw.core.model import ConverterVersion

PLACE = Path(__file__).resolve().parent
_GOES_ON = "// --- common to "
"""How the last line of a script begins that goes on with its vendor's common part."""


class About(Struct, frozen=True, forbid_unknown_fields=True):
    """A ``converter.json``."""

    name: str
    title: str
    description: str
    direction: Literal["UPLINK", "DOWNLINK"]
    dialect: str
    engine: str = "duktape"
    options: dict[str, Any] = {}


class LibraryVector(Struct, frozen=True, forbid_unknown_fields=True):
    """What a converter must make of a payload (hex) with this metadata."""

    name: str
    payload: str
    metadata: dict[str, Any]
    output: Any


class LibraryConverter(Struct, frozen=True):
    """A converter of the library."""

    about: About
    script: str
    vectors: tuple[LibraryVector, ...]

    @property
    def version(self) -> ConverterVersion:
        """Ready to run. Its number is made of its text: another release may bring another script."""
        digest = hashlib.sha256(self.script.encode()).digest()
        return ConverterVersion(
            id=f"bundled:{self.about.name}",
            version=int.from_bytes(digest[:3]),
            name=self.about.name,
            direction=self.about.direction,
            script=self.script,
            dialect=self.about.dialect,
            engine=self.about.engine,
            options=self.about.options,
        )


@cache
def catalogue() -> dict[str, LibraryConverter]:
    """All converters of the library, by name."""
    found = {}
    for about_file in sorted(PLACE.rglob("converter.json")):
        folder = about_file.parent
        about = msgspec.json.decode(about_file.read_bytes(), type=About)
        found[about.name] = LibraryConverter(
            about=about,
            script=_script(folder),
            vectors=msgspec.json.decode(
                (folder / "vectors.json").read_bytes(), type=tuple[LibraryVector, ...]
            ),
        )
    return found


def versions() -> dict[str, ConverterVersion]:
    """The library as versions that run, by name."""
    return {name: bundled.version for name, bundled in catalogue().items()}


def _script(folder: Path) -> str:
    text = (folder / "converter.js").read_text("utf-8")
    if text.splitlines()[-1].startswith(_GOES_ON):
        text += (folder.parent / "common.js").read_text("utf-8")
    return text
