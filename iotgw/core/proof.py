"""What the sender of a message has proved to be, as its transport wrote it into the metadata.

Only a transport that checks a proof may write these keys; the intake takes them from all others' metadata.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from iotgw.core.model import Metadata

Proved = str
"""The name of the device that a sender has proved to be; empty for none."""

TYPE = "identityType"
KEYS = frozenset((TYPE, "dtlsIdentity", "fingerprint"))
"""The metadata that tells of a proof, besides ``identity``."""
MARK = b'"identityType":'
"""It stands in the metadata (JSON) of every sender that has proved something."""


class _Proof(Struct):
    """Metadata keys that tell what a sender has proved."""

    identity: str = ""
    identityType: str = "none"


_decode: Any = msgspec.json.Decoder(_Proof).decode


def is_marked(metadata: bytes) -> bool:
    """Whether the sender of a message with this metadata (JSON) may have proved something."""
    return metadata.find(MARK) >= 0  # cheaper than `in`, which first tries the mark as a number


def proved(metadata: bytes) -> Proved:
    """What the sender of a message with this metadata (JSON) has proved to be."""
    if not is_marked(metadata):
        return ""
    try:
        found = _decode(metadata)
    except msgspec.DecodeError:
        return ""
    return found.identity if found.identityType != "none" else ""


def proved_in(metadata: Metadata) -> Proved:
    """The same of metadata that is not encoded."""
    return str(metadata.get("identity", "")) if metadata.get(TYPE, "none") != "none" else ""


def without(metadata: Metadata) -> Metadata:
    """Metadata without what only a proof may tell."""
    return {key: value for key, value in metadata.items() if key not in KEYS}
