"""Fills the settings tables of the documentation from the code: ``python -m iotgw.ctl.settings_tables docs``.

A table stands between ``<!-- settings: package.module:Struct -->`` and ``<!-- /settings -->``; it lists the
Struct's fields with their types, defaults and descriptions. Between ``<!-- table: package.module:function -->`` and ``<!-- /table -->`` stands
what that function returns.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import msgspec
from msgspec import NODEFAULT, inspect

_TABLE = re.compile(r"(<!-- settings: ([\w.]+):(\w+) -->\n).*?(<!-- /settings -->)", re.DOTALL)
_MADE = re.compile(r"(<!-- table: ([\w.]+):(\w+) -->\n).*?(<!-- /table -->)", re.DOTALL)


def filled(text: str) -> str:
    """A document with all its tables made anew. Raises ImportError or AttributeError for a wrong marker."""

    def table(match: re.Match[str]) -> str:
        struct = getattr(importlib.import_module(match[2]), match[3])
        return f"{match[1]}\n{settings_table(struct)}\n{match[4]}"

    def made(match: re.Match[str]) -> str:
        return f"{match[1]}\n{getattr(importlib.import_module(match[2]), match[3])()}\n{match[4]}"

    return _MADE.sub(made, _TABLE.sub(table, text))


def settings_table(struct: type[msgspec.Struct]) -> str:
    """The Markdown table of a settings Struct."""
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    rows = ["| setting | type | default | |", "|---|---|---|---|"]
    if info.tag_field is not None:
        rows.append(f"| `{info.tag_field}` | `{info.tag}` | | |")
    for field in info.fields:
        type_, description = _described(field.type)
        rows.append(f"| `{field.encode_name}` | {_words(type_)} | {_default(field)} | {_cell(description)} |")
    return "\n".join(rows)


def _described(type_: inspect.Type) -> tuple[inspect.Type, str]:
    description = ""
    while isinstance(type_, inspect.Metadata):
        schema = type_.extra_json_schema or {}
        description = description or schema.get("description", "")
        if schema.get("format") == "password":
            description = f"{description} Secret.".strip()
        type_ = type_.type
    return type_, description


def _words(type_: inspect.Type) -> str:
    """A type as users think of it."""
    type_, _ = _described(type_)
    if isinstance(type_, inspect.LiteralType):
        return ", ".join(f"`{value}`" for value in type_.values)
    if isinstance(type_, inspect.UnionType):
        return " or ".join(_words(each) for each in type_.types if not isinstance(each, inspect.NoneType))
    if isinstance(type_, inspect.DictType):
        return f"table of {_words(type_.value_type)}"
    if isinstance(type_, inspect.ListType | inspect.VarTupleType):
        return f"list of {_words(type_.item_type)}"
    if isinstance(type_, inspect.StructType):
        return f"`{type_.tag}`" if type_.tag is not None else "table"
    if isinstance(type_, inspect.IntType | inspect.FloatType):
        return _number(type_)
    return _PLAIN.get(type(type_), type(type_).__name__)


_PLAIN: dict[type, str] = {
    inspect.StrType: "text",
    inspect.BoolType: "true or false",
    inspect.AnyType: "anything",
}


def _number(type_: inspect.IntType | inspect.FloatType) -> str:
    name = "integer" if isinstance(type_, inspect.IntType) else "number"
    bounds = [
        f"{sign} {bound:g}" if isinstance(bound, float) else f"{sign} {bound}"
        for sign, bound in (("≥", type_.ge), (">", type_.gt), ("≤", type_.le), ("<", type_.lt))
        if bound is not None
    ]
    return " ".join([name, *bounds]) if bounds else name


def _default(field: inspect.Field) -> str:
    if field.default_factory is not NODEFAULT:
        value: Any = field.default_factory()
    elif field.default is NODEFAULT:
        return "required"
    else:
        value = field.default
    if isinstance(value, msgspec.Struct):
        info = inspect.type_info(type(value))
        return f"`{info.tag}`" if isinstance(info, inspect.StructType) and info.tag is not None else ""
    if value in (None, "", {}, []):
        return ""
    return f"`{value if isinstance(value, str) else msgspec.json.encode(value).decode()}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(folder: str) -> int:
    """Fill every document of a folder; returns the exit code."""
    for path in sorted(Path(folder).glob("**/*.md")):
        text = path.read_text("utf-8")
        made = filled(text)
        if made != text:
            path.write_text(made, "utf-8")
            print(f"{path}: tables made anew")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
