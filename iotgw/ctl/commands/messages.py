"""`iotgwctl messages`, `message`, `reprocess`, `tail`: what came in, and what became of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from iotgw.core.numbers import whole
from iotgw.ctl.client import USAGE, ApiClient, CtlError
from iotgw.ctl.command import Commands, Context
from iotgw.ctl.commands.debug import entries_text
from iotgw.ctl.parsing import CommandParameters
from iotgw.ctl.refusal_tail import RefusalTail
from iotgw.ctl.table import cell, moment, payload, printable, table, values
from iotgw.ctl.times import EXPECTED, moment_ms

HEAD = ("ID", "RECEIVED", "DATASOURCE", "STATE", "DELIVERED", "WHAT")
SHORT = 100
"""Characters that are shown of what a message says; of what is wrong with it, all are."""


OUTCOMES = (
    "delivered", "queued", "inflight", "retrying", "dead", "expired", "dropped", "unknown", "received", "filtered", "failed",
    "refused",
)  # fmt: skip
PAGE = 1000
"""Messages of one request at most."""
SLACK_MS = 60_000
"""How much earlier than the newest message one that is stored later may have been received."""


def add(commands: Commands) -> None:
    """Add the commands."""
    messages = commands.add("messages", _messages, "list messages, newest first")
    _filters(messages)
    _outcomes(messages)
    messages.add_argument("--limit", type=int, default=20, help="how many (20)")
    one = commands.add("message", _message, "show one message with all that became of it")
    one.add_argument("id")
    one.add_argument("--debug", action="store_true", help="what debugging kept of it")
    again = commands.add("reprocess", _reprocess, "convert stored messages again, for real")
    again.add_argument("id", nargs="*", help="which; without one, those that failed")
    _filters(again)
    again.add_argument("--limit", type=int, default=1000, help="how many at most (1000)")
    tail = commands.add("tail", _tail, "show messages and what is refused as they come, until Ctrl-C")
    _filters(tail, with_times=False)
    _outcomes(tail)
    tail.add_argument("--refused", action="store_true", help="only what is refused")
    tail.add_argument("--lines", "-n", type=int, default=10, help="how many older ones first (10)")


def _filters(parser: CommandParameters, with_times: bool = True) -> None:
    parser.add_argument("--datasource", metavar="NAME")
    parser.add_argument("--state", choices=("received", "converted", "filtered", "failed"))
    parser.add_argument(
        "--device", metavar="NAME", help="of this device, or not converted and with its name in the metadata"
    )
    parser.add_argument("--text", help="a text in the metadata")
    parser.add_argument(
        "--group", metavar="GROUP", help="failed like the others of a group of `iotgwctl failures`"
    )
    parser.set_defaults(since=None, until=None, integration=None, outcome=None)
    if with_times:
        parser.add_argument(
            "--since", metavar="TIME", type=moment_ms, help=f"received since then: {EXPECTED}"
        )
        parser.add_argument("--until", metavar="TIME", type=moment_ms, help="received before then")


def _outcomes(parser: CommandParameters) -> None:
    parser.add_argument("--integration", metavar="NAME", help="messages that it gets")
    parser.add_argument("--outcome", choices=OUTCOMES, help="how it ended, or where it is")


FILTERS = ("datasource", "state", "device", "text", "group", "since", "until", "integration", "outcome")


def _query(context: Context) -> dict[str, Any]:
    return {name: getattr(context.options, name) for name in FILTERS}


def _messages(context: Context) -> None:
    found = _search(context.client, _query(context), context.options.limit)
    context.show(found, _listed)


def _search(client: ApiClient, query: dict[str, Any], limit: int) -> dict[str, Any]:
    """So many messages, however far the gateway has to look for them."""
    found = client.get("/messages", limit=min(limit, PAGE), **query)
    while found["next"] is not None and len(found["items"]) < limit:
        left = min(limit - len(found["items"]), PAGE)
        page = client.get("/messages", limit=left, before=found["next"], **query)
        found = {**page, "items": [*found["items"], *page["items"]]}
    return dict(found)


def _listed(found: dict[str, Any]) -> list[str]:
    lines: list[str] = [table(HEAD, [_row(item) for item in found["items"]])]
    if not found["items"]:
        lines = ["no such messages"]
        if found["lookedBackTo"]:
            lines[0] += f"; looked back to {moment(found['lookedBackTo'])}"
    return lines


def _row(item: dict[str, Any]) -> tuple[Any, ...]:
    deliveries = item["deliveries"]
    delivered = sum(delivery["state"] == "delivered" for delivery in deliveries)
    where = f"{delivered}/{len(deliveries)}" if deliveries else "-"
    return (item["id"], moment(item["receivedAt"]), item["datasource"], item["state"], where, _what(item))


def _what(item: dict[str, Any]) -> str:
    if item["error"]:
        return _error(item["error"])
    return cell(values(item["output"]) or payload(item["payload"]), SHORT)


def _error(error: dict[str, Any]) -> str:
    place = f"line {error['line']}, column {error.get('column')}: " if error.get("line") else ""
    return f"{place}{error['message']}"


def _message(context: Context) -> None:
    if context.options.debug:
        kept = context.client.get(f"/messages/{context.options.id}/debug")
        context.show(kept, lambda kept: entries_text(kept["items"]))
        return
    context.show(context.client.get(f"/messages/{context.options.id}"), _text)


def _text(item: dict[str, Any]) -> str:
    lines = [
        f"{item['id']}  {item['state']}",
        f"received    {moment(item['receivedAt'])} by {printable(item['datasource'])}",
        f"payload     {printable(payload(item['payload']))}",
        *(f"metadata    {printable(key)} = {cell(value)}" for key, value in item["metadata"].items()),
    ]
    if item.get("converter"):
        lines.append(f"converter   {item['converter']}")
    if item["error"]:
        lines.append(f"error       {printable(_error(item['error']))}")
    for device in item["output"]:
        lines.append(f"device      {printable(device['deviceName'])} ({printable(device['deviceType'])})")
        for entry in device.get("telemetry") or []:
            shown = printable(json.dumps(entry["values"], ensure_ascii=False))
            lines.append(f"telemetry   {moment(entry['ts'])}  {shown}")
        for key, value in (device.get("attributes") or {}).items():
            lines.append(f"attribute   {printable(key)} = {cell(value)}")
    for delivery in item["deliveries"]:
        problem = f": {printable(delivery['error'])}" if delivery["error"] else ""
        tries = f" after {delivery['attempts']} attempts" if delivery["attempts"] > 1 else ""
        next_ = f", next try {moment(delivery['nextTryAt'])}" if delivery["nextTryAt"] else ""
        lines.append(
            f"delivery    {printable(delivery['integration'])} {delivery['state']}{tries}{next_}{problem}"
        )
        for each in delivery.get("tries") or []:
            lines.append(f"  tried     {moment(each['at'])}: {printable(each['answer'])}")
    return "\n".join(lines)


def _reprocess(context: Context) -> None:
    options = context.options
    chosen = {key: value for key, value in _query(context).items() if value is not None}
    if options.id:
        selection: dict[str, Any] = {"ids": options.id, **chosen}
    else:
        selection = {"state": "failed", **chosen, "limit": options.limit}
    result = context.client.call("POST", "/messages/reprocess", selection)
    context.show(result, _reprocessed)


def _reprocessed(result: dict[str, Any]) -> str:
    states = ", ".join(f"{count} {state}" for state, count in sorted(result["states"].items()))
    gone = f"; {result['missing']} without a datasource" if result["missing"] else ""
    waiting = f"; {result['waiting']} still wait for the first time" if result.get("waiting") else ""
    return f"{result['count']} converted again{': ' + states if states else ''}{gone}{waiting}"


def _tail(context: Context) -> None:
    options = context.options
    if options.refused:
        only_messages = [
            f"--{name}"
            for name in ("state", "device", "text", "group", "integration", "outcome")
            if getattr(options, name)
        ]
        if only_messages:
            raise CtlError(f"{only_messages[0]} is not for --refused", USAGE)
        items = refusals(RefusalTail(context.client, options.datasource, options.lines))
    else:
        filters = (
            options.state,
            options.device,
            options.text,
            options.group,
            options.integration,
            options.outcome,
        )
        is_open = all(each is None for each in filters)
        refused = RefusalTail(context.client, options.datasource) if is_open else None
        items = follow(context.client, _query(context), options.lines, refused=refused)
    for item in items:
        if options.json:
            print(json.dumps(item, ensure_ascii=False), flush=True)
        else:
            print(_refusal(item) if "type" in item else _line(_row(item)), flush=True)


def _line(row: tuple[Any, ...]) -> str:
    return "  ".join([*map(cell, row[:-1]), cell(row[-1], 0)])


def _refusal(event: dict[str, Any]) -> str:
    return f"-  {moment(event['ts'])}  {cell(event['name'])}  {event['type']}  {printable(event['message'])}"


def follow(
    client: ApiClient,
    query: dict[str, Any],
    lines: int,
    sleep: Callable[[float], object] = time.sleep,
    refused: RefusalTail | None = None,
) -> Iterator[dict[str, Any]]:
    """Messages, oldest first: the last ``lines`` that there are, then each that comes.

    The events of ``refused`` come in between. A gateway that is away for a moment is waited for.
    """
    is_filtered = any(each is not None for each in query.values())
    newest = _newest_ms(client) if is_filtered else 0
    first = client.get("/messages", limit=max(1, lines), **query)["items"]
    last = first[0] if first else None
    yield from reversed(first[:lines])
    while True:
        sleep(1.0)
        try:
            bounded = query
            if is_filtered:  # or else it would look for rare ones through all that is stored, each time
                bounded = {**query, "since": max(0, newest - SLACK_MS)}
                newest = _newest_ms(client)
            fresh = _newer(client, bounded, last)
            turned_away = refused.fresh() if refused is not None else []
        except CtlError as error:
            if error.code != 3:
                raise
            continue
        if fresh:
            last = fresh[0]
            yield from reversed(fresh)
        yield from turned_away


def refusals(refused: RefusalTail, sleep: Callable[[float], object] = time.sleep) -> Iterator[dict[str, Any]]:
    """Events of refusals, oldest first: the last ones that there are, then each that comes."""
    yield from refused.first
    while True:
        sleep(1.0)
        try:
            fresh = refused.fresh()
        except CtlError as error:
            if error.code != 3:
                raise
            continue
        yield from fresh


def _newest_ms(client: ApiClient) -> int:
    """When the newest message of all was received: nothing that comes is much older. 0 where there is none."""
    items = client.get("/messages", limit=1, view="row")["items"]
    return int(items[0]["receivedAt"]) if items else 0


def _newer(client: ApiClient, query: dict[str, Any], last: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Messages that came after ``last``, newest first."""
    found: list[dict[str, Any]] = []
    before = None
    while True:
        page = client.get("/messages", limit=100, before=before, **query)
        for item in page["items"]:
            if not _is_newer(item, last):
                return found
            found.append(item)
        before = page["next"]
        if before is None:
            return found


def _is_newer(item: dict[str, Any], last: dict[str, Any] | None) -> bool:
    """Positions of one journal grow. In a journal that was put back, later messages may have lower positions: they are
    of another epoch, and received later."""
    if last is None:
        return True
    epoch, _, seq = item["id"].rpartition("-")
    last_epoch, _, last_seq = last["id"].rpartition("-")
    if (whole(seq) or 0) > (whole(last_seq) or 0):
        return True
    return bool(epoch != last_epoch and item["receivedAt"] > last["receivedAt"])
