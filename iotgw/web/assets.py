"""The files that the console was built into, as they go out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

STATIC = Path(__file__).parent / "static"
"""Where the build puts them."""
INDEX = "index.html"
_HASHED = re.compile(r"-[A-Za-z0-9]{8,}\.[a-z0-9]+(\.map)?$")
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/vnd.microsoft.icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
}
"""Media types by a name's end. What has another end isn't served."""
MOST = 32 << 20
"""Bytes of all files together; more than that is not ours."""


class Asset(Struct, frozen=True):
    """One file. ``packed`` is its content by gzip, empty where there is none; an asset that ``is_immutable`` has another name when its
    content is another one."""

    content: bytes
    packed: bytes
    media_type: str
    tag: str
    is_immutable: bool

    @property
    def is_page(self) -> bool:
        """Whether it is HTML."""
        return self.media_type.startswith("text/html")


def load(folder: Path = STATIC) -> Mapping[str, Asset]:
    """The files of a directory by their paths in it, with slashes; none where nothing was built. Raises OSError for one that can't be read,
    and ValueError where they are too large to be the console's."""
    found: dict[str, Asset] = {}
    size = 0
    if not (folder / INDEX).is_file():
        return found
    for path in sorted(folder.rglob("*")):
        media_type = _TYPES.get(path.suffix)
        if media_type is None or not path.is_file() or path.is_symlink():
            continue
        content = path.read_bytes()
        size += len(content)
        if size > MOST:
            raise ValueError(f"{folder}: expected at most {MOST} bytes of files")
        packed = path.with_name(path.name + ".gz")
        name = path.relative_to(folder).as_posix()
        found[name] = Asset(
            content,
            packed.read_bytes() if packed.is_file() else b"",
            media_type,
            f'"{hashlib.sha256(content).hexdigest()[:20]}"',
            _HASHED.search(name) is not None,
        )
    return found
