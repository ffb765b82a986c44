"""`iotgwctl resume`: go on after a restore."""

from __future__ import annotations

from typing import Any

from iotgw.ctl.command import Commands, Context
from iotgw.ctl.table import moment


def add(commands: Commands) -> None:
    """Add the command."""
    commands.add("resume", _resume, "end the pause after a restore: deliver, and send downlinks")


def _resume(context: Context) -> None:
    context.show(context.client.call("POST", "/resume"), _resumed)


def _resumed(answer: dict[str, Any]) -> str:
    was = answer["wasPaused"]
    if was is None:
        return "it was not paused"
    return f"deliveries and downlinks go on; paused since {moment(was['since'])}: {was['reason']}"
