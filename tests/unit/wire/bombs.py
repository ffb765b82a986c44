"""Small messages that a careless decoder makes large ones of."""

from __future__ import annotations


def shared(levels: int) -> bytes:
    """A Lobaro envelope whose data triples with each level of 9 bytes, by shared values (tags 28 and 29)."""
    begun, ended = b"", b""
    for level in range(levels):
        begun += b"\xd8\x1c\x83"  # a shareable array of three: the next level, and twice a reference to it
        ended = 2 * bytes((0xD8, 0x1D, level + 1)) + ended
    return b"\xa2\x61i\x61x\x61d" + begun + b"\xd8\x1c\x64abcd" + ended


SHARED = shared(13)
"""131 bytes that were 24 MB of metadata."""
REFERENCES = b"\xa2\x61i\x61x\x61d\xd9\x01\x00\x99\x03\xe8\x79\x01\x00" + b"x" * 256 + b"\xd8\x19\x00" * 999
"""A text of 256 characters, and 999 references to it (tags 256 and 25)."""
