"""Gives names to secrets, so that what names them can be kept in git: each becomes a reference to an environment variable
(`iotgw.core.references`), and their values go into a file of their own, if somebody may know them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from iotgw.core.errors import SettingsError
from iotgw.core.private import write_file
from iotgw.core.redaction import MASK
from iotgw.core.references import escaped
from iotgw.core.resources_file import CODE
from iotgw.core.secret_url import url_secrets

_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
_SECRET_PARTS = frozenset({"configuration", "secrets"})
"""Fields of entries below which secrets are."""


class NamedSecrets:
    """Names that were given. ``values`` are their secrets, where they are known."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.values: dict[str, str] = {}

    def entry(self, kind: str, shown: dict[str, Any], clear: dict[str, Any] | None) -> dict[str, Any]:
        """An entry with references for its masks. ``clear`` is the same with its secrets."""
        found: dict[str, Any] = {}
        for key, item in shown.items():
            beside = clear.get(key) if clear is not None else None
            if kind == "converter" and key in CODE:
                found[key] = item
            else:
                found[key] = self._value(item, beside, [kind, shown["name"], key], key in _SECRET_PARTS)
        return found

    def write(self, path: Path) -> None:
        """Write the values as lines for a shell, or for systemd's EnvironmentFile=; nobody else may read them."""
        lines = [f"{name}={shlex.quote(value)}\n" for name, value in self.values.items()]
        write_file(path, "".join(lines).encode())

    def _value(self, shown: Any, clear: Any, path: list[str], may_hide: bool) -> Any:
        if isinstance(shown, dict):
            return {
                key: self._value(
                    item, clear.get(key) if isinstance(clear, dict) else None, [*path, key], may_hide
                )
                for key, item in shown.items()
            }
        if isinstance(shown, list):
            beside = clear if isinstance(clear, list) and len(clear) == len(shown) else [None] * len(shown)
            return [
                self._value(item, beside[index], [*path, str(index)], may_hide)
                for index, item in enumerate(shown)
            ]
        if not isinstance(shown, str):
            return shown
        if not may_hide or MASK not in shown or shown == clear:
            return escaped(shown)
        return self._text(shown, clear if isinstance(clear, str) else None, path)

    def _text(self, shown: str, clear: str | None, path: list[str]) -> str:
        """A mask, or a URL with masks in it."""
        if shown == MASK:
            return f"env:{self._named(path, clear)}"
        pieces = shown.split(MASK)
        secrets: list[str | None] = [None] * (len(pieces) - 1)
        if clear is not None:
            known = url_secrets(clear)
            if "".join(a + b for a, b in zip(pieces, [*known, ""], strict=False)) != clear:
                return f"env:{self._named(path, clear)}"
            secrets = [*known]
        text = pieces[0]
        for number, (secret, piece) in enumerate(zip(secrets, pieces[1:], strict=True), 1):
            more = [str(number)] if len(secrets) > 1 else []
            text += f"${{env:{self._named([*path, *more], secret)}}}{piece}"
        return text

    def _named(self, path: list[str], value: str | None) -> str:
        parts = [part for part in path if part != "configuration"]
        wanted = "IOTGW_" + "_".join(_BORDER.sub("_", part).strip("_") for part in parts).upper()
        name, number = wanted, 2
        while name in self.names:
            name, number = f"{wanted}_{number}", number + 1
        self.names.append(name)
        if value is not None:
            self.values[name] = value
        return name


def read_secrets(path: Path) -> Mapping[str, str]:
    """The values of such a file; raises SettingsError."""
    try:
        words = shlex.split(path.read_text(), comments=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingsError(str(path), f"expected a readable file of NAME=VALUE lines: {reason}") from error
    found = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign:
            raise SettingsError(str(path), "expected NAME=VALUE lines, got one without '='", is_secret=True)
        found[name.removeprefix("export ")] = value
    return found
