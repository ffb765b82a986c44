"""`iotgwctl datasources`, `converters`, `integrations`, `credentials`, `device-types`, `device-groups`, `delete`, `hand-over`, `token`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from iotgw.ctl.command import Commands, Context
from iotgw.ctl.gateway_names import named
from iotgw.ctl.table import moment, table

Row = Callable[[dict[str, Any]], tuple[Any, ...]]

LISTS: dict[str, tuple[tuple[str, ...], Row]] = {
    "datasources": (
        ("NAME", "TYPE", "STATE", "CONVERTER", "WHERE"),
        lambda each: (
            each["name"], each["type"], each["status"].get("state"),
            each.get("converter") or ", ".join((each.get("converters") or {}).values()),
            each["status"].get("error") or each["status"].get("address"),
        ),
    ),
    "converters": (
        ("NAME", "TYPE", "VERSION", "DIALECT", "ENGINE", "USED BY"),
        lambda each: (
            each["name"], each["type"], each["version"], each["detected"]["dialect"],
            each["detected"]["engine"], ", ".join(each["status"].get("usedBy", [])),
        ),
    ),
    "integrations": (
        ("NAME", "TYPE", "STATE", "DELIVERED", "WAITING", "DEAD", "LAST ERROR"),
        lambda each: (
            each["name"], each["type"],
            *(each["status"].get(key) for key in ("state", "delivered", "waiting", "dead", "lastError")),
        ),
    ),
    "credentials": (
        ("NAME", "TYPE", "IDENTITY", "DEVICE", "STATE"),
        lambda each: (
            each["name"], each["type"], each["identity"], each.get("device"), each["status"].get("state"),
        ),
    ),
    "tokens": (
        ("NAME", "ROLE", "TENANT", "MADE", "EXPIRES"),
        lambda each: (
            each["name"], each["role"], each["tenant"], moment(each["createdAt"]), moment(each.get("expiresAt")),
        ),
    ),
    "device-types": (
        ("NAME", "DEVICES", "REPORTS EVERY", "BATTERY BELOW", "SIGNAL BELOW"),
        lambda each: (each["name"], each["status"].get("devices"), *_limits(each)),
    ),
    "device-groups": (
        ("NAME", "DEVICES", "REPORTS EVERY", "BATTERY BELOW", "SIGNAL BELOW"),
        lambda each: (each["name"], each["status"].get("devices"), *_limits(each)),
    ),
}  # fmt: skip
KINDS = {
    kind: f"{kind}s"
    for kind in (
        "datasource",
        "converter",
        "integration",
        "credential",
        "token",
        "device",
        "device-type",
        "device-group",
    )
}
ROLES = ("admin", "editor", "viewer", "network-server", "downlink")


def _limits(each: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(each.get(key) for key in ("reportEvery", "batteryBelow", "signalBelow"))


def add(commands: Commands) -> None:
    """Add the commands."""
    for collection in LISTS:
        is_token = collection == "tokens"
        about = "list API tokens" if is_token else f"list {collection}, or show one"
        parser = commands.add(collection, _list, about)
        if not is_token:
            parser.add_argument("name", nargs="?", complete=named(collection))
        parser.set_defaults(collection=collection, name=None)
    delete = commands.add(
        "delete",
        _delete,
        "delete a datasource, converter, integration, credential, token, device, device type or group",
    )
    delete.add_argument("kind", choices=sorted(KINDS))
    delete.add_argument("name")
    delete.add_argument(
        "--backlog", choices=("drain", "drop"),
        help="of a datasource or an integration: work off what waits before it goes (drain), or drop it",
    )  # fmt: skip
    about = "let a device belong to another datasource, which may speak for it from then on"
    hand_over = commands.add("hand-over", _hand_over, about)
    hand_over.add_argument("device", complete=named("devices"))
    hand_over.add_argument("datasource", complete=named("datasources"))
    token = commands.add("token", _token, "make an API token; it is shown once")
    token.add_argument("name")
    token.add_argument("--role", choices=ROLES, default="viewer", help="what it may do (viewer)")


def _list(context: Context) -> None:
    collection, name = context.options.collection, context.options.name
    if name is not None:
        value = context.client.get(f"/{collection}/{quote(name, safe='')}")
        context.show(value, lambda value: json.dumps(value, indent=2, ensure_ascii=False))
        return
    head, row = LISTS[collection]
    found = context.client.get(f"/{collection}")
    context.show(found, lambda page: table(head, [row(each) for each in page["items"]]))


def _delete(context: Context) -> None:
    kind, name = context.options.kind, context.options.name
    query = f"?backlog={context.options.backlog}" if context.options.backlog else ""
    answer = context.client.call("DELETE", f"/{KINDS[kind]}/{quote(name, safe='')}{query}")
    context.show({"deleted": name, **(answer or {})}, lambda shown: _deletion(kind, name, shown))


def _deletion(kind: str, name: str, shown: dict[str, Any]) -> str:
    if shown.get("state") == "deleting":
        return f"{kind} {name} is being deleted; it goes when what waits is worked off"
    counts = [("drained", "drained"), ("dropped", "dropped"), ("deadLetters", "dead letters")]
    parts = [f"{shown[key]} {what}" for key, what in counts if shown.get(key)]
    return f"{kind} {name} is deleted" + (f" ({', '.join(parts)})" if parts else "")


def _token(context: Context) -> None:
    options = context.options
    wanted = {"name": options.name, "role": options.role, "tenant": options.tenant or ""}
    context.show(context.client.call("POST", "/tokens", wanted), lambda made: str(made["token"]))


def _hand_over(context: Context) -> None:
    options = context.options
    path = f"/devices/{quote(options.device, safe='')}/owner"
    given = context.client.call("PUT", path, {"datasource": options.datasource})
    context.show(given, lambda _: f"{options.device} belongs to {options.datasource} now")
