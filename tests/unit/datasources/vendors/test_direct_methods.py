"""Downlinks as direct methods of an IoT hub in a test's hands: what is called, and what each answer means."""

from __future__ import annotations

import base64
import hmac
import re
from urllib.parse import quote, unquote

import pytest

from iotgw import testing
from iotgw.core.errors import SettingsError
from iotgw.core.model import Downlink
from iotgw.core.validate import convert
from iotgw.datasources.vendors.azure import IotHubSourceSettings, IotHubSourceType
from iotgw.datasources.vendors.direct_methods import DirectMethods
from tests.unit.json_server import JsonServer

KEY = base64.b64encode(b"not so secret").decode()
HUB = f"HostName=plant.azure-devices.net;SharedAccessKeyName=service;SharedAccessKey={KEY}"
EVENTS = "Endpoint=sb://192.0.2.1/;SharedAccessKeyName=n;SharedAccessKey=a2V5;EntityPath=plant"
PATH = "/twins/meter%207/methods?api-version=2021-04-12".replace("%20", "%3A")


class Hub:
    def __init__(self, **more):
        self.clock = testing.MemoryReactor()
        self.intake = testing.FakeIntake(clock=self.clock)
        connector = testing.FakeConnector()
        settings = convert(
            {"connectionString": EVENTS, "methods": {"connectionString": HUB, **more}}, IotHubSourceSettings
        )
        context = testing.datasource_context(self.intake, self.clock)
        self.source = IotHubSourceType(self.clock, connector).build(settings, context)
        self.server = JsonServer(connector, "plant.azure-devices.net")

    def push(self, payload=b'{"on": true}', device="meter:7", id="1", **metadata):
        self.source.push({"identity": device}, (Downlink(id, "meter", payload, metadata=metadata),))

    @property
    def became(self):
        return [outcome for _, outcome in self.intake.outcomes]


@pytest.fixture
def hub():
    return Hub()


def test_a_downlink_is_a_call_of_the_device_s_method(hub):
    hub.push()
    ((path, body),) = hub.server.actions()
    assert path == PATH
    assert body == {
        "methodName": "downlink", "responseTimeoutInSeconds": 30, "connectTimeoutInSeconds": 0,
        "payload": {"on": True},
    }  # fmt: skip


def test_a_downlink_may_name_another_method(hub):
    hub.push(method="reboot")
    assert hub.server.actions()[0][1]["methodName"] == "reboot"


@pytest.mark.parametrize(
    ("payload", "value"), [(b"[1]", [1]), (b"on", "on"), (b"", ""), (b"\xff\x00", "/wA=")]
)
def test_a_payload_is_json_or_text_or_base64(hub, payload, value):
    hub.push(payload)
    assert hub.server.actions()[0][1]["payload"] == value


def test_what_the_device_answers_is_the_downlink_s_result(hub):
    hub.push()
    hub.server.answer({"status": 200, "payload": {"was": False}})
    assert hub.became == ["sent", "delivered"]
    assert hub.intake.results["1"] == {"status": 200, "payload": {"was": False}}


def test_a_device_that_says_no_has_refused_it(hub):
    hub.push()
    hub.server.answer({"status": 501, "payload": None})
    assert hub.became == ["sent", "refused: the device answers 501"]


AWAY = b'{"Message":"{\\"errorCode\\":404103,\\"message\\":\\"device not online\\"}"}'


@pytest.mark.parametrize(
    ("status", "answer", "became", "is_the_hub_s_fault"),
    [
        (404, AWAY, "lost: HTTP 404 404103: device not online", False),
        (404, b'{"errorCode":404001,"message":"no device"}', "refused: HTTP 404 404001: no device", False),
        (504, b'{"errorCode":504101,"message":"no answer"}', "lost: HTTP 504 504101: no answer", False),
        (400, b'{"errorCode":400004,"message":"too large"}', "refused: HTTP 400 400004: too large", False),
        (429, b'{"errorCode":429001,"message":"slow down"}', "lost: HTTP 429 429001: slow down", True),
        (401, b'{"errorCode":401003,"message":"no"}', "lost: HTTP 401 401003: no", True),
        (500, b"<html>", "lost: HTTP 500: <html>", True),
        (200, b"[]", "lost: HTTP 200, but the answer can't be read", True),
    ],
)
def test_what_an_answer_of_the_hub_means(hub, status, answer, became, is_the_hub_s_fault):
    hub.push()
    hub.server.answer(answer, status=status)
    assert hub.became[-1].startswith(became)
    assert ("methods" in hub.source.status()) is is_the_hub_s_fault


