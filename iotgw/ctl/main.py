"""`iotgwctl`'s entry point: options, and the commands of `iotgw.ctl.commands` and of `iotgw.simulate`.

Exit codes: 0 done; 1 refused by the gateway, or a check that failed; 2 wrong usage; 3 gateway not reachable.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence
from typing import Any

from iotgw import __version__
from iotgw.core.errors import IotgwError
from iotgw.ctl import commands
from iotgw.ctl.client import DEFAULT_TOKEN_FILE, DEFAULT_URL, UNREACHABLE, CtlError
from iotgw.ctl.command import Commands, Context

FURTHER = ("iotgw.simulate.command", "iotgw.app.restore_command")
"""Modules beside `iotgw.ctl.commands` that bring commands."""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    shared = _shared(argparse.SUPPRESS)
    top = argparse.ArgumentParser(
        prog="iotgwctl", description="Looks after an iotgw gateway over its API.", parents=[_shared(None)]
    )
    top.add_argument("--version", action="version", version=f"iotgwctl {__version__}")
    registry = Commands(top.add_subparsers(dest="command", required=True, metavar="COMMAND"), shared)
    for module in _modules():
        module.add(registry)
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


def _modules() -> list[Any]:
    names = [f"{commands.__name__}.{found.name}" for found in pkgutil.iter_modules(commands.__path__)]
    modules = [importlib.import_module(name) for name in names]
    for name in FURTHER:
        try:
            modules.append(importlib.import_module(name))
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
    return modules


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = parser().parse_args(arguments)
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
