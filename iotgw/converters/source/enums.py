"""TypeScript's ``enum`` as JavaScript: an object with names to values, and numbers to names."""

from __future__ import annotations

import json

from iotgw.converters.source.blanks import Blanks
from iotgw.converters.source.tokens import NAME, TEXT


def enum(reader: Blanks) -> None:
    """Replace the declaration that begins here; ``const enum`` is no other than ``enum``."""
    begin = reader.at
    reader.at += 2 if reader.look() == "const" else 1
    name = reader.look()
    reader.at += 1
    reader.expect("{")
    parts: list[str] = []
    known: list[str] = []
    while reader.look() != "}":
        member = reader.look()
        key = member[1:-1] if reader.kind() == TEXT else member
        reader.at += 1
        quoted = json.dumps(key)
        value, is_text = f"{name}[{json.dumps(known[-1])}]+1" if known else "0", False
        if reader.skip("="):
            value, is_text = _value(reader, name, known)
        parts.append(
            f"{name}[{quoted}]={value};" if is_text else f"{name}[{name}[{quoted}]={value}]={quoted};"
        )
        known.append(key)
        reader.skip(",")
    reader.at += 1
    reader.blank(
        begin, reader.at - 1, f"var {name};(function({name}){{{''.join(parts)}}})({name}||({name}={{}}));"
    )


def _value(reader: Blanks, name: str, known: list[str]) -> tuple[str, bool]:
    """A member's value, where members before it go by their names alone; and whether it is a text."""
    first = reader.at
    text, is_typed, plain = "", False, reader.found[reader.at].kind == TEXT
    while reader.look() not in (",", "}"):
        last = reader.found[reader.at].partner if reader.look() in ("(", "[", "{") else reader.at
        is_typed = is_typed or (reader.look() in ("as", "satisfies") and reader.at > first)
        if is_typed:
            reader.at = last + 1
            continue
        is_member = reader.kind() == NAME and reader.look() in known and reader.look(-1) != "."
        text += f"{name}.{reader.look()}" if is_member else reader.source(reader.at, last)
        text += " "
        plain = plain and reader.at == first
        reader.at = last + 1
    return text.strip(), plain
