"""What a command of `iotgwctl` is given, and where it is added."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from iotgw.ctl.defaults import DEFAULT_TOKEN_FILE, DEFAULT_URL
from iotgw.ctl.parsing import CommandParameters, OneCommand, OneGroup, Shared, given

if TYPE_CHECKING:
    from iotgw.ctl.client import ApiClient


class Context:
    """What a command gets: its options, and the client on demand."""

    def __init__(self, options: Any) -> None:
        self.options = options
        options.json = options.json or options.form == "json"
        self._client: ApiClient | None = None

    @property
    def client(self) -> ApiClient:
        """The API."""
        if self._client is None:
            from iotgw.ctl.client import ApiClient, find_token  # noqa: PLC0415  # HTTP and TLS take a while

            options = self.options
            self._client = ApiClient(
                options.url, find_token(options.token_file), options.timeout, options.ca_file, options.tenant
            )
        return self._client

    def show(self, value: Any, text: Callable[[Any], str | Sequence[str]]) -> None:
        """Print a value: as JSON, else as ``text(value)``, a text or several of them one below the other. As CSV, only the tables of these
        are printed; raises CtlError where there is none."""
        if self.options.json:
            import json  # noqa: PLC0415

            print(json.dumps(value, indent=2, ensure_ascii=False), flush=True)
            return
        made = text(value)
        parts = [made] if isinstance(made, str) else [*made]
        if self.options.form == "csv":
            from iotgw.ctl.csv_form import as_csv  # noqa: PLC0415

            parts = [as_csv(parts)]
        print("\n".join(parts), flush=True)


Run = Callable[[Context], int | None]


class Commands:
    """Where a module adds its commands, in its function ``add(commands)``."""

    def __init__(self, group: click.Group) -> None:
        self._group = group

    def add(self, name: str, run: Run, about: str) -> CommandParameters:
        """A command: ``run(context)`` returns its exit code (None for 0). Returns what takes its options."""

        def make(name: str, about: str, defaults: Mapping[str, Any]) -> OneCommand:
            command = OneCommand(
                name,
                help=about,
                short_help=about,
                params=[*shared()],
                context_settings={"obj": dict(defaults)},
            )

            def callback(**_: Any) -> int:
                ctx = click.get_current_context()
                return run(Context(given(ctx, {**shared_defaults(), **(ctx.obj or {})}))) or 0

            command.callback = callback
            return command

        command = make(name, about, {})
        self._group.add_command(command)
        return CommandParameters(command, self._group, make)

    def group(self, name: str, about: str) -> Commands:
        """A command with commands of its own, which are added to what this returns."""
        below = OneGroup(name, help=about, short_help=about)
        self._group.add_command(below)
        return Commands(below)


def shared() -> list[Shared]:
    """The options of every command. They have no default here, so that one behind the command doesn't take back what stands before it."""
    token = f"file with the token (else IOTGW_TOKEN, else {DEFAULT_TOKEN_FILE})"
    return [
        Shared(["--url"], help=f"the gateway (IOTGW_URL, else {DEFAULT_URL})"),
        Shared(["--token-file"], metavar="FILE", help=token),
        Shared(["--ca-file"], metavar="FILE", help="certificates to trust, for https"),
        Shared(["--tenant"], metavar="NAME", help="about this tenant, with a token of all tenants (default)"),
        Shared(["--timeout"], type=float, metavar="S", help="seconds to wait for an answer"),
        Shared(["--json"], is_flag=True, default=None, help="print what the API answers; as --output json"),
        Shared(
            ["--output", "form"],
            type=click.Choice(["table", "json", "csv"]),
            help="how it is printed: for people, or for programs (table)",
        ),
        Shared(
            ["--utc"],
            is_flag=True,
            default=None,
            is_eager=True,
            callback=_utc,
            help="times in UTC, not in your zone",
        ),
    ]


def shared_defaults() -> dict[str, Any]:
    """What they are where nobody says them."""
    url = os.environ.get("IOTGW_URL", DEFAULT_URL)
    return {
        "url": url, "token_file": None, "ca_file": None, "tenant": None, "timeout": 60.0, "json": False, "form": "table", "utc": False,
    }  # fmt: skip


def _utc(ctx: click.Context, param: click.Parameter, is_wanted: bool | None) -> bool | None:
    """Before any other option is read: times that people type are meant like those that they see."""
    if is_wanted:
        os.environ["TZ"] = "UTC"
        time.tzset()
    return is_wanted
