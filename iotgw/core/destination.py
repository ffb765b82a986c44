"""Where the secrets of a configuration are sent: to which host and port, and how the host proves itself.

A mask keeps a secret only while it goes to where it went when it was entered. Otherwise whoever may edit a resource could
have its secrets sent to a server of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from iotgw.core.errors import IotgwError, SettingsError
from iotgw.core.secrets import Withheld, revealed
from iotgw.core.validate import convert

_PLACE = re.compile(
    r"(^|_)(host|hosts|server|servers|broker|brokers|address|url|urls|uri)$|url$|uri$", re.IGNORECASE
)
_MORE = re.compile(r"(^|_)(port|tls|ssl|ca|scheme)$", re.IGNORECASE)
"""Names of settings that count where one of the former is there."""

MOVED = Withheld(
    "must be entered again, because it would be sent to another place (host, port or TLS) than it was entered for"
)


@runtime_checkable
class Destined(Protocol):
    """Settings that say where their secrets go."""

    def destination(self) -> object:
        """A value that is equal as long as the secrets go to the same place; raises SettingsError."""


def destination(settings: Struct) -> object:
    """Where the secrets of settings go. Settings that don't say so themselves are looked at by the names of their
    fields: hosts and URLs; with these also ports and TLS."""
    if isinstance(settings, Destined):
        return settings.destination()
    fields = {name: getattr(settings, name) for name in settings.__struct_fields__}
    places = {name: _where(value) for name, value in fields.items() if _PLACE.search(name)}
    if places:
        places |= {name: msgspec.to_builtins(value) for name, value in fields.items() if _MORE.search(name)}
    return places


def to_keep(configuration: Any, stored: Any, type_: type[Struct], unseal: Callable[[str], str]) -> Any:
    """What the masks of a configuration may keep of the stored one: that itself, or `MOVED`."""
    new = destination(convert(configuration, type_, "configuration"))
    try:
        old = destination(convert(revealed(stored, type_, unseal), type_))
    except IotgwError:  # it can't be told where they went
        return MOVED
    return stored if new == old else MOVED


def origin(url: str, place: str) -> tuple[str, str, int]:
    """``(scheme, host, port)`` of an HTTP URL, or of a template of one; raises SettingsError.

    The URL isn't repeated in the error: it may hold a password.
    """
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if scheme not in ("http", "https") or not separator:
        raise SettingsError(place, "expected a URL that begins with http:// or https://")
    netloc = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "{" in netloc:
        raise SettingsError(place, "expected a host without a template")
    if "@" in netloc:
        raise SettingsError(place, "expected a host without user name and password (see auth)")
    try:
        split = urlsplit(f"{scheme}://{netloc}")
        host, port = split.hostname, split.port
    except ValueError:
        raise SettingsError(place, "expected a URL with a host, and a port of 0 to 65535 if any") from None
    if not host:
        raise SettingsError(place, "expected a URL with a host")
    return scheme, host, port or (443 if scheme == "https" else 80)


def _where(value: Any) -> Any:
    """A URL's part that says where it leads; any other value as it is."""
    if isinstance(value, str) and "://" in value:
        scheme, _, rest = value.partition("://")
        return scheme, re.split(r"[/?#]", rest, maxsplit=1)[0]
    return msgspec.to_builtins(value)
