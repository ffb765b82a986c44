"""Secrets that are named instead of said, in files that are kept in git.

A text that is ``env:NAME``, ``file:PATH`` or ``credential:NAME`` stands for the value of an environment variable, for the contents of a
file (a relative path is looked for beside the file that names it), or for a credential that systemd hands to its service (systemd.exec(5),
``LoadCredential=``). Within a longer text, such as a URL, it is ``${env:NAME}``. One line's end at the end of a file is no part of it.
What begins with ``literal:`` is the rest as it stands.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from iotgw.core.errors import SettingsError
from iotgw.core.redaction import MASK

_WHOLE = re.compile(r"(env|credential):([A-Za-z_][A-Za-z0-9_.-]*)|(file):(\S.*)")
_WITHIN = re.compile(r"\$\{(env|file|credential):([^{}\n]+)\}")
LITERAL = "literal:"
LARGEST = 1 << 20
"""Bytes of a file."""
STAND_IN = "0" * 32
"""A secret as text, in hexadecimal and in base64."""


class References:
    """Looks references up. ``environ`` are the variables, ``directory`` is systemd's directory of credentials, empty where there is none.

    ``missing`` says what becomes of a reference that leads nowhere: it is refused, it keeps the secret that the gateway has (as the
    API's mask does), or something stands in for it, so that the rest can be checked.
    """

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        directory: str | None = None,
        missing: Literal["refuse", "keep", "stand-in"] = "refuse",
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self._directory = self._environ.get("CREDENTIALS_DIRECTORY", "") if directory is None else directory
        self._missing = missing

    def resolved(self, value: Any, beside: Path, place: str = "") -> Any:
        """A JSON value with all references in it looked up; raises SettingsError with the place of one that leads nowhere."""
        if isinstance(value, dict):
            return {key: self.resolved(item, beside, f"{place}.{key}") for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolved(item, beside, f"{place}[{index}]") for index, item in enumerate(value)]
        return self._text(value, beside, place) if isinstance(value, str) else value

    def _text(self, text: str, beside: Path, place: str) -> str:
        if text.startswith(LITERAL):
            return text[len(LITERAL) :]
        if found := _WHOLE.fullmatch(text):
            return self._found(found[1] or found[3], found[2] or found[4], beside, place)
        return _WITHIN.sub(lambda each: self._found(each[1], each[2], beside, place), text)

    def _found(self, kind: str, name: str, beside: Path, place: str) -> str:
        look: dict[str, Callable[[], str]] = {
            "env": lambda: self._variable(name),
            "file": lambda: _contents(beside / name),
            "credential": lambda: self._credential(name),
        }
        try:
            return look[kind]()
        except LookupError as error:
            if self._missing == "refuse":
                raise SettingsError(place, f"expected {error.args[0]}") from error
            return MASK if self._missing == "keep" else STAND_IN

    def _variable(self, name: str) -> str:
        try:
            return self._environ[name]
        except KeyError:
            raise LookupError(f"the environment variable {name}, which is not set") from None

    def _credential(self, name: str) -> str:
        if not self._directory:
            raise LookupError(f"systemd's credential {name}, but CREDENTIALS_DIRECTORY is not set")
        if name in (".", ".."):
            raise LookupError(f"a credential's name, got {name!r}")
        return _contents(Path(self._directory) / name)


def escaped(text: str) -> str:
    """A text as it has to be written, so that it stands for itself."""
    is_special = text.startswith(LITERAL) or _WHOLE.fullmatch(text) or _WITHIN.search(text)
    return LITERAL + text if is_special else text


def _contents(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
        text = raw.decode()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8"
        raise LookupError(f"a readable file {path}: {reason}") from error
    if len(raw) > LARGEST:
        raise LookupError(f"a file of at most {LARGEST} bytes, {path} is larger")
    return text.removesuffix("\n").removesuffix("\r")
