"""`python -m iotgw.ctl.man DIR`: a manual page for each command of `iotgwctl`, as `man` shows them, made from the commands themselves."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from iotgw import __version__
from iotgw.ctl.main import command_line
from iotgw.ctl.parsing import OneCommand, Positional, Shared, option_records

EXIT = (
    ("0", "done"),
    ("1", "refused by the gateway, a check that failed, or files that differ"),
    ("2", "wrong usage"),
    ("3", "the gateway is not reachable"),
)
ENVIRONMENT = (
    ("IOTGW_URL", "the gateway, where no --url is given"),
    ("IOTGW_TOKEN", "the token, where no --token-file is given"),
    ("NO_COLOR", "nothing is coloured if it is set; nothing is anyway unless standard output is a terminal"),
)


def pages() -> Iterator[tuple[str, str]]:
    """Each page: its file's name and its text."""
    line = command_line()
    top = click.Context(line, info_name="iotgwctl")
    yield from _pages(line, top)


def _pages(command: click.Command, ctx: click.Context) -> Iterator[tuple[str, str]]:
    name = ctx.command_path.replace(" ", "-")
    yield f"{name}.1", _page(command, ctx, name)
    if isinstance(command, click.Group):
        for each in command.list_commands(ctx):
            below = command.get_command(ctx, each)
            assert below is not None
            yield from _pages(below, click.Context(below, info_name=each, parent=ctx))


def _page(command: click.Command, ctx: click.Context, name: str) -> str:
    about = command.help or ""
    lines = [
        f'.TH "{name.upper()}" 1 "" "iotgw {__version__}" "iotgw"',
        ".SH NAME", f"{_text(name)} \\- {_text(about)}",
        ".SH SYNOPSIS", f".B {_text(ctx.command_path)}", _text(" ".join(command.collect_usage_pieces(ctx))),
        ".SH DESCRIPTION", _text(about[:1].upper() + about[1:].rstrip(".")) + ".",
    ]  # fmt: skip
    params = [each for each in command.get_params(ctx) if not isinstance(each, Shared) or ctx.parent is None]
    arguments = [(each.make_metavar(ctx), each.help or "") for each in params if isinstance(each, Positional)]
    lines += _section("ARGUMENTS", arguments if any(text for _, text in arguments) else ())
    lines += _section("OPTIONS", option_records(params, ctx))
    if isinstance(command, click.Group):
        commands = [
            (f"{name}-{each}(1)", below.help or "")
            for each in command.list_commands(ctx)
            if (below := command.get_command(ctx, each)) is not None
        ]
        lines += _section("COMMANDS", commands)
    if ctx.parent is None:
        lines += _section("EXIT STATUS", EXIT) + _section("ENVIRONMENT", ENVIRONMENT)
    elif isinstance(command, OneCommand):
        lines += [".SH SEE ALSO", "iotgwctl(1) has the options of every command, and what exit codes mean."]
    return "\n".join(lines) + "\n"


def _section(title: str, entries: list[tuple[str, str]] | tuple[tuple[str, str], ...]) -> list[str]:
    lines = [f".SH {title}"] if entries else []
    for term, text in entries:
        lines += [".TP", f"\\fB{_text(term)}\\fR", _text(text)]
    return lines


def _text(text: str) -> str:
    """A text as roff takes it: no line of it is a request, and hyphens can be copied."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...").replace("→", "\\(->")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def main(arguments: list[str]) -> None:
    """Write all pages into a directory."""
    directory = Path(arguments[0])
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in pages():
        (directory / name).write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
