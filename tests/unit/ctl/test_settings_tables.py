"""The documentation's settings tables are the code's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from msgspec import Meta, Struct

from iotgw.core.secrets import Secret
from iotgw.ctl.settings_tables import filled, settings_table

DOCS = Path(__file__).parents[3] / "docs"


class Sample(Struct, rename="camel"):
    needed: str
    some_port: Annotated[int, Meta(ge=0, le=9, description="A port | of sorts.")] = 5
    choice: Literal["a", "b"] = "a"
    password: Annotated[Secret, Meta(description="Whose?")] = ""
    wait: Annotated[float, Meta(gt=0)] | None = None


def test_a_table_says_name_type_default_and_meaning():
    assert settings_table(Sample).split("\n")[2:] == [
        "| `needed` | text | required |  |",
        "| `somePort` | integer ≥ 0 ≤ 9 | `5` | A port \\| of sorts. |",
        "| `choice` | `a`, `b` | `a` |  |",
        "| `password` | text |  | Whose? Secret. |",
        "| `wait` | number > 0 |  |  |",
    ]


@pytest.mark.parametrize("path", sorted(DOCS.glob("**/*.md")), ids=lambda path: path.name)
def test_the_documents_are_up_to_date(path):
    text = path.read_text()
    assert filled(text) == text, "run `make docs`"
