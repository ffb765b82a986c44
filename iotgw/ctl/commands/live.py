"""`iotgwctl search`, `series`, `watch`: find anything, figures over time, and what happens now."""

from __future__ import annotations

import json
import sys
from typing import Any

from iotgw.ctl.command import Commands, Context
from iotgw.ctl.table import moment, printable, table
from iotgw.ctl.times import EXPECTED, duration, moment_ms

COLUMNS = 6
"""Figures of a thing at most."""


def add(commands: Commands) -> None:
    """Add the commands."""
    search = commands.add("search", _search, "find anything by a part of its name, or by its id")
    search.add_argument("text")
    search.add_argument("--limit", type=int, default=20, help="how many of each kind (20)")
    series = commands.add("series", _series, "show how much there was, step by step")
    series.add_argument("name", nargs="?", help="of this datasource or integration")
    series.add_argument(
        "--kind", choices=("gateway", "datasource", "integration"), help="whose figures (gateway; datasource with a name)"
    )  # fmt: skip
    series.add_argument(
        "--step", type=duration, default=60, metavar="DURATION", help="of a step: 1s, 10s, 1m (the default), 10m, 1h, 1d"
    )  # fmt: skip
    series.add_argument(
        "--since", metavar="TIME", type=moment_ms, help=f"since then (the last 60 steps): {EXPECTED}"
    )
    watch = commands.add("watch", _watch, "show what happens now, as it comes, until Ctrl-C")
    watch.add_argument(
        "--topics", default="messages", help="of messages, events, stats, with commas between them (messages)"
    )
    watch.add_argument("--datasource", help="messages and events of this one")
    watch.add_argument("--device", help="messages and events of this one")
    watch.add_argument(
        "--state", choices=("converted", "filtered", "failed"), help="messages that have become this"
    )
    watch.add_argument(
        "--rate", type=int, default=50, help="events a second at most; what is more is counted (50)"
    )
    watch.add_argument("--lines", "-n", type=int, help="end after so many")


def _search(context: Context) -> None:
    options = context.options
    found = context.client.get("/search", q=options.text, limit=options.limit)
    rows = [(each["kind"], each["name"], each["detail"], each["id"]) for each in found["items"]]
    context.show(found, lambda _: table(("KIND", "NAME", "DETAIL", "ID"), rows))


def _series(context: Context) -> None:
    options = context.options
    kind = options.kind or ("datasource" if options.name else "gateway")
    found = context.client.get(
        "/series", kind=kind, name=options.name, step=int(options.step), since=options.since
    )
    context.show(found, lambda _: "\n\n".join(_figures(found, item) for item in found["items"]))


def _figures(found: dict[str, Any], item: dict[str, Any]) -> str:
    points = item["points"]
    names = list(points)[:COLUMNS]
    rows = [
        (
            moment(found["since"] + number * found["step"] * 1000),
            *("-" if each is None else each for each in row),
        )
        for number, row in enumerate(zip(*(points[name] for name in names), strict=True))
    ]
    return table((item["name"] or "gateway", *(name.upper() for name in names)), rows)


def _watch(context: Context) -> None:
    options = context.options
    given = {name: getattr(options, name) for name in ("topics", "datasource", "device", "state", "rate")}
    shown = 0
    for name, data in context.client.events("/stream", **given):
        if name == "hello":
            continue
        text = json.dumps({"event": name, **data}) if options.json else _line(name, data)
        print(text, flush=True)
        shown += 1
        if options.lines is not None and shown >= options.lines:
            return
    print("the gateway has closed the connection", file=sys.stderr)


def _line(name: str, data: dict[str, Any]) -> str:
    if name == "message":
        error = data["error"]["message"] if data["error"] else ""
        said = error or " ".join(data["devices"]) or data["head"]
        return printable(
            f"{moment(data['receivedAt'])}  {data['datasource']}  {data['state']}  {data['id']}  {said}"
        )
    if name == "event":
        return printable(
            f"{moment(data['ts'])}  {data['source']} {data['name']}  {data['type']}  {data['message']}"
        )
    if name == "gap":
        return f"… {'some' if data['missed'] is None else data['missed']} more were not shown"
    return printable(f"{name}: {json.dumps(data)}")
