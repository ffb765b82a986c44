"""`iotgwctl init`: what is chosen becomes a configuration that a gateway takes."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import Clock

from iotgw.app.check_command import check
from iotgw.app.init_command import Wizard, first_steps
from iotgw.app.parts import DATASOURCES, INTEGRATIONS
from iotgw.config.settings import Settings
from iotgw.connect.endpoint import Connector
from iotgw.core.references import References
from iotgw.core.resources_file import read
from iotgw.core.types import Types
from iotgw.ctl.commands.datasource import Questions
from iotgw.ctl.directory import files_of, write
from iotgw.ctl.main import main
from iotgw.ctl.named_secrets import read_secrets
from tests.peers.gateway import ROOT

ANSWERS = {
    "host": "broker.example", "mqttHost": "broker.example", "url": "http://target.example", "brokers": "kafka.example:9092",
    "topic": "t", "port": "1883", "token": "hush-hush-token", "secret": "hush-hush", "password": "hush", "user": "me", "username": "me",
}  # fmt: skip


def wizard(answer: str = "a1") -> Wizard:
    clock: Any = Clock()
    connector = Connector(clock)

    def ask(question: str) -> str:
        return "http://api.example" if "URL" in question else answer

    return Wizard(
        Questions(ANSWERS, ask, ask),
        Types("none", clock, DATASOURCES, connector),
        Types("none", clock, INTEGRATIONS, connector),
    )


@pytest_twisted.ensureDeferred
async def test_whatever_is_chosen_a_gateway_takes_and_no_secret_is_in_it(tmp_path: Path) -> None:
    made = wizard()
    document, told = made.document([*made.devices], [*made.targets])
    named, names = made.with_named_secrets(document)
    text = "".join(files_of(named).values())
    assert "hush" not in text
    assert len(names.values) > 20
    write(tmp_path / "dir", files_of(named))
    names.write(tmp_path / "secrets")
    known = References(read_secrets(tmp_path / "secrets"))
    found = await check(read(tmp_path / "dir", known), Settings(), tmp_path / "data", reactor)  # type: ignore[arg-type]
    assert found.problems == []
    assert found.entries == len(made.devices) + len(made.targets)
    assert any(line.startswith("the-things-stack: Authorization: Bearer ") for line in told)
    assert "tekelek: port 55345" in told


def test_what_it_writes_for_devices_is_what_a_fresh_gateway_has() -> None:
    fresh = tomllib.loads((ROOT / "etc" / "resources.toml").read_text())["datasource"]
    steps = first_steps().device
    for source in fresh:
        source.pop("enabled", None)
        if source["name"] in steps and source["name"] != "mqtt":
            assert steps[source["name"]].datasource == source
    assert {"coap", "http", "tekelek", "dragino"} <= steps.keys()


def test_names_with_commas_are_enough_and_the_next_steps_are_said(tmp_path: Path, capsys: Any) -> None:
    directory = tmp_path / "gateway"
    arguments = ["init", str(directory), "--devices", "http,tekelek", "--targets", "thingsboard"]
    assert main([*arguments, "--set", "host=tb.example", "--set", "token=hush"]) == 0
    out = capsys.readouterr().out
    assert f"iotgwctl apply {directory} --secrets {directory}.secrets.env" in out
    assert "http: URL: http://GATEWAY:8080/i/" in out
    assert (tmp_path / "gateway.secrets.env").read_text() == "IOTGW_INTEGRATION_THINGSBOARD_TOKEN=hush\n"
    assert main(arguments) == 2
    assert "it is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--devices", "tekelec", "--targets", ""], "devices: expected some of "),
        (["--devices", "http", "--targets", "influxdb"], "org: expected "),
        (["--devices", "http", "--targets", "", "--set", "x"], "--set: expected NAME=VALUE"),
        ([], "expected some devices or targets"),
    ],
)
def test_what_is_not_known_and_what_is_not_answered_is_said(
    tmp_path: Path, capsys: Any, monkeypatch: Any, arguments: list[str], problem: str
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert main(["init", str(tmp_path / "x"), *arguments]) in (1, 2)
    assert problem in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_what_there_is_can_be_listed(tmp_path: Path, capsys: Any) -> None:
    assert main(["init", str(tmp_path / "x"), "--devices", "?"]) == 0
    out = capsys.readouterr().out
    assert "tekelek" in out and "devices behind The Things Stack" in out and "influxdb" in out
