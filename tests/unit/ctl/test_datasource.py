"""Adding a platform's datasource on the command line: what is asked, what is saved, and what to paste is printed."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import msgspec
import pytest
from twisted.internet.task import Clock

from iotgw import testing
from iotgw.api.presets import PresetRoutes
from iotgw.core.types import Types
from iotgw.core.validate import convert
from iotgw.ctl.client import CtlError
from iotgw.ctl.commands import datasource
from iotgw.ctl.commands.datasource import Questions
from iotgw.datasources.http.datasource import HttpSourceType
from iotgw.datasources.mqtt.source_type import MqttSourceType


class Api:
    """The gateway's API: its presets, and what was saved."""

    def __init__(self) -> None:
        self.types: Any = Types("nobody", Clock(), [HttpSourceType, MqttSourceType], testing.FakeConnector())
        self.saved: list[dict[str, Any]] = []

    def get(self, path: str) -> Any:
        assert path == "/presets"
        page = testing.fired(PresetRoutes(self.types).list(None))  # type: ignore[arg-type]
        return {"items": [_plain(each) for each in page.items]}

    def call(self, method: str, path: str, body: dict[str, Any]) -> Any:
        assert (method, path) == ("POST", "/datasources")
        type_ = self.types.get(body["type"])
        settings = convert(body["configuration"], type_.settings, "configuration")
        self.saved.append(body)
        setup = type_.setup(settings, "k3y") if body["type"] == "http" else None
        return {"name": body["name"], **({"setup": _plain(setup)} if setup else {})}


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value)


class Person:
    """Somebody at a terminal: a question's first word that is known is answered."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def ask(self, question: str) -> str:
        self.asked.append(question)
        return next((text for word, text in self.answers.items() if word in question), "")


def add(api: Api, monkeypatch: Any, person: Person | None = None, **options: Any) -> str:
    """What is printed."""
    shown: list[str] = []
    known = {
        "preset": "",
        "type": "",
        "name": "",
        "converter": None,
        "public": "",
        "set": [],
        "url": "http://10.0.0.1:8080",
    }

    class Context:
        def __init__(self) -> None:
            self.options = Namespace(**{**known, **options})
            self.client = api

        def show(self, value: Any, text: Any) -> None:
            shown.append(text(value))

    monkeypatch.setattr(datasource.sys.stdin, "isatty", lambda: person is not None, raising=False)
    if person is not None:
        monkeypatch.setattr("builtins.input", person.ask)
        monkeypatch.setattr(datasource, "getpass", person.ask)
    datasource._add(Context())  # type: ignore[arg-type]
    return shown[0]


def test_what_is_missing_is_asked_for_and_what_to_paste_is_printed(monkeypatch: Any) -> None:
    api = Api()
    person = Person(
        Platform="the-things-stack", Name="fields", Converter="json", URL="https://eu1.example", application="app",
        webhook="iotgw", token="NNSXS.hush",
    )  # fmt: skip
    printed = add(api, monkeypatch, person, public="https://iot.example/")
    (saved,) = api.saved
    token = saved["configuration"]["security"]["token"]
    assert saved == {
        "name": "fields", "type": "http", "converter": "json",
        "configuration": {
            "preset": "the-things-stack", "security": {"mode": "bearer", "token": token},
            "downlinkApi": {
                "server": "https://eu1.example", "values": {"application": "app", "webhook": "iotgw"},
                "secrets": {"token": "NNSXS.hush"},
            },
        },
    }  # fmt: skip
    for line in (
        "URL: https://iot.example/i/k3y",
        f"Authorization: Bearer {token}",
        "Webhook format: JSON",
        "Custom webhook",
    ):
        assert line in printed
    assert "NNSXS" not in printed and len(token) >= 32


def test_a_script_gives_its_answers_beforehand(monkeypatch: Any) -> None:
    api = Api()
    printed = add(api, monkeypatch, preset="thingpark", name="tp", converter="", set=["secret=0011"])
    assert api.saved[0]["configuration"] == {"preset": "thingpark", "secret": "0011"}
    assert (
        "converter" not in api.saved[0] and "http://10.0.0.1:8080/i/k3y" in printed and "0011" not in printed
    )


def test_a_platform_with_basic_authentication_gets_a_name_and_a_password(monkeypatch: Any) -> None:
    api = Api()
    printed = add(api, monkeypatch, preset="kerlink-wanesy", converter="")
    security = api.saved[0]["configuration"]["security"]
    assert (security["mode"], security["username"]) == (
        "basic",
        "platform",
    ) and f"Password: {security['password']}" in printed


def test_over_mqtt_the_broker_is_asked_for(monkeypatch: Any) -> None:
    api = Api()
    given = ["host=eu1.cloud.thethings.network", "username=app@tenant", "password=hush"]
    add(api, monkeypatch, type="mqtt", preset="the-things-stack", converter="", set=given)
    assert api.saved[0]["configuration"] == {
        "preset": "the-things-stack", "host": "eu1.cloud.thethings.network", "username": "app@tenant", "password": "hush",
        "tls": {},
    }  # fmt: skip


def test_a_platform_that_signs_elsewhere_but_not_here_gets_a_token(monkeypatch: Any) -> None:
    api = Api()
    add(api, monkeypatch, preset="thingpark", name="tp", converter="", set=["signs=no"])
    configuration = api.saved[0]["configuration"]
    assert configuration["security"]["mode"] == "bearer" and "secret" not in configuration


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"preset": "pigeon"}, "preset: expected one of"),
        ({}, "preset: expected one of"),
        ({"preset": "thingpark"}, "secret: expected an answer"),
        ({"set": ["x"]}, "expected NAME=VALUE"),
        ({"preset": "loriot", "set": ["server=https://x"]}, "application: expected an answer"),
        ({"preset": "loriot", "type": "mqtt"}, "preset: expected one of"),
    ],
)
def test_what_is_not_answered_is_said(monkeypatch: Any, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(CtlError, match=reason):
        add(Api(), monkeypatch, **options)


def test_every_platform_can_be_added_with_all_that_it_asks_for(monkeypatch: Any) -> None:
    for about in Api().get("/presets")["items"]:
        api = Api()
        names = {"secret", "host", "username", "password", *about["api"]}
        given = [
            f"{name}={'https://ns.example' if name in ('server', 'loginServer') else 'x'}" for name in names
        ]
        add(api, monkeypatch, type=about["type"], preset=about["name"], converter="", set=given)
        assert ("downlinkApi" in api.saved[0]["configuration"]) is bool(about["api"])


def test_what_is_unverified_is_in_the_api() -> None:
    found = {(each["name"], each["type"]): each for each in Api().get("/presets")["items"]}
    assert "Recorded traffic" in found["element-iot", "http"]["unverified"]
    assert found["everynet", "http"]["downlinks"] == ["answer"]
    assert found["chirpstack", "mqtt"]["downlinks"] == ["mqtt"] and found["chirpstack", "http"][
        "downlinks"
    ] == ["api"]
    assert (
        found["thingpark", "http"]["proof"] == "signature"
        and found["milesight-gateway", "http"]["downlinks"] == []
    )


def test_a_secret_is_asked_for_without_an_echo() -> None:
    questions = Questions({}, lambda question: "seen", lambda question: "hidden")
    assert [questions.text(name, "?") for name in ("host", "password", "token", "clientSecret", "key")] == [
        "seen", "hidden", "hidden", "hidden", "hidden",
    ]  # fmt: skip
