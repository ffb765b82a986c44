"""`iotgwctl events`: what happened, newest first."""

from __future__ import annotations

from iotgw.ctl.command import Commands, Context
from iotgw.ctl.table import moment, table


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add("events", _events, "list what happened, newest first")
    parser.add_argument("--source", metavar="KIND", help="datasource, integration, device, …")
    parser.add_argument("--name")
    parser.add_argument("--type")
    parser.add_argument("--limit", type=int, default=20, help="how many (20)")


def _events(context: Context) -> None:
    options = context.options
    found = context.client.get(
        "/events", source=options.source, name=options.name, type=options.type, limit=options.limit
    )
    rows = [
        (moment(each["ts"]), each.get("severity", "info"), f"{each['source']} {each['name']}", each["type"],
         each["message"])
        for each in found["items"]
    ]  # fmt: skip
    context.show(found, lambda _: table(("WHEN", "SEVERITY", "WHERE", "WHAT", "MESSAGE"), rows))
