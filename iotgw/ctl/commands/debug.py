"""`iotgwctl debug`: keep everything of a datasource, converter, integration or device for a while."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from iotgw.ctl.client import CtlError
from iotgw.ctl.command import Commands, Context
from iotgw.ctl.table import moment, payload, printable, table
from iotgw.ctl.times import duration

KINDS = ("datasource", "converter", "integration", "device")
HEAD = ("KIND", "NAME", "UNTIL", "MESSAGES LEFT", "BY")


def add(commands: Commands) -> None:
    """Add the command."""
    debug = commands.add(
        "debug", _debug, "keep everything of a thing for a while, or list of what it is kept"
    )
    debug.add_argument("name", nargs="?")
    debug.add_argument("--kind", choices=KINDS, help="which, where several have the name")
    debug.add_argument("--for", dest="seconds", type=duration, metavar="TIME", help="how long (15m)")
    debug.add_argument("--count", type=int, metavar="N", help="until so many messages were kept")
    debug.add_argument("--off", action="store_true", help="end it")


def _debug(context: Context) -> None:
    options, client = context.options, context.client
    if options.name is None:
        found = client.get("/debug")
        context.show(found, lambda page: table(HEAD, [_row(each) for each in page["items"]]))
    elif options.off:
        on = [each for each in client.get("/debug")["items"] if _is_meant(options, each)]
        if not on:
            raise CtlError(f"nothing called {options.name!r} is debugged")
        for each in on:
            client.call("DELETE", f"/debug/{quote(each['id'], safe='')}")
        context.show(on, lambda _: f"{printable(options.name)} is debugged no longer")
    else:
        asked = {name: getattr(options, name) for name in ("name", "kind", "seconds", "count")}
        said = {name: value for name, value in asked.items() if value is not None}
        context.show(client.call("POST", "/debug", said), _begun)


def _is_meant(options: Any, each: dict[str, Any]) -> bool:
    return options.name in (each["name"], each["target"]) and options.kind in (None, each["kind"])


def _row(each: dict[str, Any]) -> tuple[Any, ...]:
    left = "" if each["left"] is None else str(each["left"])
    return (each["kind"], each["name"], moment(each["until"]), left, each["by"])


def _begun(switch: dict[str, Any]) -> str:
    bound = f", or {switch['left']} messages" if switch["left"] is not None else ""
    name = printable(switch["name"])
    return f"everything of {switch['kind']} {name} is kept until {moment(switch['until'])}{bound}"


def entries_text(items: list[dict[str, Any]]) -> str:
    """What was kept of a message, as text."""
    if not items:
        return "nothing was kept of it: debug its datasource, converter, integration or device, and have it sent or converted again"
    return "\n\n".join(_entry(each["at"], each["stage"], each["said"]) for each in items)


def _entry(at: int, stage: str, said: dict[str, Any]) -> str:
    if stage == "delivery":
        lines = [f"{moment(at)}  delivery to {said['integration']}", *_lines("request", said["request"])]
        return "\n".join([*lines, *_lines("answer", said["answer"])])
    lines = [
        f"{moment(at)}  conversion by {said['converter']} version {said['version']}, from {said['datasource']}"
    ]
    lines += _lines("payload", payload(said["payload"]))
    for name in ("metadata", "outputs", "logs", "warnings", "error", "reply"):
        if said.get(name):
            values = said[name] if isinstance(said[name], list) else [said[name]]
            lines += [line for value in values for line in _lines(name, value)]
    return "\n".join(lines)


def _lines(name: str, value: Any) -> list[str]:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    first, *others = [printable(line) for line in text.splitlines()] or [""]
    return [f"  {name + ':':10}{first}", *(f"{'':12}{line}" for line in others)]
