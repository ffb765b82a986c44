"""`iotgwctl try`: run a converter on one payload, and see what it makes of it."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from iotgw.ctl.client import USAGE, CtlError
from iotgw.ctl.command import Commands, Context
from iotgw.ctl.gateway_names import named
from iotgw.ctl.table import printable


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add("try", _try, "run a converter, or a script in a file, on one payload")
    parser.add_argument(
        "converter", nargs="?", help="a saved or bundled one", complete=named("converters", "library")
    )
    parser.add_argument("--script", type=Path, metavar="FILE", help="a script that is not saved")
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--text", help="the payload as text")
    given.add_argument("--hex", help="the payload in hexadecimal")
    given.add_argument("--file", help="the payload in a file; - for standard input")
    given.add_argument("--message", metavar="ID", help="the payload and metadata of a stored message")
    parser.add_argument("--metadata", type=json.loads, metavar="JSON", help="an object")


def _try(context: Context) -> int:
    options = context.options
    if options.converter is None and options.script is None:
        raise CtlError("expected a converter's name, or --script FILE", USAGE)
    trial: dict[str, Any] = {"text": options.text, "hex": options.hex, "messageId": options.message}
    trial = {key: value for key, value in trial.items() if value is not None}
    try:
        if options.file is not None:
            raw = sys.stdin.buffer.read() if options.file == "-" else Path(options.file).read_bytes()
            trial["payload"] = base64.b64encode(raw).decode()
        if options.script is not None:
            trial["script"] = options.script.read_text()
    except OSError as error:
        raise CtlError(f"cannot read {error.filename}: {error.strerror}", USAGE) from error
    if options.metadata is not None:
        trial["metadata"] = options.metadata
    path = (
        f"/converters/{quote(options.converter, safe='')}/test" if options.converter else "/converters/test"
    )
    result = context.client.call("POST", path, trial)
    context.show(result, _text)
    return 1 if result.get("error") else 0


def _text(result: dict[str, Any]) -> str:
    lines = [f"log: {printable(str(line))}" for line in result.get("logs") or []]
    lines += [f"warning: {printable(str(line))}" for line in result.get("warnings") or []]
    if error := result.get("error"):
        place = f"line {error['line']}, column {error.get('column')}: " if error.get("line") else ""
        lines.append(f"error: {place}{printable(str(error['message']))}")
    else:
        lines.append(json.dumps(result.get("telemetry") or result.get("result"), indent=2, ensure_ascii=True))
    return "\n".join(lines)
