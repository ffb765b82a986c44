"""What a command of `iotgwctl` is given, and where it is added."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

from iotgw.ctl.client import ApiClient, find_token


class Context:
    """What a command gets: its options, and the client on demand."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self._client: ApiClient | None = None

    @property
    def client(self) -> ApiClient:
        """The API."""
        if self._client is None:
            options = self.options
            self._client = ApiClient(
                options.url, find_token(options.token_file), options.timeout, options.ca_file
            )
        return self._client

    def show(self, value: Any, text: Callable[[Any], str]) -> None:
        """Print a value: as JSON with ``--json``, else as ``text(value)``."""
        if self.options.json:
            print(json.dumps(value, indent=2, ensure_ascii=False), flush=True)
        else:
            print(text(value), flush=True)


Run = Callable[[Context], int | None]


class Commands:
    """Where a module adds its commands, in its function ``add(commands)``."""

    def __init__(
        self, parsers: argparse._SubParsersAction[argparse.ArgumentParser], shared: argparse.ArgumentParser
    ) -> None:
        self._parsers = parsers
        self._shared = shared

    def add(self, name: str, run: Run, about: str) -> argparse.ArgumentParser:
        """A command: ``run(context)`` returns its exit code (None for 0). Returns its parser, for options."""
        parser = self._parsers.add_parser(name, help=about, description=about, parents=[self._shared])
        parser.set_defaults(run=run)
        return parser

    def group(self, name: str, about: str) -> Commands:
        """A command with commands of its own, which are added to what this returns."""
        parser = self._parsers.add_parser(name, help=about, description=about)
        below = parser.add_subparsers(dest=f"{name}_command", required=True, metavar="COMMAND")
        return Commands(below, self._shared)
