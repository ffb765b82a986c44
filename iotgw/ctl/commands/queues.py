"""`iotgwctl integration NAME ACTION`: look at an integration's queue and do something with it; or add one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

from iotgw.ctl.client import USAGE, ApiClient, CtlError
from iotgw.ctl.command import Commands, Context
from iotgw.ctl.commands.presets import add_integration
from iotgw.ctl.gateway_names import named
from iotgw.ctl.table import moment, printable, table
from iotgw.ctl.times import EXPECTED, moment_ms

LOOKS = 10
PAUSE = 0.5
"""How often, and how many seconds apart, the accounts are looked at after a retry."""
ACTIONS = {
    "stats": "its accounts",
    "check": "connect and authenticate, deliver nothing",
    "test": "send one message now, a sample or a stored one (--message), and show the exchange",
    "pause": "hold what comes",
    "resume": "go on",
    "drain": "try all that waits at once",
    "purge": "drop all that waits",
    "retry": "send all dead letters again, or those at --position",
    "seek": "send history again, from --since on",
    "dead-letters": "what was given up",
    "dismiss": "drop dead letters: all, or those of --position, --device, --before and --error",
}


def add(commands: Commands) -> None:
    """Add the command."""
    about = "; ".join(f"{name}: {what}" for name, what in ACTIONS.items())
    parser = commands.add(
        "integration", _integration, "look at an integration's queue, act on it, or add one"
    )
    parser.add_argument("name", complete=named("integrations"))
    parser.add_argument(
        "action", metavar="ACTION", help=f"{about}; with --preset: add ACTION, an integration"
    )
    new = parser.add_argument_group("integration add NAME: a new one")
    new.add_argument("--preset", metavar="PRESET", help="for this target, one of `iotgwctl presets`")
    new.add_argument("--answer", metavar="NAME=ANSWER", action="append", default=[], help="to what it asks")
    again = parser.add_argument_group("what to send again")
    again.add_argument(
        "--since", type=moment_ms, metavar="TIME", help=f"seek: received since then: {EXPECTED}"
    )
    only = parser.add_argument_group("which dead letters to dismiss or retry")
    only.add_argument("--position", type=int, metavar="N", help="the one at this position")
    only.add_argument("--device", metavar="NAME", help="those of this device")
    only.add_argument("--before", type=int, metavar="MS", help="those received before, ms since 1970")
    only.add_argument("--error", metavar="TEXT", help="those whose error contains this text")
    which = parser.add_argument_group("what to test with")
    which.add_argument("--message", metavar="ID", help="a stored message")
    which.add_argument("--output", type=int, metavar="N", help="which of its outputs, from 1")


def _integration(context: Context) -> int:
    action = context.options.action
    if context.options.preset is not None:
        if context.options.name != "add":
            raise CtlError("--preset is for `integration add NAME` only", USAGE)
        return add_integration(context, action)
    if action not in ACTIONS:
        raise CtlError(
            f"expected one of {', '.join(ACTIONS)}, or add NAME --preset PRESET, got {action!r}", USAGE
        )
    path = f"/integrations/{quote(context.options.name, safe='')}"
    which = {name: getattr(context.options, name) for name in ("position", "device", "before", "error")}
    given = {name: value for name, value in which.items() if value is not None}
    if given and action != "dismiss" and not (action == "retry" and [*given] == ["position"]):
        raise CtlError(f"--{next(iter(given))} is for dismiss only", USAGE)
    if (action == "seek") != (context.options.since is not None):
        raise CtlError("seek: expected --since, which is for seek only", USAGE)
    chosen = {
        name: value for name in ("message", "output") if (value := getattr(context.options, name)) is not None
    }
    if chosen and action != "test":
        raise CtlError(f"--{next(iter(chosen))} is for test only", USAGE)
    if action == "dismiss":
        result = _dismiss(context, f"{path}/dead-letters", given)
    elif action == "test":
        result = context.client.call("POST", f"{path}/test", chosen)
    elif action in DONE:
        return _act(context, path, action, given)
    else:
        method = "GET" if action in ("stats", "dead-letters") else "POST"
        result = context.client.call(method, f"{path}/{action}")
    context.show(
        result, {"dead-letters": _letters, "test": _exchanges, "dismiss": _dismissed}.get(action, _facts)
    )
    return 1 if result.get("ok") is False else 0


def _act(context: Context, path: str, action: str, given: dict[str, Any]) -> int:
    """Do something with a queue, and say what came of it."""
    client, name = context.client, context.options.name
    before = client.get(f"{path}/stats")
    body = None
    if action == "retry":
        body = {"positions": [given["position"]]} if given else None
    elif action == "seek":
        body = {"since": context.options.since}
    after = client.call("POST", f"{path}/{action}", body)
    if action == "retry":
        after = settled(client, f"{path}/stats", after)
    count = len(given) or before.get("dead") or 0
    context.show(after, lambda after: DONE[action](printable(name), before, after, count))
    return 0


def settled(
    client: ApiClient, path: str, stats: dict[str, Any], sleep: Callable[[float], object] = time.sleep
) -> dict[str, Any]:
    """The accounts when nothing is on its way any more, or after a while."""
    for _ in range(LOOKS):
        if not _waiting(stats):
            break
        sleep(PAUSE)
        stats = client.get(path)
    return stats


def _waiting(stats: dict[str, Any]) -> int:
    return (stats.get("waiting") or 0) + (stats.get("inflight") or 0)


def _retried(name: str, before: dict[str, Any], after: dict[str, Any], count: int) -> str:
    kept = (before.get("dead") or 0) - count
    refused = max(0, (after.get("dead") or 0) - kept)
    wait = f"; {_waiting(after)} wait" if _waiting(after) else ""
    return f"{count} dead letters sent again; {refused} refused{wait}"


def _purged(name: str, before: dict[str, Any], after: dict[str, Any], count: int) -> str:
    return f"{max(0, _waiting(before) - _waiting(after))} messages for {name} are dropped"


def _state(text: str) -> Callable[[str, dict[str, Any], dict[str, Any], int], str]:
    return lambda name, before, after, count: f"{text.format(name=name)}; {_waiting(after)} messages wait"


DONE: dict[str, Callable[[str, dict[str, Any], dict[str, Any], int], str]] = {
    "retry": _retried,
    "purge": _purged,
    "pause": _state("{name} is paused"),
    "resume": _state("{name} goes on"),
    "drain": _state("all that waits for {name} is tried at once"),
    "seek": _state("{name} gets its history again"),
}
"""What is said of an action: by the integration's name, its accounts before and after it, and how many dead letters it is about."""


