"""`iotgwctl lwm2m DEVICE …`: the objects of an LwM2M device with their values, and single requests to it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from iotgw.ctl.command import Commands, Context
from iotgw.ctl.commands.files import uploaded
from iotgw.ctl.commands.jobs import add_ways, device_states, firmware_wanted, states_drawn
from iotgw.ctl.commands.jobs import wait as wait_for
from iotgw.ctl.errors import USAGE, CtlError

FIRMWARE = "firmware"
ACTIONS = {
    "read": "read",
    "write": "write",
    "exec": "execute",
    "observe": "observe",
    "cancel": "cancel",
    "discover": "discover",
}
"""What is typed, and the message type of the downlink that it becomes."""
HIDDEN = {"0", "1", "2", "21"}
"""Objects that aren't read: keys, servers and rights."""
FINAL = {"SUCCESSFUL", "FAILED", "EXPIRED", "TIMEOUT", "DELETED"}
PAUSE = 0.2
"""Seconds between two looks whether the device has answered."""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add("lwm2m", _lwm2m, "show an LwM2M device's objects and values, or ask it something")
    parser.add_argument("device", help="its name")
    what = "|".join((*sorted(ACTIONS), FIRMWARE))
    parser.add_argument("action", nargs="?", help=f"{what}; without one, all objects are read")
    parser.add_argument("path", nargs="?", help=f"such as /3/0/9; {FIRMWARE}: the file with the image")
    parser.add_argument("value", nargs="?", help="write: JSON or a text; exec: arguments such as 0='a'")
    parser.add_argument(
        "--wait", type=float, default=10.0, metavar="S", help="seconds to wait for an answer (10)"
    )
    parser.add_argument(
        "--no-wait", action="store_true", help=f"{FIRMWARE}: begin, and don't wait until it is over"
    )
    add_ways(parser)


def _lwm2m(context: Context) -> int | None:
    options = context.options
    if options.device == FIRMWARE and options.action not in ACTIONS:  # `lwm2m firmware DEVICE FILE`
        options.device, options.action = options.action, FIRMWARE
    if options.action not in (None, FIRMWARE, *ACTIONS):
        raise CtlError(f"expected one of {', '.join((*sorted(ACTIONS), FIRMWARE))}", USAGE)
    if options.action is None:
        found = _tree(context)
        context.show(found, _drawn)
        return None
    if options.action == FIRMWARE:
        return _firmware(context)
    if not options.path:
        raise CtlError(f"{options.action}: expected a path such as /3/0/9")
    msg: dict[str, Any] = {"path": options.path}
    if options.action == "write":
        if options.value is None:
            raise CtlError("write: expected a value")
        msg["value"] = _value(options.value)
    elif options.value is not None:
        msg["arguments"] = options.value
    item = _ask(context, ACTIONS[options.action], msg)
    context.show(item, _answer)
    return None


def _firmware(context: Context) -> int:
    """Upload an image, unless it is there, and update the device with it."""
    options, client = context.options, context.client
    if not options.path:
        raise CtlError(f"{FIRMWARE}: expected the file with the image")
    file = uploaded(client, Path(options.path))
    wanted = firmware_wanted(options, file["name"], options.device)
    body = {name: value for name, value in wanted.items() if value is not None}
    job = client.call("POST", "/jobs", {"firmware": body})
    if not options.no_wait:
        wait_for(client, job)
    states = device_states(client, job["id"])
    context.show(states, lambda found: f"{job['id']}\n{states_drawn(found)}")
    return 1 if any(state["phase"] in ("failed", "cancelled") for state in states) else 0


def _value(text: str) -> Any:
    """A value as JSON; what is none is a text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _ask(context: Context, msg_type: str, msg: dict[str, Any]) -> dict[str, Any]:
    """Queue a request, and wait until the device has answered."""
    wait = context.options.wait
    path = f"/devices/{quote(context.options.device, safe='')}/downlinks"
    body = {"msgType": msg_type, "msg": msg, "ttl": max(wait, 1.0)}
    item: dict[str, Any] = context.client.call("POST", path, body)
    until = time.monotonic() + wait
    while item["state"] not in FINAL and time.monotonic() < until:
        time.sleep(PAUSE)
        item = context.client.get(f"{path}/{quote(item['id'], safe='')}")
    return item


def _registration(context: Context) -> dict[str, Any]:
    device = context.options.device
    for source in context.client.get("/datasources", limit=1000)["items"]:
        if source["type"] != "lwm2m":
            continue
        sessions = context.client.get(f"/datasources/{quote(source['name'], safe='')}/sessions", limit=1000)
        for each in sessions["items"]:
            if device in (each["device"], each["endpoint"]):
                return dict(each)
    raise CtlError(f"{device}: no such LwM2M device is registered")


def _tree(context: Context) -> dict[str, Any]:
    """The registration, with what each of its objects answered."""
    registration = _registration(context)
    context.options.device = registration["device"]
    values: dict[str, Any] = {}
    names: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for object_, instances in registration["objects"].items():
        id = object_.partition("_")[0]
        for instance in instances if id not in HIDDEN else ():
            path = f"/{id}/{instance}"
            item = _ask(context, "read", {"path": path})
            result = item.get("result") or {}
            values.update(result.get("values", {}))
            names.update(result.get("names", {}))
            if item["state"] != "SUCCESSFUL":
                problems[path] = item["reason"] or item["state"]
    return {"registration": registration, "values": values, "names": names, "problems": problems}


def _drawn(found: dict[str, Any]) -> str:
    registration = found["registration"]
    where = f"{registration['remoteIp']}:{registration['remotePort']}, listens: {registration['listens']}"
    lines = [f"{registration['endpoint']}, LwM2M {registration['lwm2mVersion']}, {where}"]
    before = ""
    for path, value in found["values"].items():
        instance = path.rpartition("/")[0]
        about = found["names"].get(path) or found["names"].get(f"{path}/0") or {}
        if instance != before:
            lines.append(f"{instance} {about.get('object', '')}".rstrip())
            before = instance
        shown = value if isinstance(value, str) else json.dumps(value)
        units = f" {about['units']}" if about.get("units") else ""
        lines.append(
            f"  {path.rpartition('/')[2]} {about.get('name', '')}: {shown}{units}".replace(" : ", ": ")
        )
    lines += [f"{path}: {problem}" for path, problem in found["problems"].items()]
    return "\n".join(lines)


def _answer(item: dict[str, Any]) -> str:
    result = item.get("result") or {}
    lines = [f"{item['state']} {result.get('code', '')} {item.get('reason', '')}".strip()]
    lines += [f"{path} = {json.dumps(value)}" for path, value in result.get("values", {}).items()]
    if "links" in result:
        lines += result["links"].split(",")
    return "\n".join(lines)
