"""`iotgwctl inject`, `wait-until` and `api`: an uplink by hand, waiting for a state, and any operation of the API as it is."""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from iotgw.ctl.client import REFUSED, UNREACHABLE, USAGE, ApiClient, CtlError
from iotgw.ctl.command import Commands, Context
from iotgw.ctl.gateway_names import named
from iotgw.ctl.table import printable, table
from iotgw.ctl.times import duration

PAUSE = 0.5
"""Seconds between two looks."""
STATES = {
    "ready": "uplinks are taken",
    "converted": "every message that came in is converted",
    "delivered": "nothing waits for any integration (or for --integration)",
}


def add(commands: Commands) -> None:
    """Add the commands."""
    inject = commands.add(
        "inject", _inject, "send an uplink through a datasource by hand, marked as simulated"
    )
    inject.add_argument("datasource", complete=named("datasources"))
    given = inject.add_mutually_exclusive_group(required=True)
    given.add_argument("--text", help="the payload as text")
    given.add_argument("--hex", help="the payload in hexadecimal")
    given.add_argument("--file", help="the payload in a file; - for standard input")
    inject.add_argument("--metadata", type=json.loads, metavar="JSON", help="an object, added to its own")
    wait = commands.add("wait-until", _wait, "wait until the gateway is in a state")
    states = "; ".join(f"{name}: {about}" for name, about in STATES.items())
    wait.add_argument("state", choices=sorted(STATES), help=states)
    wait.add_argument("--integration", metavar="NAME", complete=named("integrations"))
    wait.add_argument(
        "--within", type=duration, default=60.0, metavar="DURATION", help="give up after this time (60s)"
    )
    raw = commands.add("api", _api, "call an operation of the API, or list them all")
    raw.add_argument("method", nargs="?", help="GET, POST, …; without one, all operations are listed")
    raw.add_argument("path", nargs="?", help="below /api/v1, such as /devices?limit=5")
    raw.add_argument("--data", metavar="JSON|@FILE", help="the body; @- for standard input")


def _inject(context: Context) -> None:
    options = context.options
    body: dict[str, Any] = {"metadata": options.metadata or {}}
    try:
        if options.text is not None:
            body["text"] = options.text
        elif options.hex is not None:
            body["payload"] = base64.b64encode(bytes.fromhex(options.hex)).decode()
        else:
            raw = sys.stdin.buffer.read() if options.file == "-" else Path(options.file).read_bytes()
            body["payload"] = base64.b64encode(raw).decode()
    except OSError as error:
        raise CtlError(f"{options.file}: {error.strerror}", USAGE) from error
    except ValueError as error:
        raise CtlError(f"--hex: expected pairs of hexadecimal digits: {error}", USAGE) from error
    path = f"/datasources/{quote(options.datasource, safe='')}/inject"
    done = context.client.call("POST", path, body)
    context.show(done, lambda done: f"{done['status']}: message {done['id']}")


def _wait(context: Context) -> None:
    options = context.options
    waited = wait(context.client, options.state, options.integration, options.within)
    context.show({"state": options.state, "seconds": round(waited, 1)}, lambda _: f"it is {options.state}")


def wait(
    client: ApiClient,
    state: str,
    integration: str | None,
    within: float,
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> float:
    """Wait for one of `STATES`; returns the seconds that it took, or raises CtlError. A gateway that is away is waited for."""
    began = clock()
    while True:
        reason = _missing(client, state, integration)
        waited = clock() - began
        if not reason:
            return waited
        if waited >= within:
            raise CtlError(f"not {state} after {within:g} s: {reason}", REFUSED)
        sleep(min(PAUSE, within - waited))


def _missing(client: ApiClient, state: str, integration: str | None) -> str:
    """What is still in the way; empty for nothing."""
    try:
        if state == "ready":
            client.get("/health/ready")
            return ""
        status = client.get("/status")
    except CtlError as error:
        if error.code != UNREACHABLE:
            raise
        return str(error)
    if state == "converted":
        waiting = status["journal"].get("waiting", 0)
        return f"{waiting} messages wait for their conversion" if waiting else ""
    known = [each for each in status["integrations"] if integration in (None, each["name"])]
    if integration is not None and not known:
        raise CtlError(f"there is no integration {integration!r}")
    left = {each["name"]: (each.get("waiting") or 0) + (each.get("inflight") or 0) for each in known}
    said = ", ".join(f"{count} for {name}" for name, count in left.items() if count)
    return f"messages wait: {said}" if said else ""


def _api(context: Context) -> None:
    options = context.options
    if options.method is None:
        found = context.client.get("/openapi.json")
        rows = sorted(
            (path.removeprefix("/api/v1"), method.upper(), operation.get("summary", ""))
            for path, operations in found["paths"].items()
            for method, operation in operations.items()
            if isinstance(operation, dict)
        )
        context.show(found, lambda _: table(("PATH", "METHOD", "WHAT"), rows))
        return
    if options.path is None or not options.path.startswith("/"):
        raise CtlError("expected METHOD /PATH", USAGE)
    answer = context.client.call(options.method.upper(), options.path, _data(options.data))
    context.show(answer, printable_json)


def printable_json(value: Any) -> str:
    """A value as JSON that a terminal can show."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return "\n".join(printable(line) for line in text.split("\n"))


def _data(given: str | None) -> Any:
    if given is None:
        return None
    try:
        if given.startswith("@"):
            given = sys.stdin.read() if given == "@-" else Path(given[1:]).read_text()
        return json.loads(given)
    except OSError as error:
        raise CtlError(f"--data: {error.filename}: {error.strerror}", USAGE) from error
    except ValueError as error:
        raise CtlError(f"--data: expected JSON: {error}", USAGE) from error
