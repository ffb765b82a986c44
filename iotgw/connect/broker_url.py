"""A broker's URL, as people paste it into the setting ``host``. It may hold a password, so nothing of it is repeated in an error."""

from __future__ import annotations

import re
from urllib.parse import unquote

from msgspec import Struct

LONGEST = 4096
"""Characters of a URL; one that is signed for a cloud has some 1,500."""
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.IGNORECASE | re.DOTALL)
_NO_NAME = re.compile(r"[/?#@\[\]\s]")
_PLACE = re.compile(r"(?P<host>\[[^\]\s]+\]|[^:/?#@\[\]\s]+)(?::(?P<port>[0-9]{1,5}))?", re.DOTALL)


class PastedUrl(Struct, frozen=True):
    """The parts of a URL. ``port`` is None if it says none, ``path`` is all that follows, ``has_user`` whether it says who we are."""

    scheme: str
    host: str
    port: int | None
    path: str
    has_user: bool
    username: str
    password: str

    def check_beside(self, port: int | None, username: str, password: str) -> None:
        """Raises ValueError where these other settings say again what the URL says."""
        if self.port is not None and port not in (None, self.port):
            raise ValueError("port: expected none beside a URL that says one")
        if self.has_user and (username or password):
            raise ValueError("username: expected none beside a URL that says one")


def pasted(text: str) -> PastedUrl | None:
    """The parts of a URL; None for what is none. Space around it is nothing. Raises ValueError."""
    url = _URL.fullmatch(text.strip())
    if url is None:
        return None
    rest = url[2]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    who, sign, where = authority.rpartition("@")
    place = _PLACE.fullmatch(where)
    if place is None:
        raise ValueError("host: expected a URL with a host, and a port if any")
    name, _, password = who.partition(":")
    return PastedUrl(
        url[1].lower(), place["host"].strip("[]").lower(), _port(place["port"]), rest[len(authority) :], bool(sign),
        unquote(name), unquote(password),
    )  # fmt: skip


def named(text: str) -> tuple[str, int | None]:
    """The host and the port, if it says one, of what is no URL. Space around it is nothing. Raises ValueError."""
    text = text.strip()
    place = _PLACE.fullmatch(text)
    if place is not None:
        return place["host"].strip("[]"), _port(place["port"])
    if ":" not in text or _NO_NAME.search(text):
        raise ValueError("host: expected a name, an address or a URL")
    return text, None  # an address of IPv6


def _port(text: str | None) -> int | None:
    if not text:
        return None
    if not 1 <= int(text) <= 65535:
        raise ValueError(f"host: expected a port of 1 to 65535, got {text}")
    return int(text)
