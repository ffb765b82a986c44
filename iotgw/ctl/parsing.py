"""The command line of `iotgwctl` on click: commands that are described by calls, in the words that Python's own parser has for it.

click parses, completes, and knows what was meant. What it lacks is here: options that stand before a command or behind it, arguments with a
help text, sections, options of which one is needed, and a module's import put off until one of its commands was typed.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

COMPLETE = "_IOTGWCTL_COMPLETE"
"""The variable by which a shell asks for completions."""
Names = Callable[[click.Context, str], list[str]]
"""``names(context, text)``: what may be completed to, where a text was typed."""


class CallableType(click.ParamType[Any]):
    """A type that is a function of a text, which raises ValueError."""

    def __init__(self, function: Callable[[str], Any]) -> None:
        self._function = function
        self.name = getattr(function, "__name__", "value")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType.convert`."""
        if not isinstance(value, str):
            return value
        try:
            return self._function(value)
        except ValueError as error:
            self.fail(str(error) or f"expected another value, got {value!r}", param, ctx)


class Positional(click.Argument):
    """An argument with a help text."""

    def __init__(self, *args: Any, help: str = "", **more: Any) -> None:
        super().__init__(*args, **more)
        self.help = help

    def make_metavar(self, ctx: click.Context) -> str:
        """As a person sees it."""
        name = self.metavar or (self.name or "").upper()
        if isinstance(self.type, click.Choice) and not self.metavar:
            name = f"{{{'|'.join(map(str, self.type.choices))}}}"
        if self.nargs == -1:
            return f"[{name}…]"
        return name if self.required else f"[{name}]"


class OneCommand(click.Command):
    """A command. ``sections`` are the parameters that stand together in its help, by title; of each set of ``exclusive`` one at most is given, or
    exactly one."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.sections: dict[str, list[click.Parameter]] = {}
        self.exclusive: list[tuple[list[click.Parameter], bool]] = []

    def format_arguments(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Nothing: click writes arguments itself from 8.5 on, and `format_options` did before."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Arguments, options, and sections."""
        placed = {id(each) for some in self.sections.values() for each in some}
        rest = [each for each in self.get_params(ctx) if id(each) not in placed]
        arguments = [
            (each.make_metavar(ctx), each.help or "") for each in rest if isinstance(each, Positional)
        ]
        if any(text for _, text in arguments):
            with formatter.section("Arguments"):
                formatter.write_dl(arguments)
        parts = [("Options", [each for each in rest if not isinstance(each, Shared)]), *self.sections.items()]
        parts.append(("Of every command", [each for each in rest if isinstance(each, Shared)]))
        for title, some in parts:
            records = option_records(some, ctx)
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def invoke(self, ctx: click.Context) -> Any:
        """Run it, if what was given goes together."""
        for params, is_needed in self.exclusive:
            given = [each for each in params if _is_given(ctx, each)]
            names = ", ".join(each.opts[0] for each in params)
            if len(given) > 1:
                raise click.UsageError(f"{given[1].opts[0]} does not go with {given[0].opts[0]}", ctx)
            if is_needed and not given:
                raise click.UsageError(f"expected one of {names}", ctx)
        return super().invoke(ctx)


class Shared(click.Option):
    """An option that may stand before the command or behind it."""


class Place:
    """Where parameters are added to a command: among its options, in a section, or among those that exclude each other."""

    def __init__(self, command: CommandParameters, into: list[click.Parameter] | None = None) -> None:
        self._command = command
        self._into = into

    def add_argument(self, *names: str, **more: Any) -> None:
        """See `CommandParameters.add_argument`."""
        param = self._command.add_argument(*names, **more)
        if self._into is not None:
            self._into.append(param)


