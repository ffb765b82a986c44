"""`iotgwctl downlinks [DEVICE]` and `downlink DEVICE …`: what waits for a device, or for all; and one more for it."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

from iotgw.ctl.client import USAGE, CtlError
from iotgw.ctl.command import Commands, Context
from iotgw.ctl.gateway_names import named
from iotgw.ctl.parsing import CommandParameters
from iotgw.ctl.table import moment, table

HEAD = ("ID", "STATE", "TYPE", "CREATED", "EXPIRES", "ATTEMPTS", "WHY")
STATES = (
    "open",
    "over",
    "QUEUED",
    "SENT",
    "DELIVERED",
    "SUCCESSFUL",
    "TIMEOUT",
    "EXPIRED",
    "FAILED",
    "DELETED",
)


def add(commands: Commands) -> None:
    """Add the commands."""
    many = commands.add(
        "downlinks", _list, "list what waits for a device, then what was, or of all devices, newest first; or cancel some"
    )  # fmt: skip
    many.add_argument("device", nargs="?", complete=named("devices"))
    about = "without a device: only those in this state; open are those of which more is to come"
    many.add_argument("--state", choices=STATES, help=about)
    many.add_argument("--limit", type=int, default=100, help="how many at most (100)")
    many.add_argument("--cancel", metavar="ID", help="cancel this one")
    many.add_argument("--show", metavar="ID", help="show this one")
    about = "replace what waits by the downlinks of a JSON file, a list; - for standard input"
    many.add_argument("--replace", metavar="FILE", help=about)
    many.add_argument("--clear", action="store_true", help="cancel all that wait")
    one = commands.add("downlink", _push, "queue a downlink for a device")
    one.add_argument("device", complete=named("devices"))
    add_item(one)


def add_item(one: CommandParameters, text: str = "text") -> None:
    """The options that say what is queued; that of a ``text`` may have another name."""
    what = one.add_mutually_exclusive_group(required=True)
    what.add_argument(f"--{text}", dest="payload", metavar="TEXT", help="a text, sent as it is")
    what.add_argument("--hex", help="bytes in hexadecimal, sent as they are")
    what.add_argument("--msg", type=json.loads, metavar="JSON", help="a message for the downlink converter")
    one.add_argument("--msg-type", default="downlink", help="what kind of message, for the converter")
    one.add_argument("--ttl", type=float, metavar="S", help="seconds until it expires")
    about = "queue it for a device that nobody knows yet, which may be a mistyped one"
    one.add_argument("--allow-unknown", action="store_true", help=about)
    one.add_argument("--last", action="store_true", help="take the place of whatever waits")


def _path(context: Context) -> str:
    return f"/devices/{quote(context.options.device, safe='')}/downlinks"


def _list(context: Context) -> None:
    options = context.options
    if options.device is None:
        if options.cancel or options.show or options.replace or options.clear:
            raise CtlError("expected a DEVICE, whose downlinks are meant", USAGE)
        page = context.client.get("/downlinks", state=options.state, limit=options.limit)
        return context.show(page, _of_all)
    if options.state is not None:
        raise CtlError("--state is for the list of all devices", USAGE)
    path, cancel = _path(context), options.cancel
    if context.options.show is not None:
        item = context.client.get(f"{path}/{quote(context.options.show, safe='')}")
        context.show(item, lambda item: json.dumps(item, indent=2, ensure_ascii=False))
    elif context.options.replace is not None:
        page = context.client.call("PUT", path, _read(context.options.replace))
        context.show(page, lambda page: f"{len(page['items'])} downlinks wait now")
    elif cancel is not None:
        item = context.client.call("DELETE", f"{path}/{quote(cancel, safe='')}")
        context.show(item, lambda item: f"downlink {item['id']} is {item['state']}")
    elif context.options.clear:
        context.show(context.client.call("DELETE", path), lambda answer: f"{answer['deleted']} cancelled")
    else:
        page = context.client.get(path, limit=options.limit)
        context.show(page, lambda page: table(HEAD, [_row(each) for each in page["items"]]))
    return None


def _of_all(page: dict[str, Any]) -> str:
    return table(("DEVICE", *HEAD), [(each["device"], *_row(each)) for each in page["items"]])


def _read(file: str) -> Any:
    try:
        return json.loads(sys.stdin.read() if file == "-" else Path(file).read_text())
    except OSError as error:
        raise CtlError(f"{file}: {error.strerror}", USAGE) from error
    except ValueError as error:
        raise CtlError(f"{file}: expected JSON: {error}", USAGE) from error


def _row(item: dict[str, Any]) -> tuple[Any, ...]:
    times = moment(item["createdAt"]), moment(item["expiresAt"])
    return (item["id"], item["state"], item["msgType"], *times, item["attempts"], item["reason"])


def item_of(options: SimpleNamespace) -> dict[str, Any]:
    """What these options say, as the API takes it."""
    item: dict[str, Any] = {"msgType": options.msg_type, "policy": "last" if options.last else "fifo"}
    if options.ttl is not None:
        item["ttl"] = options.ttl
    if options.payload is not None:
        item.update(data=options.payload, contentType="TEXT")
    elif options.hex is not None:
        try:
            item["data"] = base64.b64encode(bytes.fromhex(options.hex)).decode()
        except ValueError as error:
            raise CtlError(f"--hex: expected pairs of hexadecimal digits: {error}", USAGE) from error
    else:
        item["msg"] = options.msg
    return item


def _push(context: Context) -> None:
    options = context.options
    query = "?allowUnknown=true" if options.allow_unknown else ""
    pushed = context.client.call("POST", _path(context) + query, item_of(options))
    context.show(pushed, lambda item: f"downlink {item['id']} is {item['state']}")
