"""What S3 says in XML, without I/O. Document types and entities are refused; depth, size, elements and the length of a tag are bounded."""

from __future__ import annotations

from collections.abc import Sequence
from xml.parsers import expat
from xml.sax.saxutils import escape

from iotgw.core.errors import ProtocolError

MOST_BYTES = 4 << 20
MOST_ELEMENTS = 40_000
"""A list of a thousand objects has some 12,000."""
_DEEPEST = 16
_PIECE = 64 << 10
"""Bytes that the parser gets at once; a tag with its attributes may have twice as many."""


def leaves(data: bytes) -> list[tuple[str, str]]:
    """The elements that have no others in them, as ``(name, text)`` in their order. Raises ProtocolError."""
    if len(data) > MOST_BYTES:
        raise ProtocolError(f"S3: expected XML of at most {MOST_BYTES} bytes, got {len(data)}")
    found: list[tuple[str, str]] = []
    path: list[list[str]] = []
    elements = 0
    is_leaf = False

    def begin(name: str, _: object) -> None:
        nonlocal elements, is_leaf
        if len(path) == _DEEPEST:
            raise ProtocolError(f"S3: expected XML of at most {_DEEPEST} levels")
        elements += 1
        if elements > MOST_ELEMENTS:
            raise ProtocolError(f"S3: expected XML of at most {MOST_ELEMENTS} elements")
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
    parser.buffer_text, parser.buffer_size = True, _PIECE
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler = lambda text: path[-1].append(text) if path else None
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        for start in range(0, len(data), _PIECE):
            parser.Parse(data[start : start + _PIECE], False)
            if start - parser.CurrentByteIndex > _PIECE:
                raise ProtocolError(f"S3: expected no tag of more than {2 * _PIECE} bytes")
        parser.Parse(b"", True)
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
