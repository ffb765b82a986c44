"""`iotgwctl`'s entry point: options, and the commands of `iotgw.ctl.commands` and of `iotgw.simulate`.

Exit codes: 0 done; 1 refused by the gateway, or a check that failed; 2 wrong usage; 3 gateway not reachable.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from iotgw import __version__
from iotgw.core.errors import IotgwError
from iotgw.ctl import commands
from iotgw.ctl.command import Commands, shared
from iotgw.ctl.errors import USAGE, CtlError
from iotgw.ctl.parsing import COMPLETE, LazyGroup

IN_COMMANDS = {
    "completion": ("completion",),
    "converters": ("converter",),
    "editing": ("create", "disable", "edit", "enable", "replace", "set"),
    "raw": ("api", "inject", "wait-until"),
    "configuration": ("apply", "diff", "export"),
    "datasource": ("datasource",),
    "debug": ("debug",),
    "devices": ("device", "devices"),
    "downlinks": ("downlink", "downlinks"),
    "dtls": ("dtls",),
    "events": ("events",),
    "files": ("file", "files"),
    "history": ("failures", "telemetry"),
    "jobs": ("job", "jobs"),
    "live": ("search", "series", "watch"),
    "lwm2m": ("lwm2m",),
    "messages": ("message", "messages", "reprocess", "tail"),
    "nodes": ("drain", "nodes"),
    "presets": ("presets",),
    "queues": ("integration",),
    "resources": (
        "converters", "credentials", "datasources", "delete", "device-groups", "device-types", "hand-over", "integrations", "token", "tokens",
    ),
    "status": ("status",),
    "tenants": ("tenant", "tenants"),
    "trial": ("try",),
    "upkeep": ("resume",),
    "url": ("url",),
    "usage": ("usage",),
}  # fmt: skip
"""The modules of `iotgw.ctl.commands`, and which commands each brings."""
MODULES = {
    **{f"{commands.__name__}.{module}": names for module, names in IN_COMMANDS.items()},
    "iotgw.simulate.command": ("simulate",),
    "iotgw.app.backup_command": ("backup", "backups"),
    "iotgw.app.check_command": ("check",),
    "iotgw.app.init_command": ("init",),
    "iotgw.app.restore_command": ("restore",),
    "iotgw.app.store_command": ("store",),
}
"""All modules that bring commands. A module is imported only if one of its commands was typed, so that no command waits for
what another one needs."""


def command_line() -> click.Group:
    """The command line; a module is imported when one of its commands is looked at."""

    def add(module: Any, group: click.Group) -> None:
        module.add(Commands(group))

    version = click.Option(
        ["--version"], is_flag=True, expose_value=False, is_eager=True, callback=_version, help="the version"
    )
    return LazyGroup(
        "iotgwctl", help="Looks after an iotgw gateway over its API.", params=[version, *shared()],
        modules=MODULES, add=add, context_settings={"help_option_names": ["-h", "--help"]},
    )  # fmt: skip


def _version(ctx: click.Context, param: click.Parameter, is_wanted: bool) -> None:
    if is_wanted and not ctx.resilient_parsing:
        click.echo(f"iotgwctl {__version__}")
        ctx.exit()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    given = [*(sys.argv[1:] if arguments is None else arguments)]
    try:
        code = _run(given)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has enough; Python must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _run(given: list[str]) -> int:
    try:
        line = command_line()
        if COMPLETE in os.environ:
            try:
                line.main(given, "iotgwctl", complete_var=COMPLETE)
            except SystemExit as ended:
                return int(ended.code or 0)
        with line.make_context("iotgwctl", given) as context:
            return int(line.invoke(context) or 0)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return USAGE
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx is not None else "iotgwctl"
        print(f"iotgwctl: {error.format_message()} (`{path} --help` tells more)", file=sys.stderr)
        return USAGE
    except CtlError as error:
        print(f"iotgwctl: {error}", file=sys.stderr)
        return error.code
    except IotgwError as error:
        print(f"iotgwctl: {' '.join(str(error).split())}", file=sys.stderr)
        return USAGE
    except (KeyboardInterrupt, click.Abort):
        return 130


if __name__ == "__main__":
    sys.exit(main())
