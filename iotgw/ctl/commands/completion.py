"""`iotgwctl completion SHELL`: what a shell needs to complete its commands; and the names that are completed, which the gateway knows."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from iotgw.ctl.command import Commands, Context
from iotgw.ctl.parsing import COMPLETE

SHELLS = ("bash", "fish", "zsh")


def add(commands: Commands) -> None:
    """Add the command."""
    about = 'print what a shell needs to complete commands: eval "$(iotgwctl completion bash)"'
    parser = commands.add("completion", _completion, about)
    parser.add_argument("shell", choices=SHELLS)


def _completion(context: Context) -> None:
    found = get_completion_class(context.options.shell)
    assert found is not None
    script = found(click.Group("iotgwctl"), {}, "iotgwctl", COMPLETE).source()
    context.show({"script": script}, lambda shown: str(shown["script"]))
