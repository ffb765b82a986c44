"""Many resources at once, from a file or over the API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from iotgw.api.apply import apply_file
from iotgw.core.errors import SettingsError
from iotgw.core.resources_file import read

FILE = """
[[datasource]]
name = "field"
type = "coap"
converter = "mine"
configuration = { port = 5683, preSharedKey = "hush" }

[[converter]]
name = "mine"
scriptFile = "mine.js"

[[converter]]
library = "json"

[[integration]]
name = "out"
type = "http"
configuration = { url = "http://x", headers = { X-Key = "hush" } }

[[credential]]
name = "meter"
identity = "urn:imei:1"
secrets = [{ value = "hush-hush" }]
"""


KINDS = ("converter", "credential", "datasource", "integration")


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "mine.js").write_text("function mine() {}")
    (tmp_path / "resources.toml").write_text(FILE)
    return tmp_path / "resources.toml"


def outcomes(result: Any) -> list[str]:
    return [item.outcome for item in result.items]


@inline
async def test_a_file_is_applied_once_and_then_nothing_changes(bench: Any, file: Path) -> None:
    assert outcomes(await apply_file(bench.parts, file)) == ["created"] * 5
    assert bench.registry.get("converter", "mine").body["script"] == "function mine() {}"
    assert bench.registry.get("converter", "json").body["script"] == "function json() {}"
    revisions = [each.revision for kind in KINDS
                 for each in bench.registry.list(kind)]  # fmt: skip
    assert outcomes(await apply_file(bench.parts, file)) == ["unchanged"] * 5
    assert revisions == [each.revision for kind in KINDS
                         for each in bench.registry.list(kind)]  # fmt: skip


@inline
async def test_a_first_start_keeps_a_datasource_whose_port_is_taken(
    bench: Any, tmp_path: Path, connect: Any
) -> None:
    (tmp_path / "r.toml").write_text(
        '[[datasource]]\nname = "low"\ntype = "coap"\nconfiguration = { port = 1 }'
    )
    assert outcomes(await apply_file(bench.parts, tmp_path / "r.toml")) == ["created"]
    shown = await connect().ok("GET", "/datasources/low")
    assert shown["status"] == {"state": "failed", "error": "port 1: permission denied"}


@inline
async def test_only_what_differs_is_changed_a_secret_too(bench: Any, file: Path) -> None:
    await apply_file(bench.parts, file)
    file.write_text(FILE.replace('X-Key = "hush"', 'X-Key = "other"'))
    assert outcomes(await apply_file(bench.parts, file)) == ["unchanged"] * 4 + ["changed"]


@inline
async def test_a_refused_entry_is_said_and_does_not_stop_the_others(bench: Any, connect: Any) -> None:
    document = {
        "converter": [{"name": "bad", "script": "nonsense"}, {"name": "good", "script": "function g() {}"}],
        "datasource": [{"name": "a", "type": "coap", "converter": "bad"}, {"name": "b", "type": "coap"}],
        "integration": [{"name": "c", "type": "http", "configuration": {"url": "no scheme"}}],
    }
    result = await connect().ok("POST", "/apply", document)
    assert [item["outcome"] for item in result["items"]] == [
        "refused",
        "created",
        "refused",
        "created",
        "refused",
    ]
    assert result["refused"] == 3
    assert result["items"][4]["error"] == "configuration.url: expected http or https"


@inline
async def test_what_an_integration_warns_of_is_said_when_it_is_applied(bench: Any, file: Path) -> None:
    bench.delivery.accounts = {"state": "running", "warnings": ["queue.maxBytes may not be reached"]}
    for outcome in ("created", "unchanged"):
        items = {item.kind: item for item in (await apply_file(bench.parts, file)).items}
        assert (items["integration"].outcome, items["datasource"].outcome) == (outcome, outcome)
        assert items["integration"].warnings == ["queue.maxBytes may not be reached"]
        assert items["datasource"].warnings == []


@inline
async def test_a_dry_run_changes_nothing(bench: Any, connect: Any) -> None:
    document = {
        "converter": [{"name": "good", "script": "function g() {}"}],
        "datasource": [{"name": "a", "type": "coap", "converter": "good"}],
    }
    result = await connect().ok("POST", "/apply?dryRun=true", document)
    assert [item["outcome"] for item in result["items"]] == ["created", "created"]
    assert bench.registry.list("datasource") == bench.registry.list("converter") == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[[datasource", "expected TOML"),
        ("[[gadget]]\nname = 'x'", "unknown field `gadget`"),
        (
            "[[converter]]\nname = 'x'",
            "converter.0.: expected one of script, scriptFile and library, got none",
        ),
        ("[[converter]]\nscript = 'x'\nlibrary = 'json'", "got script and library"),
        ("[[converter]]\nscriptFile = 'gone.js'", "scriptFile: expected a readable text file"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "resources.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=problem):
        read(path)


def test_a_missing_file_is_said_in_one_line_and_json_is_read_too(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"gone\.toml: expected a readable file: No such file"):
        read(tmp_path / "gone.toml")
    (tmp_path / "r.json").write_text(json.dumps({"datasource": [{"name": "a"}]}))
    assert read(tmp_path / "r.json").datasource == [{"name": "a"}]
