"""`iotgwctl nodes` and `iotgwctl drain`: the gateways that work on one database."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

from iotgw.ctl.client import CtlError
from iotgw.ctl.command import Commands, Context
from iotgw.ctl.table import table

LOOK = 1.0
"""Seconds between two looks at a node that is waited for."""
HEAD = (
    "NODE",
    "STATE",
    "PARTITION",
    "HELD BY",
    "HEARD",
    "WAITING",
    "UNDELIVERED",
    "ADOPTED",
    "RUNS",
    "DELIVERS FOR ALL",
    "VERSION",
)


def add(commands: Commands) -> None:
    """Add the commands."""
    commands.add("nodes", _list, "list the gateways that work on one database, and how each does")
    drain = commands.add("drain", _drain, "have a node take no more messages, so that it can be stopped")
    drain.add_argument("node", metavar="NODE")
    how = drain.add_mutually_exclusive_group()
    how.add_argument("--end", action="store_true", help="have it take messages again")
    how.add_argument(
        "--wait", action="store_true", help="until nothing waits there; Ctrl-C leaves it draining"
    )


def _list(context: Context) -> None:
    context.show(
        context.client.get("/nodes"), lambda page: table(HEAD, [_row(each) for each in page["items"]])
    )


def _row(node: dict[str, Any]) -> tuple[Any, ...]:
    return (
        node["name"], node["state"], node["partition"], node["heldBy"] or "nobody", f"{node['heard']:.1f} s" if node["version"] else "never", node["waiting"],
        node["undelivered"], ", ".join(node["adopted"]), len(node["leases"]), ", ".join(node.get("delivers", [])), node["version"],
    )  # fmt: skip


def _drain(context: Context) -> None:
    options = context.options
    path = f"/nodes/{quote(options.node, safe='')}"
    node = context.client.call("POST", f"{path}/{'resume' if options.end else 'drain'}")
    while options.wait and node["state"] != "drained":
        if node["state"] in ("dead", "stopped"):
            raise CtlError(
                f"node {options.node} is {node['state']}: nothing leaves it until it starts again, or another node has adopted it"
            )
        time.sleep(LOOK)
        node = context.client.get(path)
    context.show(node, _said)


def _said(node: dict[str, Any]) -> str:
    if node["state"] == "up":
        return f"{node['name']} takes messages"
    return f"{node['name']} is {node['state']}: {node['waiting']} messages wait for conversions, {node['undelivered']} for integrations"
