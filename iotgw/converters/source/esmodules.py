"""ECMAScript modules as CommonJS (ECMA-262 §16.2): ``import`` becomes ``require``, and what is exported is set at the end.

Lines stay where they are. A name that is imported and never used is not asked for, and one that is exported and isn't declared is
not set: in TypeScript it stands for a type.
"""

from __future__ import annotations

import re

from iotgw.converters.source.blanks import Blanks, Untranslatable
from iotgw.converters.source.scopes import declared_by
from iotgw.converters.source.tokens import KEYWORDS, NAME, TEXT

_SIGNS = re.compile(r"(?:^|[;}])\s*(?:import\b\s*(?!\()|export\b)", re.MULTILINE)
_DEFAULT = "(function(m){return m&&m.__esModule?m['default']:m})"


def has_module_signs(script: str) -> bool:
    """Whether a script that is not JavaScript as a function has it may be a module."""
    return _SIGNS.search(script) is not None


def as_commonjs(script: str) -> str:
    """The same module with ``require`` and ``exports``. Raises NotUnderstood, Untranslatable."""
    module = _Module(script)
    module.read()
    exports = "".join(module.exports)
    return module.text() + (f"\n;exports.__esModule=true;{exports}" if module.is_module else "")


class _Module(Blanks):
    def __init__(self, script: str) -> None:
        super().__init__(script)
        self.exports: list[str] = []
        self.is_module = False

    def read(self) -> None:
        """Replace each statement of the top level that imports or exports."""
        is_begin = True
        while self.at < len(self.found):
            word = self.look()
            is_name = self.kind() == NAME and (is_begin or self.is_first())
            if is_name and word == "import" and self.look(1) not in ("(", "."):
                self._import()
            elif is_name and word == "export":
                self._export()
            else:
                self.at = self.found[self.at].partner + 1 if word in ("(", "[", "{", "${") else self.at + 1
                is_begin = word in (";", "{", "}")
                continue
            self.is_module = is_begin = True

    def _import(self) -> None:
        begin = self.at
        self.at += 1
        names: list[tuple[str, str]] = []  # (what is imported, its name here)
        if self.kind() == TEXT:
            self._replaced(begin, f"require({self.look()});")
            return
        while self.look() not in ("from", "") and self.kind() != TEXT:
            word = self.look()
            if word == "{":
                names += self._listed()
                continue
            if word == "=":  # TypeScript's import x = require('x')
                self.until_end()
                self.blank(begin, begin, "var")
                return
            if word == "*":
                names.append(("", self.look(2)))
                self.at += 2
            elif word != ",":
                names.append(("default", word))
            self.at += 1
        self.skip("from")
        if self.kind() != TEXT:
            raise Untranslatable("an import without its module", self.line())
        used = [(what, name) for what, name in names if self._is_used(name)]
        source = f"require({self.look()})"
        made = ",".join(
            f"{name}={source if not what else f'{_DEFAULT}({source})' if what == 'default' else f'{source}.{what}'}"
            for what, name in used
        )
        self._replaced(begin, f"var {made};" if made else ";")

    def _listed(self) -> list[tuple[str, str]]:
        """``{a, b as c, default as d}``: (a, a), (b, c), …"""
        names = []
        self.expect("{")
        while not self.skip("}"):
            what = name = self.look()
            self.at += 1
            if self.skip("as"):
                name = self.look()
                self.at += 1
            names.append((what, name))
            self.skip(",")
            if self.at >= len(self.found):
                raise Untranslatable("a list of names is not closed")
        return names

    def _is_used(self, name: str) -> bool:
        return sum(token.kind == NAME and token.text == name for token in self.found) > 1

    def _replaced(self, begin: int, text: str) -> None:
        """The statement is over behind the module's name, and what may be said of its type."""
        self.at += 1
        if self.look() in ("with", "assert") and self.look(1) == "{":
            self.at = self.found[self.at + 1].partner + 1
        self.skip(";")
        self.blank(begin, self.at - 1, text)

    def _export(self) -> None:
        begin = self.at
        self.at += 1
        word = self.look()
        if word == "default":
            self._default(begin)
        elif word == "{":
            self._export_list(begin)
        elif word == "*":
            name = self.look(2) if self.look(1) == "as" else ""
            self.at += 4 if name else 2
            source = f"require({self.look()})"
            made = f"exports.{name}={source};" if name else _all_of(source)
            self._replaced(begin, made)
        elif word in ("var", "let", "const"):
            self.blank(begin)
            self.exports += [f"exports.{name}={name};" for name in declared_by(self.found, self.at)]
        elif word in ("function", "class", "async"):
            self.blank(begin)
            self._named()
        elif word == "=":  # TypeScript's export = x
            self.blank(begin, self.at, "module.exports=")
        else:
            raise Untranslatable(f"export {word} is not supported", self.line())

    def _named(self) -> str:
        """Export the function or class that is declared here; its name."""
        index = self.at + 1 + (self.look() == "async")
        index += self.found[index].text == "*"
        name = self.found[index].text
        if self.found[index].kind == NAME and name != "extends":
            self.exports.append(f"exports.{name}={name};")
            return name
        return ""

    def _default(self, begin: int) -> None:
        self.at += 1
        if self.look() in ("function", "class") or (self.look() == "async" and self.look(1) == "function"):
            before = len(self.exports)
            name = self._named()
            if name:
                self.exports[before:] = [f"exports['default']={name};"]
                self.blank(begin, self.at - 1)
                return
        word = self.look()
        is_alone = self.look(1) in (";", "") or self.found[self.at + 1].is_first
        if self.kind() == NAME and is_alone and word not in KEYWORDS and not self._is_used(word):
            self.skip(word)
            self.skip(";")
            self.blank(begin, self.at - 1, ";")
            return
        self.blank(begin, self.at - 1, "exports['default']=")

    def _export_list(self, begin: int) -> None:
        names = self._listed()
        if self.skip("from"):
            source = f"require({self.look()})"
            made = "".join(f"exports[{name!r}]={source}.{what};" for what, name in names)
            self._replaced(begin, made)
            return
        self.exports += [f"exports[{name!r}]={what};" for what, name in names if self._is_used(what)]
        self.skip(";")
        self.blank(begin, self.at - 1, ";")


def _all_of(source: str) -> str:
    return f"(function(m){{for(var k in m)if(k!=='default')exports[k]=m[k]}})({source});"
