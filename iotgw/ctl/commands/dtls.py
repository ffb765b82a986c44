"""`iotgwctl dtls DATASOURCE`: who is connected over DTLS."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from iotgw.ctl.command import Commands, Context
from iotgw.ctl.gateway_names import named
from iotgw.ctl.table import table

HEAD = ("ID", "IDENTITY", "TYPE", "DEVICE", "FROM", "CIPHER", "AGE", "RECEIVED", "SENT")


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add("dtls", _dtls, "list the DTLS sessions of a datasource, or end one")
    parser.add_argument("datasource", complete=named("datasources"))
    parser.add_argument("--end", metavar="ID", help="end this session; the device may come again")
    parser.add_argument("--limit", type=int, default=100, help="how many (100)")


def _dtls(context: Context) -> None:
    options = context.options
    path = f"/datasources/{quote(options.datasource, safe='')}/sessions"
    if options.end is not None:
        context.client.call("DELETE", f"{path}/{quote(options.end, safe='')}")
        context.show({"ended": options.end}, lambda _: f"session {options.end} is ended")
        return
    found = context.client.get(path, limit=options.limit)
    context.show(found, lambda page: table(HEAD, [_row(each) for each in page["items"]]))


def _row(session: dict[str, Any]) -> tuple[Any, ...]:
    peer = f"{session.get('remoteIp', '')}:{session.get('remotePort', '')}"
    known = [session.get(key) for key in ("id", "identity", "identityType", "device")]
    return (*known, peer, *(session.get(key) for key in ("cipher", "age", "received", "sent")))
