"""`iotgwctl telemetry` and `iotgwctl failures`: what a device measured over time, and what fails."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from iotgw.ctl.client import ApiClient
from iotgw.ctl.command import Commands, Context
from iotgw.ctl.gateway_names import named
from iotgw.ctl.table import moment, printable, table
from iotgw.ctl.times import EXPECTED, duration, moment_ms

READINGS = ("TIME", "KEY", "VALUE")
BUCKETS = ("TIME", "KEY", "COUNT", "MIN", "MAX", "MEAN")
GROUPS = ("GROUP", "KIND", "WHERE", "COUNT", "FIRST", "LAST", "SAMPLE", "WHAT")


def add(commands: Commands) -> None:
    """Add the commands."""
    series = commands.add("telemetry", _telemetry, "show what a device measured, over time")
    series.add_argument("device", complete=named("devices"))
    series.add_argument("--keys", metavar="KEY,…", help="these alone")
    series.add_argument(
        "--every", metavar="DURATION", type=duration, help="count, min, max and mean of each 10m, 1h, …"
    )
    series.add_argument("--since", metavar="TIME", type=moment_ms, help=f"measured since then: {EXPECTED}")
    series.add_argument("--until", metavar="TIME", type=moment_ms, help="measured before then")
    series.add_argument(
        "--limit", type=int, default=20, help="of how many messages, without --every and --since (20)"
    )
    failures = commands.add("failures", _failures, "show what fails, in groups")
    failures.add_argument("--kind", choices=("conversion", "delivery", "refusal"))
    failures.add_argument("--datasource", metavar="NAME")
    failures.add_argument("--device", metavar="NAME")
    failures.add_argument("--since", metavar="TIME", type=moment_ms, help=f"received since then: {EXPECTED}")
    failures.add_argument("--until", metavar="TIME", type=moment_ms, help="received before then")


def _telemetry(context: Context) -> None:
    options = context.options
    every = max(1, int(options.every)) if options.every else None
    query = {"keys": options.keys, "since": options.since, "until": options.until, "every": every}
    path = f"/devices/{quote(options.device, safe='')}/telemetry"
    is_whole = every is not None or options.since is not None
    page = context.client.get(path, limit=1000 if is_whole else options.limit, **query)
    found = dict(page)
    while is_whole and page["next"] is not None:
        page = context.client.get(path, limit=1000, before=page["next"], **query)
        found = {
            **page,
            "buckets": {key: _joined(found, page, key) for key in {**found["buckets"], **page["buckets"]}},
            "readings": {
                key: [*page["readings"].get(key, []), *found["readings"].get(key, [])]
                for key in {**found["readings"], **page["readings"]}
            },
        }
    context.show(found, _series)


def _joined(newer: dict[str, Any], older: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The buckets of two pages, by time. One that has a part on both is added up."""
    found = {bucket["ts"]: bucket for bucket in older["buckets"].get(key, [])}
    for bucket in newer["buckets"].get(key, []):
        found[bucket["ts"]] = _sum(found[bucket["ts"]], bucket) if bucket["ts"] in found else bucket
    return [found[ts] for ts in sorted(found)]


def _sum(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    count = one["count"] + other["count"]
    parts = [each for each in (one, other) if each.get("mean") is not None]
    if not parts:
        return {"ts": one["ts"], "count": count}
    weight = sum(each["count"] for each in parts)
    return {
        "ts": one["ts"],
        "count": count,
        "min": min(each["min"] for each in parts),
        "max": max(each["max"] for each in parts),
        "mean": sum(each["mean"] * each["count"] for each in parts) / weight,
    }


def _series(found: dict[str, Any]) -> str:
    if found["every"]:
        rows = sorted(
            (bucket["ts"], key, bucket) for key, some in found["buckets"].items() for bucket in some
        )
        shown = [
            (
                moment(ts),
                key,
                bucket["count"],
                *(_number(bucket.get(name)) for name in ("min", "max", "mean")),
            )
            for ts, key, bucket in rows
        ]
        return table(BUCKETS, shown) if shown else "no readings"
    points = [(each["ts"], key, each["value"]) for key, some in found["readings"].items() for each in some]
    points.sort(key=lambda point: point[:2])
    return (
        table(READINGS, [(moment(ts), key, value) for ts, key, value in points]) if points else "no readings"
    )


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.6g}"


def _failures(context: Context) -> None:
    options = context.options
    query = {name: getattr(options, name) for name in ("kind", "datasource", "device", "since", "until")}
    context.show(_all(context.client, query), _groups)


def _all(client: ApiClient, query: dict[str, Any]) -> dict[str, Any]:
    """The groups of all pages."""
    found: dict[str, dict[str, Any]] = {}
    before = None
    while True:
        page = client.get("/failures", before=before, **query)
        for item in page["items"]:
            known = found.get(item["id"])
            found[item["id"]] = item if known is None else {
                **known, "count": known["count"] + item["count"], "first": min(known["first"], item["first"]),
            }  # fmt: skip
        before = page["next"]
        if before is None:
            return {**page, "items": sorted(found.values(), key=lambda item: -int(item["last"]))}


def _groups(found: dict[str, Any]) -> str:
    rows = [
        (
            item["id"], item["kind"], _where(item), item["count"], moment(item["first"]), moment(item["last"]),
            item["sample"], _what(item),
        )
        for item in found["items"]
    ]  # fmt: skip
    return table(GROUPS, rows) if rows else "nothing fails"


def _where(item: dict[str, Any]) -> str:
    version = f" v{item['version']}" if item["version"] is not None else ""
    where = item["where"] or ", ".join(item["datasources"])  # a limit is the datasource's, and no converter's
    return f"{where}{version}"


def _what(item: dict[str, Any]) -> str:
    error = item["error"]
    place = f"line {error['line']}: " if error.get("line") else ""
    return printable(f"{place}{item['pattern']}")
