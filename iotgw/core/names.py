"""Characters that no name may have: they break protocols, files and terminals wherever the name goes.

These are control characters, halves of surrogate pairs, and what Unicode says are no characters. An MQTT broker may close the
connection for any of them (MQTT 5.0 §1.5.4).
"""

from __future__ import annotations

import re

_LAST = "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
_UNFIT = re.compile(rf"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef{_LAST}]")


def unfit(text: str) -> str:
    """The first character of a text that a name may not have, as ``U+0001``; empty if there is none."""
    if text.isascii() and text.isprintable():
        return ""
    found = _UNFIT.search(text)
    return f"U+{ord(found[0]):04X}" if found else ""


def without_unfit(text: str, instead: str) -> str:
    """The text with another one in the place of each such character."""
    return text if text.isascii() and text.isprintable() else _UNFIT.sub(instead, text)
