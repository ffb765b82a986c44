"""Bodies of HTTP requests that carry fields: ``application/x-www-form-urlencoded`` and ``multipart/form-data`` (RFC 7578)."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlencode

from msgspec import Struct

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

_IN_QUOTES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})
"""How a name may stand in quotes (WHATWG HTML, "multipart/form-data encoding algorithm")."""


class FormPart(Struct, frozen=True):
    """A part of a multipart body; one with a ``filename`` is a file."""

    name: str
    content: bytes
    filename: str = ""
    content_type: str = ""


def form(fields: Iterable[tuple[str, str]]) -> bytes:
    """Fields as a form."""
    return urlencode(list(fields)).encode()


def multipart(parts: Iterable[FormPart], boundary: str) -> bytes:
    """Parts with a boundary between them, which none of them may contain."""
    lines: list[bytes] = []
    for part in parts:
        said = f'form-data; name="{part.name.translate(_IN_QUOTES)}"'
        if part.filename:
            said += f'; filename="{part.filename.translate(_IN_QUOTES)}"'
        lines += [f"--{boundary}".encode(), f"Content-Disposition: {said}".encode()]
        if part.content_type:
            lines.append(f"Content-Type: {part.content_type}".encode())
        lines += [b"", part.content]
    return b"\r\n".join([*lines, f"--{boundary}--".encode(), b""])
