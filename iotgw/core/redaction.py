"""Takes out of texts for people what looks like a secret, wherever it came from: errors, problems, log lines.

It is the last line. A part that knows that a value is secret doesn't put it into a text to begin with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "***"
"""What stands for a secret, in the API as in texts."""
LONGEST = 1000
"""Characters of a text about a setting."""
LOOKED_AT = 10 * LONGEST
"""Characters of such a text that are looked at: no more is shown, whatever is taken out."""
SHORTEST = 4
"""Characters of a secret that is looked for in a text; a shorter one would be found in every other word."""

_KEY = re.compile(
    r"(-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----).*?(-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|$)"
    r"|(Private-Lines: ).*?(Private-MAC: |$)",
    re.DOTALL,
)
"""Of PEM, of OpenPGP, and of PuTTY."""
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s'\"`<>]+")
_USER = re.compile(r"://[^?#]*@")
_VALUE = re.compile(r"([?&][^=&#]*=)[^&#]+")
_SCHEME = re.compile(r"\b(Bearer|Basic)\s+[^\s'\",;]+", re.IGNORECASE)
_LONG = re.compile(r"[A-Za-z0-9+/]{40,}={0,2}")
"""Base64 of 30 bytes and more: keys, and parts of keys that were cut off."""


def redacted(text: str) -> str:
    """The text without private keys, and without the user and the query's values of URLs."""
    if _may_have_key(text):
        text = _KEY.sub(rf"\1\3{MASK}\2\4", text)
    if "://" in text:
        text = _URL.sub(_without_secrets, text)
    return _SCHEME.sub(rf"\1 {MASK}", text)


def problem_text(text: str) -> str:
    """A text about a setting, without what looks like a secret or is long base64, and not longer than a person reads."""
    head = _LONG.sub(MASK, redacted(text[:LOOKED_AT]))
    if len(text) <= LOOKED_AT:
        text = head
    return text if len(text) <= LONGEST else f"{head[:LONGEST]}… ({len(text)} characters)"


def is_private_key(text: str) -> bool:
    """Whether a private key is in the text."""
    return _may_have_key(text) and _KEY.search(text) is not None


def hidden(text: str, secrets: Iterable[str]) -> str:
    """The text without these secrets."""
    for secret in secrets:
        if len(secret) >= SHORTEST:
            text = text.replace(secret, MASK)
    return text


def _may_have_key(text: str) -> bool:
    """Whether it is worth the time of looking for a key."""
    return "PRIVATE KEY" in text or "Private-Lines" in text


def _without_secrets(found: re.Match[str]) -> str:
    return _VALUE.sub(rf"\1{MASK}", _USER.sub(f"://{MASK}@", found[0]))
