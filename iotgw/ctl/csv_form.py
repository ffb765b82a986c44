"""What a command shows, as CSV: its tables, each with a row of names (RFC 4180)."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from io import StringIO
from typing import Any

from iotgw.core.device_table import safe
from iotgw.ctl.errors import USAGE, CtlError
from iotgw.ctl.table import Table


def as_csv(parts: Iterable[str]) -> str:
    """The tables among these texts; raises CtlError where there is none. Cells are whole, and none is a formula for a spreadsheet."""
    tables = [part for part in parts if isinstance(part, Table)]
    if not tables:
        raise CtlError("--output csv: this shows no table; take --output json", USAGE)
    out = StringIO()
    for number, table in enumerate(tables):
        if number:
            out.write("\r\n")
        writer = csv.writer(out)
        writer.writerow(table.head)
        writer.writerows([[_text(value) for value in row] for row in table.rows])
    return out.getvalue().rstrip("\r\n")


def _text(value: Any) -> str:
    if value in (None, "-"):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return repr(value)
    return safe(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
