"""Fetches mermaid, which draws the diagrams, from npm's registry, so that the site asks nobody else for it: `python docs/site/fetch_mermaid.py`.

It is the one file of its version that is expected, or nothing is unpacked.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

VERSION = "11.12.1"
INTEGRITY = "sha512-UlIZrRariB11TY1RtTgUWp65tphtBv4CSq7vyS2ZZ2TgoMjs2nloq+wFqxiwcxlhHUvs7DPGgMjs2aeQxz5h9g=="
TARGET = Path(__file__).parent / "_static" / "mermaid"
START = "mermaid.esm.min.mjs"
PARTS = "chunks/mermaid.esm.min"


def fetched() -> bytes:
    """The package as npm has it. Raises ValueError if it is another than expected."""
    with tempfile.TemporaryDirectory() as folder:
        pack = ["npm", "pack", "--silent", "--json", "--pack-destination", folder, f"mermaid@{VERSION}"]
        told = json.loads(subprocess.run(pack, check=True, capture_output=True, text=True, cwd=folder).stdout)
        content = Path(folder, told[0]["filename"]).read_bytes()
    found = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != INTEGRITY:
        raise ValueError(f"mermaid {VERSION}: expected {INTEGRITY}, got {found}")
    return content


def unpack(content: bytes, target: Path) -> None:
    """Put what a browser needs of a package into a directory."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            inside = path.relative_to("package/dist") if path.is_relative_to("package/dist") else None
            wanted = inside is not None and (str(inside) == START or str(inside.parent) == PARTS)
            if member.isfile() and inside is not None and wanted and path.suffix == ".mjs":
                file = archive.extractfile(member)
                assert file is not None
                place = target / inside
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(file.read())


if __name__ == "__main__":
    try:
        unpack(fetched(), TARGET)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        sys.exit(f"mermaid can't be fetched (npm is needed for it): {error}")
