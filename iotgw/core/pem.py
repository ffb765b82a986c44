"""Certificates and keys in settings: PEM text, or the name of a file in the operator's directory
(`iotgw.core.ports.files`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

from msgspec import Meta

from iotgw.core.secrets import Secret

LONGEST = 64 << 10
"""Characters of PEM text in a setting. A chain of ten certificates has a third of it."""
LARGEST_RSA = 4096
"""Bits of an RSA key. A larger one takes too long for each signature.

Whether a key's factors are prime isn't asked where one is loaded (``unsafe_skip_rsa_key_validation`` of `cryptography`): that takes
seconds, and a wrong key harms its owner alone."""

Pem = Annotated[str, Meta(max_length=LONGEST)]
SecretPem = Annotated[Secret, Meta(max_length=LONGEST)]

WHERE = "as PEM text, or by the name of a file in the operator's directory of certificates"
"""How every error ends that a setting of these gets: the same one for a file that is missing as for one that is
something else, as whoever reads it must not learn which files exist."""

Files = Mapping[str, bytes]
"""The contents of files by their names; those that can't be used are missing."""


def is_pem(text: str) -> bool:
    """Whether a setting is PEM text and not a name."""
    return "-----BEGIN" in text


def names(texts: Iterable[str]) -> list[str]:
    """Those of the settings that are names of files."""
    return [text for text in texts if text and not is_pem(text)]


def content(text: str, files: Files) -> bytes:
    """What a setting stands for; empty where it is the name of a file that can't be used."""
    return text.encode() if is_pem(text) else files.get(text, b"")


__all__ = ["LARGEST_RSA", "LONGEST", "WHERE", "Files", "Pem", "SecretPem", "content", "is_pem", "names"]
