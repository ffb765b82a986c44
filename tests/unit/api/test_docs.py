"""docs/api.md names every operation, with what it is for and who may."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from iotgw.api.app import routes

DOCS = Path(__file__).parents[3] / "docs" / "api.md"


def test_the_table_of_operations_is_the_apis(bench: Any) -> None:
    lines = [
        f"| {route.method} | `{route.path.replace('path:', '')}` | {route.needs.value} | {route.summary} |"
        for route in routes(bench.parts)
    ]
    shown = DOCS.read_text().partition("## All operations")[2].splitlines()
    missing = [line for line in lines if line not in shown]
    assert not missing, "docs/api.md lacks\n" + "\n".join(missing)
    stale = [line for line in shown if line.startswith("| ") and "`" in line and line not in lines]
    assert not stale, "docs/api.md has what the API hasn't\n" + "\n".join(stale)
