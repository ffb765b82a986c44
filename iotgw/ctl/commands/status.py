"""`iotgwctl status`: the whole gateway at a glance."""

from __future__ import annotations

from functools import partial
from typing import Any

from iotgw.core.urls import urls
from iotgw.ctl.command import Commands, Context
from iotgw.ctl.table import moment, table


def add(commands: Commands) -> None:
    """Add the command."""
    commands.add("status", _status, "show the gateway at a glance")


def _status(context: Context) -> int:
    status = context.client.get("/status")
    context.show(status, partial(_text, context))
    return 0 if status["ready"] else 1


def _text(context: Context, status: dict[str, Any]) -> list[str]:
    journal, paused = status["journal"], status.get("paused")
    ready = "ready" if status["ready"] else f"NOT READY ({status.get('notReadyBecause') or 'busy'})"
    counts = ", ".join(
        f"{journal[name]} {name}" for name in ("received", "converted", "filtered", "failed", "waiting")
        if name in journal
    )  # fmt: skip
    lines = [
        f"iotgw {status['version']}, {ready}, since {moment(status['startedAt'])}",
        *([f"PAUSED, nothing leaves until `iotgwctl resume`: {paused['reason']}"] if paused else []),
        *_confinement(status.get("confinement", {})),
        f"messages: {counts}",
    ]
    turned_away = [
        (place, reason, count)
        for place, reasons in [
            *((each["name"], each.get("refusals", {})) for each in status["datasources"]),
            *status.get("refusals", {}).items(),
        ]
        for reason, count in reasons.items()
    ]
    if status["datasources"]:
        lines += ["", table(("DATASOURCE", "TYPE", "STATE", "WHERE"), [
            (each["name"], each["type"], each["state"],
             each.get("error") or ", ".join(urls(each, context.options.url)) or each.get("address"))
            for each in status["datasources"]
        ])]  # fmt: skip
    if status["integrations"]:
        lines += ["", table(("INTEGRATION", "TYPE", "STATE", "DELIVERED", "WAITING", "DEAD", "LAST ERROR"), [
            (each["name"], each["type"], each["state"], each.get("delivered"), each.get("waiting"),
             each.get("dead"), each.get("lastError"))
            for each in status["integrations"]
        ])]  # fmt: skip
    if turned_away:
        lines += ["", table(("REFUSED BY", "REASON", "TIMES"), turned_away)]
    return lines


def _confinement(held: dict[str, Any]) -> list[str]:
    """What is to be said of converters that are not confined."""
    if held.get("refusal"):
        return [held["refusal"][:1].upper() + held["refusal"][1:]]
    if held.get("unconfined") and not held["seccomp"]:
        return [f"CONVERTERS ARE NOT CONFINED: {held['why']}"]
    return []
