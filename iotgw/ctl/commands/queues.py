"""`iotgwctl integration NAME ACTION`: look at an integration's queue and do something with it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from iotgw.ctl.command import Commands, Context
from iotgw.ctl.table import moment, table

ACTIONS = {
    "stats": "its accounts",
    "check": "connect and authenticate, deliver nothing",
    "test": "send one message now",
    "pause": "hold what comes",
    "resume": "go on",
    "drain": "try all that waits at once",
    "purge": "drop all that waits",
    "retry": "try all dead letters again",
    "dead-letters": "what was given up",
}


def add(commands: Commands) -> None:
    """Add the command."""
    about = "; ".join(f"{name}: {what}" for name, what in ACTIONS.items())
    parser = commands.add("integration", _integration, "look at an integration's queue, or act on it")
    parser.add_argument("name")
    parser.add_argument("action", choices=ACTIONS, metavar="ACTION", help=about)


def _integration(context: Context) -> int:
    action = context.options.action
    path = f"/integrations/{quote(context.options.name, safe='')}/{action}"
    method = "GET" if action in ("stats", "dead-letters") else "POST"
    result = context.client.call(method, path)
    context.show(result, _letters if action == "dead-letters" else _facts)
    return 1 if result.get("ok") is False else 0


def _letters(page: dict[str, Any]) -> str:
    rows = [
        (
            each["position"],
            each["id"],
            each["device"],
            moment(each["receivedAt"]),
            each["attempts"],
            each["error"],
        )
        for each in page["items"]
    ]
    return table(("POSITION", "MESSAGE", "DEVICE", "RECEIVED", "ATTEMPTS", "ERROR"), rows)


def _facts(facts: dict[str, Any]) -> str:
    shown = {
        key: moment(value) if key.endswith("At") else value
        for key, value in facts.items()
        if value not in (None, {}, "")
    }
    return table(
        ("WHAT", ""),
        [(key, json.dumps(value) if isinstance(value, dict) else value) for key, value in shown.items()],
    )