def test_a_connection_that_breaks_loses_the_call_and_no_secret_is_told(hub):
    hub.push()
    hub.server.lose()
    assert hub.became[-1].startswith("lost: the connection was lost")
    hub.push(id="2")
    hub.server.answer({"message": f"key {KEY}"}, status=401)
    assert KEY not in hub.became[-1]


def test_a_downlink_that_is_under_way_is_not_called_for_again(hub):
    hub.push()
    hub.push()
    assert len(hub.server.actions()) == 1


@pytest.mark.parametrize("device", ["", "a/../b", "x" * 129, "a\r\nb"])
def test_a_device_that_no_hub_has_is_refused(hub, device):
    hub.push(device=device)
    assert hub.became[-1].startswith("refused: no IoT hub has a device")
    assert hub.server.actions() == []


def test_a_method_that_has_no_name_is_refused(hub):
    hub.push(method="a b")
    assert hub.became == ["refused: expected a method's name"]


def authorization(hub):
    ((head, _, _),) = hub.server.look()
    return re.search(r"^Authorization: (.*?)\r?$", head, re.MULTILINE)[1]


def test_the_token_is_signed_with_the_policy_s_key_and_made_anew_before_it_ends(hub):
    hub.push()
    first = authorization(hub)
    fields = dict(part.split("=", 1) for part in first.removeprefix("SharedAccessSignature ").split("&"))
    assert (fields["sr"], fields["skn"]) == ("plant.azure-devices.net", "service")
    assert int(fields["se"]) == testing.START + 3600
    signed = f"{quote(fields['sr'], safe='')}\n{fields['se']}".encode()
    assert base64.b64decode(unquote(fields["sig"])) == hmac.digest(b"not so secret", signed, "sha256")
    hub.server.answer({"status": 200})
    hub.clock.advance(1)
    hub.push(id="2")
    assert authorization(hub) == first
    hub.server.answer({"status": 200})
    hub.clock.advance(3300)
    hub.push(id="3")
    assert authorization(hub) != first


def test_without_methods_nothing_is_pushed_and_a_device_is_no_identity():
    connector, clock = testing.FakeConnector(), testing.MemoryReactor()
    settings = convert({"connectionString": EVENTS}, IotHubSourceSettings)
    source = IotHubSourceType(clock, connector).build(settings, testing.datasource_context(reactor=clock))
    assert source.can_push is False
    assert source._messages.whose == "device"


@pytest.mark.parametrize(
    "more",
    [
        {"connectionString": EVENTS}, {"connectionString": "HostName=a b;SharedAccessKeyName=s;SharedAccessKey=a2V5"},
        {"connectionString": "HostName=a;SharedAccessKeyName=s;SharedAccessKey=!"}, {"method": "a b"}, {"timeout": 301},
        {"connectionString": "HostName=a;DeviceId=d;SharedAccessKey=a2V5"},
    ],
)  # fmt: skip
def test_what_is_no_hub_is_refused(more):
    with pytest.raises(SettingsError):
        convert({"connectionString": HUB, **more}, DirectMethods)


def test_downlinks_that_come_with_an_answer_are_called_for(hub):
    from types import SimpleNamespace

    from iotgw.datasources.vendors.azure import DEVICE_ID

    hub.intake.put("meter:7", b"on")
    hub.source._assigned = frozenset({("plant", 0)})
    record = SimpleNamespace(offset=1, key=None, value=b"{}", timestamp=1, headers=[(DEVICE_ID, b"meter:7")])
    hub.source.on_records({("plant", 0): [record]})
    ((path, body),) = hub.server.actions()
    assert (path, body["payload"]) == (PATH, "on")