class CommandParameters:
    """A command that is being described. ``run(options)`` is called with what was given."""

    def __init__(
        self,
        click_command: OneCommand,
        group: click.Group,
        make: Callable[[str, str, Mapping[str, Any]], OneCommand],
    ) -> None:
        self._command = click_command
        self._group = group
        self._make = make
        self._defaults: dict[str, Any] = click_command.context_settings.setdefault("obj", {})

    def add_argument(
        self, *names: str, type: Any = None, default: Any = None, help: str = "", metavar: str | None = None,
        choices: Collection[str] | None = None, nargs: str | None = None, action: str = "", required: bool = False,
        complete: Names | None = None, dest: str = "",
    ) -> click.Parameter:  # fmt: skip
        """An option if its first name begins with a hyphen, else an argument; ``dest`` is what it is called among what was given. ``nargs`` is ``?`` (may be missing), ``*`` (any number) or ``+`` (one or more);
        ``action`` is ``store_true`` or ``append``; ``complete`` finds what may be typed."""
        kind = _kind(type, choices)
        long = names[1] if len(names) > 1 and names[1].startswith("--") else names[0]
        dest = dest or long.strip("-").replace("-", "_")
        more: dict[str, Any] = {"metavar": metavar, "type": kind}
        if choices is not None and default not in (None, *choices):
            self._defaults[dest] = default  # none of them, which stands for none
        elif default is not None and action != "append":
            more["default"] = default
        if complete is not None:
            more["shell_complete"] = lambda ctx, param, text: complete(ctx, text)
        if not names[0].startswith("-"):
            if nargs in ("*", "+"):
                more["nargs"] = -1
            is_needed = nargs in (None, "+")
            param: click.Parameter = Positional([dest], required=is_needed, help=help, **more)
        elif action == "store_true":
            param = click.Option([*names, dest], is_flag=True, default=False, help=help)
        else:
            is_many = action == "append"
            param = click.Option([*names, dest], help=help, required=required, multiple=is_many, **more)
        taken = {name for each in self._command.params if isinstance(each, Shared) for name in each.opts}
        if taken & set(param.opts):  # a command's own word is meant
            self._command.params = [
                each
                for each in self._command.params
                if not (isinstance(each, Shared) and set(each.opts) & set(param.opts))
            ]
        self._command.params.insert(
            len([each for each in self._command.params if not isinstance(each, Shared)]), param
        )
        return param

    def set_defaults(self, **values: Any) -> None:
        """Options that nobody types."""
        self._defaults.update(values)

    def add_argument_group(self, title: str) -> Place:
        """A section of the help."""
        return Place(self, self._command.sections.setdefault(title, []))

    def add_mutually_exclusive_group(self, required: bool = False) -> Place:
        """Options of which at most one is given, or exactly one."""
        params: list[click.Parameter] = []
        self._command.exclusive.append((params, required))
        return Place(self, params)

    def add_subparsers(self, dest: str, **more: Any) -> Actions:
        """Make it a group of commands, which call the same function: ``options.<dest>`` is the name of the one that was typed."""
        name = self._command.name or ""
        group = OneGroup(name, help=self._command.help, short_help=self._command.short_help)
        self._group.add_command(group)
        return Actions(group, dest, self._defaults, self._make)


class Actions:
    """The commands of a command."""

    def __init__(
        self,
        group: click.Group,
        dest: str,
        defaults: Mapping[str, Any],
        make: Callable[[str, str, Mapping[str, Any]], OneCommand],
    ) -> None:
        self._group, self._dest, self._defaults, self._make = group, dest, defaults, make

    def add_parser(self, name: str, help: str = "") -> CommandParameters:
        """One of them."""
        command = self._make(name, help, {**self._defaults, self._dest: name})
        self._group.add_command(command)
        return CommandParameters(command, self._group, self._make)


class OneGroup(click.Group):
    """A group that knows what was meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See `click.Group.resolve_command`."""
        name = args[0]
        if self.get_command(ctx, name) is None:
            near = difflib.get_close_matches(name, self.list_commands(ctx), 3, 0.6)
            meant = f"; did you mean {' or '.join(repr(each) for each in near)}?" if near else ""
            raise click.UsageError(f"no such command {name!r}{meant}", ctx)
        return super().resolve_command(ctx, args)


class LazyGroup(OneGroup):
    """A group whose commands are in modules. ``modules`` are which commands each has; ``add(module)`` has a module's commands added to this
    group."""

    def __init__(self, *args: Any, modules: Mapping[str, Sequence[str]], add: Callable[[Any, click.Group], None], **more: Any) -> None:  # fmt: skip
        super().__init__(*args, **more)
        self._modules = modules
        self._add = add

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All, by name, without importing any."""
        return sorted(name for names in self._modules.values() for name in names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One, with the other commands of its module."""
        for module, names in self._modules.items():
            if cmd_name in names and cmd_name not in self.commands:
                self._add(importlib.import_module(module), self)
        return super().get_command(ctx, cmd_name)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names of commands without importing them."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [CompletionItem(name) for name in self.list_commands(ctx) if name.startswith(incomplete)]


def option_records(params: Iterable[click.Parameter], ctx: click.Context) -> list[tuple[str, str]]:
    """The options among these, as a help has them: how each is typed, and what it says."""
    options = (each for each in params if isinstance(each, click.Option))
    return [found for each in options if (found := each.get_help_record(ctx)) is not None]


def given(ctx: click.Context, defaults: Mapping[str, Any]) -> SimpleNamespace:
    """The options of a command and of the groups above it. A shared one that stands behind the command outranks one before it.
    ``defaults`` are those of shared options."""
    found = dict(defaults)
    chain: list[click.Context] = []
    above: click.Context | None = ctx
    while above is not None:
        chain.insert(0, above)
        above = above.parent
    for each in chain:
        for param in each.command.params:
            name = param.name or ""
            if not isinstance(param, Shared) or _is_given(each, param):
                value = each.params.get(name)
                if value is None and name in defaults:
                    continue
                found[name] = list(value) if isinstance(value, tuple) else value
    return SimpleNamespace(**found)


def _is_given(ctx: click.Context, param: click.Parameter) -> bool:
    return ctx.get_parameter_source(param.name or "") not in (
        None,
        ParameterSource.DEFAULT,
        ParameterSource.DEFAULT_MAP,
    )


def _kind(type_: Any, choices: Iterable[str] | None) -> click.ParamType[Any] | None:
    if choices is not None:
        return click.Choice([*choices])
    if type_ is int:
        return click.INT
    if type_ is float:
        return click.FLOAT
    return CallableType(type_) if type_ is not None else None
