"""What is done to a file's content before it is sent: compressed, then encrypted."""

from __future__ import annotations

import gzip
import io
import posixpath
import zipfile
from collections.abc import Callable, Sequence
from typing import Any, Literal

from iotgw.core.errors import SettingsError

Compression = Literal["none", "gzip", "zip"]
SUFFIXES = {"none": "", "gzip": ".gz", "zip": ".zip"}
PLACE = "configuration.encryptTo"


class Packing:
    """Packs content; raises SettingsError. ``suffix`` is what it adds to a file's name."""

    def __init__(self, compress: Compression, encrypt_to: Sequence[str]) -> None:
        self._compress = compress
        self._encrypt = _encryption(encrypt_to) if encrypt_to else None
        self.suffix = SUFFIXES[compress] + (".pgp" if encrypt_to else "")

    def packed(self, path: str, content: bytes) -> bytes:
        """The content of a file at ``path``, which has the suffix."""
        if self._compress == "gzip":
            content = gzip.compress(content, mtime=0)
        elif self._compress == "zip":
            out = io.BytesIO()
            name = posixpath.basename(path).removesuffix(self.suffix)
            with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
            content = out.getvalue()
        return self._encrypt(content) if self._encrypt is not None else content


def _encryption(keys: Sequence[str]) -> Callable[[bytes], bytes]:
    """Encrypts to public keys of OpenPGP, given as text."""
    try:
        import pysequoia  # noqa: PLC0415 - an extra
    except ImportError:
        raise SettingsError(
            PLACE, "expected the extra iotgw[pgp] to be installed: pip install 'iotgw[pgp]'"
        ) from None
    found: list[Any] = []
    for number, key in enumerate(keys):
        place = f"{PLACE}[{number}]"
        if "PRIVATE KEY BLOCK" in key:
            raise SettingsError(place, "this is a private key; expected the recipient's public one", True)
        try:
            found.append(pysequoia.Cert.from_bytes(key.encode()))
            pysequoia.encrypt(recipients=[found[-1]], bytes=b"")
        except Exception as error:
            why = str(error).partition("\n")[0][:200]
            raise SettingsError(
                place, f"expected a public key of OpenPGP that can be encrypted to: {why}"
            ) from None

    def encrypt(content: bytes) -> bytes:
        sealed: bytes = pysequoia.encrypt(recipients=found, bytes=content, armor=False)
        return sealed

    return encrypt
