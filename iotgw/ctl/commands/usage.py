"""`iotgwctl usage`: what was received, converted and delivered, by hour or by day."""

from __future__ import annotations

import csv
import sys
from typing import Any

from iotgw.ctl.command import Commands, Context
from iotgw.ctl.table import moment, table
from iotgw.ctl.times import EXPECTED, moment_ms

PER = ("tenant", "datasource", "integration", "converter", "device")
PAGE = 1000
COLUMNS = {
    "messages": "MESSAGES", "bytes": "BYTES", "errors": "ERRORS", "refused": "REFUSED", "deliveries": "DELIVERIES", "cpu": "CPU S",
}  # fmt: skip
COUNTED = {
    "tenant": tuple(COLUMNS),
    "datasource": ("messages", "bytes", "errors", "refused"),
    "integration": ("deliveries", "bytes", "errors"),
    "converter": ("messages", "errors", "cpu"),
    "device": ("messages", "bytes"),
}
"""What counts for each kind."""


def add(commands: Commands) -> None:
    """Add the command."""
    usage = commands.add("usage", _usage, "what was received, converted and delivered, by hour or by day")
    usage.add_argument("name", nargs="?", help="only this one")
    usage.add_argument("--per", choices=PER, default="datasource", help="what each row is about (datasource)")
    usage.add_argument(
        "--every",
        choices=("hour", "day", "all"),
        default="all",
        help="a row for each, or one for all of the time (all)",
    )
    usage.add_argument(
        "--since",
        metavar="TIME",
        type=moment_ms,
        default=moment_ms("today"),
        help=f"since then (today): {EXPECTED}",
    )
    usage.add_argument("--until", metavar="TIME", type=moment_ms, help="before then")
    usage.add_argument(
        "--csv", action="store_true", help="comma-separated values, to be read by other programs"
    )


def _usage(context: Context) -> None:
    options = context.options
    items: list[dict[str, Any]] = []
    after = 0
    while after is not None:
        page = context.client.get(
            "/usage", per=options.per, every=options.every, since=options.since, until=options.until, name=options.name,
            limit=PAGE, after=after,
        )  # fmt: skip
        items += page["items"]
        after = page["next"]
    if options.csv and not options.json:
        rows = csv.DictWriter(sys.stdout, ["at", "tenant", "id", "name", *COLUMNS], lineterminator="\n")
        rows.writeheader()
        rows.writerows(items)
        return
    context.show({"items": items}, lambda _: _table(options, items))


def _table(options: Any, items: list[dict[str, Any]]) -> str:
    counted = COUNTED[options.per]
    has_time = options.every != "all"
    head = [*(["TIME"] if has_time else []), "NAME", *(COLUMNS[name] for name in counted)]
    rows = [
        [
            *([moment(item["at"])] if has_time else []),
            item["name"] or "(others)",
            *(_number(item[name]) for name in counted),
        ]
        for item in items
    ]
    return table(head, rows)


def _number(value: float) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
