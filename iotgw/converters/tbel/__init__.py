"""TBEL, ThingsBoard's own converter language (Java-like, derived from MVEL): translated to JavaScript, which an engine runs.

`tokens`, `parser` and `expressions` read a script, `emitter`, `values` and `members` write JavaScript, `scopes` and `types` know what names
and expressions mean. What the translation calls is in runtime/tbel. Semantics are those of the interpreter,
github.com/thingsboard/tbel; docs/converters/tbel.md names the differences.
"""

from __future__ import annotations

from functools import lru_cache

from iotgw.converters.tbel.emitter import ENTRY, Translation, translate
from iotgw.converters.tbel.errors import TbelError

DIALECT = "thingsboard-tbel"
ENGINE = "quickjs"
"""The translation uses what only QuickJS has: 64-bit numbers, maps of any keys, classes."""
MAX_SCRIPT = 262_144
"""Characters; ThingsBoard's own limit is 50,000."""
PARAMETERS = {
    "UPLINK": ("payload", "metadata"),
    "DOWNLINK": ("msg", "metadata", "msgType", "integrationMetadata"),
}
__all__ = ["DIALECT", "ENGINE", "ENTRY", "MAX_SCRIPT", "TbelError", "Translation", "translated"]


@lru_cache(maxsize=16)
def translated(script: str, direction: str) -> Translation:
    """The JavaScript of a script. Raises TbelError."""
    if len(script) > MAX_SCRIPT:
        raise TbelError(f"expected at most {MAX_SCRIPT} characters of TBEL, got {len(script)}", 0)
    try:
        return translate(script, PARAMETERS[direction])
    except RecursionError:  # rows within rows, each of them within its own bounds
        raise TbelError(
            "expected less nesting of rows of operators and properties in one another", 0
        ) from None
