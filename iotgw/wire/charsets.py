"""The character sets of texts that come over HTTP."""

from __future__ import annotations

import codecs
import re
from encodings.aliases import aliases

BOM = codecs.BOM_UTF8
"""What some programs write before a text in UTF-8."""
WESTERN = "cp1252"
"""What a text is in that is no UTF-8, and doesn't say what else."""
_CHARSETS = frozenset(
    {"utf_8", "gbk", "gb2312", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr", "koi8_r", "koi8_u"}
    | {f"cp{number}" for number in (874, *range(1250, 1259))}
    | {f"iso8859_{number}" for number in range(2, 17)}
)
"""Python's names of those of the web's character sets that have ASCII in them (WHATWG Encoding §4.2)."""
_LATIN_1 = frozenset({"latin_1", "ascii"})
"""Those that are read as Windows-1252, as browsers do."""
_PYTHONS = {
    name: WESTERN if python in _LATIN_1 else python
    for name, python in [*aliases.items(), *((name, name) for name in _CHARSETS | _LATIN_1)]
    if python in _CHARSETS | _LATIN_1
}
"""Python's names of character sets by theirs. Python isn't asked for others: it remembers each that it doesn't know."""
_SAID = re.compile(rb"""(?i);\s*charset\s*=\s*["']?([a-z0-9_.:-]+)""")


def text_of(data: bytes, charset: str = "") -> str:
    """A text: in the character set that it is said to be in, in UTF-8, or else in `WESTERN`."""
    found = decoded_text(data, charset)
    return found[0] if found is not None else data.decode(WESTERN, "replace")


def decoded_text(data: bytes, charset: str) -> tuple[str, str] | None:
    """A text, and what it is in, of ``charset`` and UTF-8; None if it is in neither."""
    said = _PYTHONS.get(charset.strip().lower().replace("-", "_"), "utf_8")
    for name in dict.fromkeys((said, "utf_8")):
        try:
            return data.decode(name), name
        except ValueError:
            continue
    return None


def charset_of(content_type: bytes) -> str:
    """What the value of a Content-Type says of the character set; empty if it says nothing."""
    found = _SAID.search(content_type)
    return found[1].decode() if found is not None else ""
