"""URLs that may hold secrets: the values of their query, and a password before the host.

A URL may be a template (`iotgw.integrations.template`). A value that only inserts a fact of the message, such as
``{{ deviceName }}``, is no secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from iotgw.core.redaction import MASK

_OPENS = re.compile(r"\{[{%#]")
_CLOSES = {"{{": "}}", "{%": "%}", "{#": "#}"}
_FACT = re.compile(r"\{\{[\s(]*[A-Za-z_][^'\"{}]*\}\}", re.ASCII)
"""An expression that begins with a name and holds no text of its own: what it gives comes from the message."""
_PASSWORD = re.compile(r"(?s)([^/?#]*://[^/?#:@]*:)([^/?#]*)(@.*)")


class _Part(Struct, frozen=True):
    """A part of a URL: what is shown, and the secret behind it, if any. ``name`` is the parameter's; ``:`` is the
    password."""

    name: str
    shown: str
    secret: str = ""


def is_fact(value: str) -> bool:
    """Whether a template only inserts what the message says."""
    return _FACT.fullmatch(value) is not None


def masked_url(url: str) -> str:
    """The URL with a mask for each secret in it."""
    return "".join(part.shown + (MASK if part.secret else "") for part in _parts(url))


def url_secrets(url: str) -> list[str]:
    """The secrets in a URL."""
    return [part.secret for part in _parts(url) if part.secret]


def unmasked_url(url: str, stored: str) -> str:
    """The URL with the secrets of the stored one in the place of its masks. Raises ValueError, whose text says which
    parameter's secret is not known."""
    known, parts = list(_parts(stored)), list(_parts(url))
    made = []
    for index, part in enumerate(parts):
        secret = part.secret
        if secret == MASK:
            before = [each.secret for each in known if each.name == part.name]
            same = [place for place, each in enumerate(parts) if each.name == part.name]
            # of several with one name, each is known by its turn, while all are there
            secret = before[same.index(index)] if len(before) == len(same) else ""
            if not secret:
                raise ValueError("of the password" if part.name == ":" else f"of {part.name!r}")
        made.append(part.shown + secret)
    return "".join(made)


def _parts(url: str) -> Iterator[_Part]:
    head, mark, query = _split(url, "?")
    if found := _PASSWORD.fullmatch(head):
        yield _Part(":", found[1], found[2])
        head = found[3]
    yield _Part("", head + mark)
    while query:
        parameter, mark, query = _split(query, "&")
        name, sign, value = _split(parameter, "=")
        if not sign:
            name, value = "", name
        if not value or is_fact(value):
            yield _Part("", parameter + mark)
        else:
            yield _Part(name, name + sign, value)
            yield _Part("", mark)


def _split(text: str, at: str) -> tuple[str, str, str]:
    """As `str.partition`, but not within a template's expressions."""
    place = 0
    while (found := text.find(at, place)) >= 0:
        opens = _OPENS.search(text, place, found)
        if opens is None:
            return text[:found], at, text[found + 1 :]
        closes = text.find(_CLOSES[opens[0]], opens.end())
        place = closes + 2 if closes >= 0 else opens.start() + 1  # what isn't closed is text
    return text, "", ""