def _dismissed(result: dict[str, Any]) -> str:
    return f"{result['dismissed']} dead letters are dropped"


def _dismiss(context: Context, path: str, which: dict[str, Any]) -> Any:
    if "position" not in which:
        return context.client.call("DELETE", path + (f"?{urlencode(which)}" if which else ""))
    if len(which) > 1:
        raise CtlError("--position names one dead letter: nothing else goes with it", USAGE)
    return context.client.call("DELETE", f"{path}/{which['position']}")


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


def _exchanges(result: dict[str, Any]) -> list[str]:
    """What was sent and what came back, line by line."""
    exchanges = result.get("exchanges", [])
    lines = [_facts({name: value for name, value in result.items() if name != "exchanges"})]
    for number, each in enumerate(exchanges, 1):
        which = f" {number} of {len(exchanges)}" if len(exchanges) > 1 else ""
        for title in ("request", "answer"):
            lines += ["", f"--- {title}{which}", *(printable(line) for line in each[title].splitlines())]
    return lines


def _facts(facts: dict[str, Any]) -> str:
    shown = {
        key: moment(value) if key.endswith("At") else value
        for key, value in facts.items()
        if value not in (None, {}, "", [])
    }
    return table(
        ("WHAT", ""),
        [(key, _words(value)) for key, value in shown.items()],
    )


def _words(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return "; ".join(value)
    return json.dumps(value) if isinstance(value, (dict, list)) else value
