"""Integrations are added by presets."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
import pytest_twisted

from iotgw import testing
from iotgw.core.types import Types
from iotgw.ctl.commands import presets
from iotgw.integrations.http import HttpSettings


@pytest.fixture(autouse=True)
def targets(bench: Any) -> None:
    """The settings of real targets."""
    types: Types[Any] = Types("none", None, [lambda _: testing.FakeIntegrationType("http", HttpSettings)])
    bench.parts = msgspec.structs.replace(bench.parts, integration_types=types)


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


GIVEN = ("--answer", "org=acme", "--answer", "bucket=iot", "--answer", "token=t0ken-of-influx")


@inline
async def test_presets_are_listed_with_what_they_ask(run: Any) -> None:
    code, out, _ = await run("presets")
    assert code == 0
    assert "influxdb" in out and "url, org, bucket, token" in out


@inline
async def test_an_integration_is_added_with_the_answers_and_its_secrets_are_not_shown(run: Any) -> None:
    code, out, err = await run("integration", "add", "influx", "--preset", "influxdb", *GIVEN)
    assert (code, out, err) == (0, "influx is added\n", "")
    code, out, _ = await run("--json", "integrations", "influx")
    made = json.loads(out)
    assert made["format"] == "line-protocol"
    assert made["configuration"]["batch"] == "ndjson"
    assert "t0ken" not in out


@inline
async def test_what_is_not_answered_is_asked(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(text: str) -> Any:
        def say(prompt: str) -> str:
            asked.append(prompt)
            return {"url": "", "org": "acme"}.get(prompt.split(":", maxsplit=1)[0], text)

        return say

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", answer("iot"))
    monkeypatch.setattr(presets.getpass, "getpass", answer("t0ken"))
    code, _, err = await run("integration", "add", "influx", "--preset", "influxdb")
    assert (code, err) == (0, "")
    assert asked == [
        "url: where InfluxDB is [http://127.0.0.1:8086]: ", "org: the organization: ", "bucket: the bucket: ",
        "token: a token that may write there: ",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("integration", "add", "x", "--preset", "influxdb"), 2, "expected --answer org=…: the organization"),
        (
            ("integration", "add", "x", "--preset", "nothing"),
            1,
            "no preset 'nothing'; there are cumulocity-mqtt, ",
        ),
        (
            ("integration", "add", "x", "--preset", "influxdb", "--answer", "what=1", *GIVEN),
            1,
            "answers.what",
        ),
        (("integration", "add", "x", "--preset", "influxdb", "--answer", "org"), 2, "expected NAME=ANSWER"),
        (("integration", "out", "stats", "--preset", "influxdb"), 2, "for `integration add NAME` only"),
        (("integration", "out", "nonsense"), 2, "expected one of stats, check"),
    ],
)
@inline
async def test_what_is_wrong_is_said(run: Any, arguments: Any, code: int, words: str) -> None:
    found, _, err = await run(*arguments)
    assert (found, words in err) == (code, True), err
