"""`iotgwctl create`, `replace`, `set`, `edit`, `enable`, `disable`: single definitions, by hand."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
import msgspec
import tomli_w

from iotgw.core.references import References
from iotgw.ctl.client import USAGE, CtlError
from iotgw.ctl.command import Commands, Context
from iotgw.ctl.commands.resources import KINDS
from iotgw.ctl.gateway_names import named
from iotgw.ctl.parsing import CommandParameters
from iotgw.ctl.table import printable

EDITABLE = sorted(KINDS.keys() - {"token"})
SWITCHED = ("credential", "datasource", "integration")
_SHOWN = {
    "id",
    "tenant",
    "revision",
    "createdAt",
    "updatedAt",
    "status",
    "setup",
    "version",
    "versions",
    "detected",
}
_OF_DEVICES = {
    "datasource", "owner", "firstSeen", "lastSeen", "attributes", "telemetry", "health", "credentials", "downlinks",
}  # fmt: skip
"""What the gateway adds to what it shows."""
_FREE = ("converter", "datasource", "integration")
"""Kinds in which a null may be meant, somewhere within."""


def add(commands: Commands) -> None:
    """Add the commands."""
    file = "a file in TOML or JSON with its fields, or - for JSON from standard input"
    new = commands.add("create", _create, "create a definition or a device from a file")
    new.add_argument("kind", choices=EDITABLE)
    new.add_argument("file", help=file)
    instead = _one(commands, "replace", _replace, "replace a definition or a device by what a file says")
    instead.add_argument("file", help=file)
    change = _one(commands, "set", _set, "change fields of a definition or a device")
    about = "a field by its path, such as configuration.port=5684; the value as JSON, or a text; empty takes it away"
    change.add_argument("fields", nargs="*", metavar="FIELD=VALUE", help=about)
    _one(commands, "edit", _edit, "change a definition or a device in $EDITOR")
    for word, is_on in (("enable", True), ("disable", False)):
        about = f"{word} a datasource, an integration or a credential"
        _one(commands, word, _switch, about, SWITCHED).set_defaults(is_on=is_on)


def _one(commands: Commands, name: str, run: Any, about: str, kinds: Any = EDITABLE) -> CommandParameters:
    def names(ctx: click.Context, text: str) -> list[str]:
        return named(KINDS[ctx.params["kind"]])(ctx, text)

    parser = commands.add(name, run, about)
    parser.add_argument("kind", choices=kinds)
    parser.add_argument("name", complete=names)
    return parser


def _path(context: Context) -> str:
    options = context.options
    return f"/{KINDS[options.kind]}/{quote(options.name, safe='')}"


def _create(context: Context) -> None:
    kind = context.options.kind
    made = context.client.call("POST", f"/{KINDS[kind]}", _read(context.options.file))
    context.show(made, lambda made: f"{kind} {printable(made['name'])} is created{_more(made)}")


def _replace(context: Context) -> None:
    value = _read(context.options.file)
    _saved(context, context.client.call("PUT", _path(context), value))


def _set(context: Context) -> None:
    patch: dict[str, Any] = {}
    for pair in context.options.fields:
        place, sign, text = pair.partition("=")
        if not sign or not place:
            raise CtlError(f"expected FIELD=VALUE, got {pair!r}", USAGE)
        *above, field = place.split(".")
        into = patch
        for part in above:
            into = into.setdefault(part, {})
        into[field] = _value(text)
    if not patch:
        raise CtlError("expected FIELD=VALUE, got none", USAGE)
    _saved(context, context.client.call("PATCH", _path(context), patch))


def _value(text: str) -> Any:
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def _edit(context: Context) -> None:
    kind, path = context.options.kind, _path(context)
    shown = context.client.get(path)
    left_out = _SHOWN | (_OF_DEVICES if kind == "device" else set())
    before = {key: value for key, value in shown.items() if key not in left_out}
    text = _text(before if kind in _FREE else _without_nulls(before))
    suffix = ".json" if text.startswith("{") else ".toml"
    try:
        edited = click.edit(text, extension=suffix)
    except click.ClickException as error:
        raise CtlError(f"{error.format_message()} (EDITOR or VISUAL names another one)", USAGE) from error
    if edited is None or edited == text:
        context.show({"changed": False}, lambda _: "nothing was changed")
        return
    try:
        value = _parsed(edited, suffix == ".json")
        saved = context.client.call("PUT", path, value, {"If-Match": f'"{shown["revision"]}"'})
    except CtlError as error:
        kept = _kept(edited, suffix)
        raise CtlError(f"{error}; what you wrote is in {kept}", error.code, error.status) from error
    _saved(context, saved)


def _without_nulls(value: Any) -> Any:
    """Fields that are null are those that nobody has set."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _text(value: dict[str, Any]) -> str:
    try:
        return tomli_w.dumps(value, multiline_strings="\\r" not in json.dumps(value))
    except TypeError:  # a null somewhere within
        return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _kept(text: str, suffix: str) -> str:
    import tempfile  # noqa: PLC0415

    with tempfile.NamedTemporaryFile(
        "w", prefix="iotgwctl-edit-", suffix=suffix, delete=False, encoding="utf-8"
    ) as file:
        file.write(text)
    return file.name


def _switch(context: Context) -> None:
    kind, is_on = context.options.kind, context.options.is_on
    saved = context.client.call("PATCH", _path(context), {"enabled": is_on})
    word = "enabled" if is_on else "disabled"
    context.show(saved, lambda saved: f"{kind} {printable(saved['name'])} is {word}{_more(saved)}")


def _saved(context: Context, saved: dict[str, Any]) -> None:
    kind = context.options.kind
    context.show(
        saved,
        lambda saved: (
            f"{kind} {printable(saved['name'])} is saved (revision {saved['revision']}){_more(saved)}"
        ),
    )


def _more(saved: dict[str, Any]) -> str:
    """What its status has to say."""
    status = saved.get("status") or {}
    parts = [text for text in (status.get("error"), *status.get("warnings", ())) if text]
    return "".join(f"\nwarning: {printable(str(text))}" for text in parts)


def _read(file: str) -> Any:
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        text = raw.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise CtlError(f"{file}: {getattr(error, 'strerror', None) or 'expected UTF-8'}", USAGE) from error
    beside = Path(file).parent if file != "-" else Path()
    return References().resolved(_parsed(text, file == "-" or file.endswith(".json")), beside, file)


def _parsed(text: str, is_json: bool) -> Any:
    try:
        return msgspec.json.decode(text) if is_json else msgspec.toml.decode(text)
    except msgspec.DecodeError as error:
        raise CtlError(f"expected {'JSON' if is_json else 'TOML'}: {error}", USAGE) from error
