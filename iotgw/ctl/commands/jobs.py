"""`iotgwctl jobs` and `iotgwctl job`: long actions, their progress, and how to end them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from iotgw.ctl.client import ApiClient, CtlError
from iotgw.ctl.command import Commands, Context
from iotgw.ctl.commands.devices import FILTERS, add_filters
from iotgw.ctl.commands.downlinks import add_item, item_of
from iotgw.ctl.table import moment, table
from iotgw.ctl.times import EXPECTED, coming_ms, moment_ms

ITEM_HEAD = ("DEVICE", "STATE", "ID", "CHANGED", "ATTEMPTS", "WHY")
HEAD = ("ID", "KIND", "STATE", "DONE", "BEGAN", "BY", "HOW")
LOOK = 1.0
"""Seconds between two looks at a job that is waited for."""


def add(commands: Commands) -> None:
    """Add the commands."""
    commands.add("jobs", _list, "list long actions, the newest first")
    job = commands.add("job", _job, "start a long action, look at one, wait for it, or cancel it")
    actions = job.add_subparsers(dest="action", required=True, metavar="ACTION")
    again = actions.add_parser("reprocess", help="convert all stored messages of a filter again")
    again.add_argument("--state", choices=("received", "converted", "filtered", "failed"), help="(failed)")
    again.add_argument("--datasource", metavar="NAME")
    again.add_argument("--device", metavar="NAME")
    again.add_argument("--text", help="a text in the metadata")
    again.add_argument("--group", metavar="GROUP", help="of `iotgwctl failures`")
    again.add_argument("--since", metavar="TIME", type=moment_ms, help=f"received since then: {EXPECTED}")
    again.add_argument("--until", metavar="TIME", type=moment_ms, help="received before then")
    retry = actions.add_parser("retry", help="send dead letters again")
    retry.add_argument("integration")
    retry.add_argument("--device", metavar="NAME")
    retry.add_argument("--error", metavar="TEXT", help="those whose error contains this text")
    retry.add_argument("--before", metavar="TIME", type=moment_ms, help="those received before then")
    many = actions.add_parser(
        "downlink", help="queue a downlink for each device of a group, a filter or a list"
    )
    many.add_argument("devices", nargs="*", metavar="DEVICE", help="for these")
    add_filters(many)
    many.add_argument("--all", action="store_true", help="for all devices")
    add_item(many, "payload")
    many.add_argument("--rate", type=float, metavar="N", help="devices per second (10)")
    many.add_argument(
        "--at", metavar="TIME", type=coming_ms, help="begin then: +2h, or a date such as 2026-11-28T14:30"
    )
    for parser in (again, retry, many):
        parser.add_argument(
            "--wait", action="store_true", help="until it has ended; Ctrl-C leaves it running"
        )
    for name, about in (("show", "how far it is"), ("wait", "wait until it has ended"), ("cancel", "end it")):
        actions.add_parser(name, help=about).add_argument("id")
    items = actions.add_parser("downlinks", help="what became of a job's downlinks, by state")
    items.add_argument("id")
    items.add_argument("--state", type=str.upper, metavar="STATE", help="list those in this state")
    items.add_argument("--limit", type=int, default=100, help="how many (100)")
    items.add_argument("--stop", action="store_true", help="end the job, and cancel those that still wait")


def _list(context: Context) -> None:
    context.show(context.client.get("/jobs"), lambda page: table(HEAD, [_row(job) for job in page["items"]]))


def _row(job: dict[str, Any]) -> tuple[Any, ...]:
    return (
        job["id"],
        job["kind"],
        job["state"],
        _progress(job),
        moment(job["createdAt"]),
        job["by"],
        _how(job),
    )


def _progress(job: dict[str, Any]) -> str:
    return f"{job['done']}/{'?' if job['total'] is None else job['total']}"


def _how(job: dict[str, Any]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(job["counts"].items())) or job["problem"]


def _job(context: Context) -> int:
    options, client = context.options, context.client
    if options.action == "downlinks":
        return _items(context)
    if options.action == "downlink":
        job = client.call("POST", "/downlinks", _batch(options))
        waits = options.wait
    elif options.action in ("reprocess", "retry"):
        job = client.call("POST", "/jobs", {options.action: _wanted(options)})
        waits = options.wait
    else:
        method = "DELETE" if options.action == "cancel" else "GET"
        job = client.call(method, f"/jobs/{quote(options.id, safe='')}")
        waits = options.action == "wait"
    if waits:
        job = wait(client, job)
    context.show(job, _text)
    return 1 if job["state"] == "failed" else 0


def _wanted(options: Any) -> dict[str, Any]:
    if options.action == "retry":
        wanted = {
            "integration": options.integration, "device": options.device, "error": options.error,
            "receivedBefore": options.before,
        }  # fmt: skip
    else:
        names = ("state", "datasource", "device", "text", "group", "since", "until")
        wanted = {name: getattr(options, name) for name in names}
    return {name: value for name, value in wanted.items() if value is not None}


def _batch(options: Any) -> dict[str, Any]:
    said = {name: value for name in FILTERS if (value := getattr(options, name)) is not None}
    said |= {name: value for name in ("rate", "at") if (value := getattr(options, name)) is not None}
    if options.devices:
        said["devices"] = options.devices
    if options.all:
        said["all"] = True
    if options.allow_unknown:
        said["allowUnknown"] = True
    return {**said, "downlink": item_of(options)}


def _items(context: Context) -> int:
    options, path = context.options, f"/jobs/{quote(context.options.id, safe='')}/downlinks"
    if options.stop:
        stopped = context.client.call("DELETE", path)
        context.show(stopped, lambda answer: f"the job has ended; {answer['cancelled']} downlinks cancelled")
        return 0
    found = context.client.get(path, state=options.state, limit=options.limit)
    context.show(found, _states)
    return 0


def _states(found: dict[str, Any]) -> str:
    rows = [
        (
            item["device"],
            item["state"],
            item["id"],
            moment(item["updatedAt"]),
            item["attempts"],
            item["reason"],
        )
        for item in found["items"]
    ]
    states = ", ".join(f"{count} {state}" for state, count in found["states"].items()) or "none yet"
    return "\n".join([states, "", table(ITEM_HEAD, rows)]) if rows else states


def wait(
    client: ApiClient, job: dict[str, Any], sleep: Callable[[float], object] = time.sleep
) -> dict[str, Any]:
    """A job as it ended. Its progress is shown on a terminal's stderr meanwhile. A gateway that is away for a moment is waited for."""
    while job["state"] in ("waiting", "running"):
        if sys.stderr.isatty():
            print(f"\r{job['kind']} {_progress(job)}", end="", file=sys.stderr, flush=True)
        sleep(LOOK)
        try:
            job = client.get(f"/jobs/{job['id']}")
        except CtlError as error:
            if error.code != 3:
                raise
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    return job


def _text(job: dict[str, Any]) -> str:
    begins = f" until {moment(job['startsAt'])}" if job["state"] == "waiting" else ""
    lines = [
        f"{job['id']}  {job['kind']} {job['state']}{begins}: {_progress(job)} done"
        + (f" ({_how(job)})" if _how(job) else "")
    ]
    for name, count in job["before"].items():
        after = f", {job['after'][name]} after" if name in job["after"] else ""
        lines.append(f"{name}: {count} before{after}")
    return "\n".join(lines)
