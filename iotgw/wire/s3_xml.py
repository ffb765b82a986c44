"""What S3 says in XML, without I/O. Document types and entities are refused, and the depth and the size are bounded."""

from __future__ import annotations

from collections.abc import Sequence
from xml.parsers import expat
from xml.sax.saxutils import escape

from iotgw.core.errors import ProtocolError

MOST_BYTES = 4 << 20
_DEEPEST = 16


def leaves(data: bytes) -> list[tuple[str, str]]:
    """The elements that have no others in them, as ``(name, text)`` in their order. Raises ProtocolError."""
    if len(data) > MOST_BYTES:
        raise ProtocolError(f"S3: expected XML of at most {MOST_BYTES} bytes, got {len(data)}")
    found: list[tuple[str, str]] = []
    path: list[list[str]] = []
    is_leaf = False

    def begin(name: str, _: object) -> None:
        nonlocal is_leaf
        if len(path) == _DEEPEST:
            raise ProtocolError(f"S3: expected XML of at most {_DEEPEST} levels")
        path.append([])
        is_leaf = True

    def end(name: str) -> None:
        nonlocal is_leaf
        text = "".join(path.pop())
        if is_leaf:
            found.append((name, text))
        is_leaf = False

    def refuse(*_: object) -> None:
        raise ProtocolError("S3: expected XML without a document type")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler = lambda text: path[-1].append(text) if path else None
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise ProtocolError(f"S3: expected XML: {error}") from error
    return found


def completion(etags: Sequence[str]) -> bytes:
    """What CompleteMultipartUpload is told: its parts, in their order from 1."""
    parts = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>"
        for number, etag in enumerate(etags, 1)
    )
    return f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
