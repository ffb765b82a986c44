"""`iotgwctl converter …`: versions, vectors, the library, and what a candidate would make of stored messages."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from iotgw.ctl.client import USAGE, CtlError
from iotgw.ctl.command import Commands, Context
from iotgw.ctl.gateway_names import named
from iotgw.ctl.progress_line import ProgressLine
from iotgw.ctl.table import moment, printable, table
from iotgw.ctl.times import EXPECTED, moment_ms

SLICES = 20
"""Requests into which a replay over a time is cut, for its progress to be seen."""
COUNTS = ("count", "same", "changed", "fixed", "newlyFailing", "stillFailing")


def add(commands: Commands) -> None:
    """Add the commands."""
    group = commands.group("converter", "versions, vectors, replay, and the bundled library")
    saved = named("converters")
    group.add("versions", _versions, "list all versions of a converter").add_argument("name", complete=saved)
    activate = group.add("activate", _activate, "make a version the active one; an older one is going back")
    activate.add_argument("name", complete=saved)
    activate.add_argument("version", type=int)
    suite = group.add("test-suite", _suite, "run the vectors of a converter")
    suite.add_argument("name", complete=saved)
    replay = group.add("replay", _replay, "run stored messages through a candidate beside the active version")
    replay.add_argument("name", complete=saved)
    candidate = replay.add_mutually_exclusive_group(required=True)
    candidate.add_argument("--script", type=Path, metavar="FILE", help="a script that is not saved")
    candidate.add_argument("--version", type=int, metavar="N", help="another version")
    replay.add_argument("--datasource", metavar="NAME", complete=named("datasources"))
    replay.add_argument("--device", metavar="NAME", complete=named("devices"))
    replay.add_argument("--since", metavar="TIME", type=moment_ms, help=f"received since then: {EXPECTED}")
    replay.add_argument("--until", metavar="TIME", type=moment_ms, help="received before then")
    replay.add_argument(
        "--limit", type=int, default=1000, help="how many of the newest, without --since (1000)"
    )
    library = group.add("library", _library, "list the bundled converters")
    library.add_argument("--profile", help="only the converter of the device with this profile")
    install = group.add("install", _install, "save a bundled converter as one's own")
    install.add_argument("library", complete=named("library"))
    install.add_argument("--name", default="", help="under this name (its own, with hyphens)")


def _path(context: Context, more: str = "") -> str:
    return f"/converters/{quote(context.options.name, safe='')}{more}"


def _versions(context: Context) -> None:
    found = context.client.get(_path(context, "/versions"))
    rows = [
        (each["version"], each["active"], moment(each["createdAt"]), each["dialect"], each["engine"],
         f"{len(each['script'].splitlines())} lines")
        for each in found["items"]
    ]  # fmt: skip
    context.show(found, lambda _: table(("VERSION", "ACTIVE", "SAVED", "DIALECT", "ENGINE", "SCRIPT"), rows))


def _activate(context: Context) -> None:
    version = context.options.version
    saved = context.client.call("POST", _path(context, f"/versions/{version}/activate"))
    context.show(saved, lambda _: f"version {version} of {context.options.name} is active")


def _suite(context: Context) -> int:
    result = context.client.call("POST", _path(context, "/test-suite"))
    context.show(result, _cases)
    return 1 if result["failed"] else 0


def _cases(result: dict[str, Any]) -> list[str]:
    rows = [(case["name"], case["passed"], _difference(case)) for case in result["cases"]]
    return [table(("VECTOR", "PASSED", "WHY"), rows), f"{result['passed']} passed, {result['failed']} failed"]


def _difference(case: dict[str, Any]) -> str:
    if case["passed"]:
        return ""
    if case["error"]:
        return str(case["error"]["message"])
    got, expected = (json.dumps(case[key], ensure_ascii=False) for key in ("got", "expected"))
    return f"expected {expected}, got {got}"


def _replay(context: Context) -> int:
    options = context.options
    wanted: dict[str, Any] = {
        key: value for key in ("version", "datasource", "device")
        if (value := getattr(options, key)) is not None
    }  # fmt: skip
    if options.script is not None:
        try:
            wanted["script"] = options.script.read_text()
        except OSError as error:
            raise CtlError(f"--script: {options.script}: {error.strerror}", USAGE) from error
    options.timeout = max(options.timeout, 600.0)
    total: dict[str, Any] = {**dict.fromkeys(COUNTS, 0), "samples": []}
    progress = ProgressLine("replayed")
    for number, part in enumerate(_parts(options), 1):
        found = context.client.call("POST", _path(context, "/replay"), {**wanted, **part})
        total = {key: value + found[key] for key, value in total.items()}
        progress.show(total["count"], number / (SLICES if options.since is not None else 1))
    progress.end()
    context.show(total, _compared)
    return 1 if total["newlyFailing"] else 0


def _parts(options: Any) -> list[dict[str, Any]]:
    """What is asked for, request by request: a part of the time each, or the newest messages at once."""
    until = options.until or int(time.time() * 1000)
    if options.since is None:
        return [{"limit": options.limit, **({"until": until} if options.until else {})}]
    step = max(1, (until - options.since) // SLICES)
    borders = [*[*range(options.since, until, step)][:SLICES], until]
    pairs = itertools.pairwise(borders)
    return [{"since": since, "until": to, "limit": 10_000} for since, to in pairs]


def _compared(total: dict[str, Any]) -> list[str]:
    words = {"same": "the same", "changed": "changed", "fixed": "fixed", "newlyFailing": "newly failing", "stillFailing": "still failing"}  # fmt: skip
    said = ", ".join(f"{total[key]} {word}" for key, word in words.items() if total[key])
    lines = [f"{total['count']} messages: {said or 'none'}"]
    lines += [printable(json.dumps(sample, ensure_ascii=False)) for sample in total["samples"][:20]]
    return lines


def _library(context: Context) -> None:
    found = context.client.get("/library", profile=context.options.profile, limit=10_000)
    rows = [(each["name"], each["type"], each["engine"], each["dialect"]) for each in found["items"]]
    context.show(found, lambda _: table(("NAME", "TYPE", "ENGINE", "DIALECT"), rows))


def _install(context: Context) -> None:
    path = f"/library/{quote(context.options.library, safe='/')}/install"
    saved = context.client.call("POST", path, {"name": context.options.name})
    context.show(saved, lambda saved: f"converter {saved['name']} is saved")
