"""`iotgwctl`'s entry point: options, and the commands of `iotgw.ctl.commands` and of `iotgw.simulate`.

Exit codes: 0 done; 1 refused by the gateway, or a check that failed; 2 wrong usage; 3 gateway not reachable.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from iotgw import __version__
from iotgw.core.errors import IotgwError
from iotgw.ctl import commands
from iotgw.ctl.client import DEFAULT_TOKEN_FILE, DEFAULT_URL, UNREACHABLE, CtlError
from iotgw.ctl.command import Commands, Context

IN_COMMANDS = {
    "datasource": ("datasource",),
    "devices": ("device", "devices"),
    "downlinks": ("downlink", "downlinks"),
    "dtls": ("dtls",),
    "events": ("events",),
    "files": ("file", "files"),
    "history": ("failures", "telemetry"),
    "jobs": ("job", "jobs"),
    "lwm2m": ("lwm2m",),
    "messages": ("message", "messages", "reprocess", "tail"),
    "presets": ("presets",),
    "queues": ("integration",),
    "resources": (
        "apply", "converters", "credentials", "datasources", "delete", "device-groups", "device-types", "hand-over", "integrations", "token",
    ),
    "status": ("status",),
    "trial": ("try",),
    "upkeep": ("backup", "resume"),
    "url": ("url",),
}  # fmt: skip
"""The modules of `iotgw.ctl.commands`, and which commands each brings."""
MODULES = {
    **{f"{commands.__name__}.{module}": names for module, names in IN_COMMANDS.items()},
    "iotgw.simulate.command": ("simulate",),
    "iotgw.app.restore_command": ("restore",),
}
"""All modules that bring commands. A module is imported only if one of its commands was typed, so that no command waits for
what another one needs."""


def parser(arguments: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The command line, with the commands of the module that these arguments need; all, if they name no command."""
    shared = _shared(argparse.SUPPRESS)
    top = argparse.ArgumentParser(
        prog="iotgwctl", description="Looks after an iotgw gateway over its API.", parents=[_shared(None)]
    )
    top.add_argument("--version", action="version", version=f"iotgwctl {__version__}")
    registry = Commands(top.add_subparsers(dest="command", required=True, metavar="COMMAND"), shared)
    for module in _modules(arguments):
        importlib.import_module(module).add(registry)
    return top


def _shared(default: Any) -> argparse.ArgumentParser:
    """Options that may stand before the command and behind it. There they have no default, which would
    overwrite what was given before."""

    def otherwise(value: Any) -> Any:
        return value if default is None else default

    options = argparse.ArgumentParser(add_help=False)
    add = options.add_argument
    url = os.environ.get("IOTGW_URL", DEFAULT_URL)
    add("--url", default=otherwise(url), help=f"the gateway (IOTGW_URL, else {DEFAULT_URL})")
    token = f"file with the token (else IOTGW_TOKEN, else {DEFAULT_TOKEN_FILE})"
    add("--token-file", metavar="FILE", default=default, help=token)
    add("--ca-file", metavar="FILE", default=default, help="certificates to trust, for https")
    add("--timeout", type=float, metavar="S", default=otherwise(60.0), help="seconds to wait for an answer")
    add("--json", action="store_true", default=otherwise(False), help="print what the API answers")
    return options


def _modules(arguments: Sequence[str]) -> list[str]:
    """The module that brings the command which stands in these arguments; all, if none does."""
    options = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    for name in ("--url", "--token-file", "--ca-file", "--timeout"):
        options.add_argument(name)
    options.add_argument("--json", action="store_true")
    try:
        command, *_ = options.parse_known_args(arguments)[1]
    except (argparse.ArgumentError, SystemExit, ValueError):
        return list(MODULES)
    if command == "--version":
        return []
    return [module for module, names in MODULES.items() if command in names] or list(MODULES)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    options = parser(given).parse_args(given)
    try:
        code = options.run(Context(options))
    except CtlError as error:
        print(f"iotgwctl: {error}", file=sys.stderr)
        return error.code
    except IotgwError as error:
        print(f"iotgwctl: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output has enough; Python must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREACHABLE
    return code or 0


if __name__ == "__main__":
    sys.exit(main())
