"""A converter's files as the engines take them: JavaScript as it is; TypeScript and modules as what they stand for.

A text that is JavaScript already is left alone. Only one that is not, and has the signs of TypeScript or of a module, is
translated, and lines and columns stay where they are (`iotgw.converters.source.typescript`, ``esmodules``).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import Struct

from iotgw.converters.source.blanks import Untranslatable
from iotgw.converters.source.esmodules import as_commonjs, has_module_signs
from iotgw.converters.source.tokens import NotUnderstood
from iotgw.converters.source.typescript import has_signs, without_types
from iotgw.core.errors import SettingsError
from iotgw.core.specs import ConverterSpec

Compiles = Callable[[str], bool]
"""Whether a text is JavaScript as the body of a function."""

MAIN = "script"
"""What errors call the script itself, beside its files."""
MAX_FILES = 64
MAX_SCRIPT = 1 << 20
"""Characters of a script with its files."""
_PATH = re.compile(r"(?:[\w@.-]+/)*[\w@.-]+", re.ASCII)


def check_size(spec: ConverterSpec) -> None:
    """Refuse what is too much, and names of files that are none. Raises SettingsError."""
    length = len(spec.script) + sum(map(len, spec.files.values()))
    if length > MAX_SCRIPT:
        what = " with its files" if spec.files else ""
        raise SettingsError("script", f"expected at most {MAX_SCRIPT} characters{what}, got {length}")
    if len(spec.files) > MAX_FILES:
        raise SettingsError("files", f"expected at most {MAX_FILES} files, got {len(spec.files)}")
    for name in spec.files:
        if len(name) > 200 or not _PATH.fullmatch(name) or ".." in name.split("/") or "." in name.split("/"):
            raise SettingsError("files", f"expected paths such as lib/bits.js, got {name[:80]!r}")


class Piece(Struct, frozen=True):
    """A file of a converter, ready to run. ``above`` is how many lines others take before it in the engine's count.

    ``places`` are given where a translation has lines of its own: the file's line and column for each, from 1 on.
    """

    name: str
    source: str
    above: int = 0
    places: tuple[tuple[int, int], ...] = ()


def pieces(script: str, files: dict[str, str], compiles: Compiles) -> list[Piece]:
    """The script, which comes first, and the converter's other files. Raises SettingsError for what can't be translated."""
    made = [Piece(MAIN, translated(script, compiles, MAIN))]
    above = _lines(script)
    for name, text in files.items():
        source = text if name.endswith(".json") else translated(text, compiles, f"files.{name}")
        made.append(Piece(name, source, above))
        above += _lines(source)
    return made


def _lines(text: str) -> int:
    return text.count("\n") + 10  # and what the runtime puts around it


def translated(text: str, compiles: Compiles, path: str = MAIN) -> str:
    """The text as JavaScript; the same where it is JavaScript, or can't be made any. Raises SettingsError."""
    if text.startswith("#!"):  # how a program is begun that a shell can start
        text = "//" + text[2:]
    is_typed, is_module = has_signs(text), has_module_signs(text)
    if not (is_typed or is_module) or compiles(text):
        return text
    try:
        plain = without_types(text) if is_typed else text
        made = as_commonjs(plain) if is_module or has_module_signs(plain) else plain
    except NotUnderstood:
        return text
    except IndexError as error:
        raise SettingsError(path, "it looks like TypeScript or a module that ends too early") from error
    except Untranslatable as error:
        if not is_module and not _is_surely_typed(text):
            return text
        place = f"line {error.line}: " if error.line else ""
        raise SettingsError(
            path, f"{place}it looks like TypeScript or a module, but {error.problem}"
        ) from error
    return made


def _is_surely_typed(text: str) -> bool:
    return any(word in text for word in ("interface ", ": string", ": number", ": any", "enum ", ": boolean"))
