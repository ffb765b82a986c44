"""Whoever may edit or read a resource doesn't get at its secrets: with the real types and their settings."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from msgspec.structs import replace
from twisted.internet.defer import Deferred, succeed

from iotgw import testing
from iotgw.app.parts import DATASOURCES, INTEGRATIONS
from iotgw.connect.endpoint import Connector
from iotgw.core.types import Types
from iotgw.delivery.service import DeliveryService

from .conftest import Bench

KEY = "-----BEGIN EC PRIVATE KEY-----\\nMHcCAQEEIIrYSSNQFaA2Hwf1duRSxKtLYX5CB04fSeQ6tF1aHush\\n-----END EC PRIVATE KEY-----"
OAUTH = {"type": "oauth2", "tokenUrl": "https://t/token?key=hush1", "clientId": "me", "clientSecret": "hush2"}
BROKER = {"host": "h", "port": 1883, "username": "u", "password": "hush1"}
INTEGRATION: dict[str, dict[str, Any]] = {
    "http": {"url": "https://h/p?code=hush1", "headers": {"Authorization": "Bearer hush2"}},
    "basic": {"url": "https://h/p", "auth": {"type": "basic", "username": "u", "password": "hush1"}},
    "oauth2": {"url": "https://h/p", "auth": OAUTH},
    "mqtt": BROKER,
    "thingsboard": {"host": "h", "token": "hush1"},
    "sftp": {"host": "h", "username": "u", "password": "hush1", "hostKeys": ["SHA256:abc"]},
}


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


@pytest.fixture
def bench() -> Bench:
    """With the types of a gateway."""
    from twisted.internet import reactor

    made = Bench()
    connector = Connector(reactor)  # type: ignore[arg-type]
    sources: Any = Types("iotgw.none", reactor, DATASOURCES, connector)  # type: ignore[arg-type]
    targets: Any = Types("iotgw.none", reactor, INTEGRATIONS, connector)  # type: ignore[arg-type]
    delivery = DeliveryService(
        made.journal,
        targets,
        reactor,
        testing.MemoryEvents(),
        str,
        None,
        made.registry.unseal,
        "",  # type: ignore[arg-type]
    )
    made.delivery.validates = delivery.validate
    made.parts = replace(made.parts, datasource_types=sources, integration_types=targets)
    return made


def integration(name: str) -> dict[str, Any]:
    type_ = "http" if name in ("basic", "oauth2") else name
    return {"name": "out", "type": type_, "configuration": INTEGRATION[name]}


@pytest.mark.parametrize("name", INTEGRATION)
@inline
async def test_nothing_secret_is_shown_or_plain_on_disk_and_all_can_be_sent_back(
    bench: Any, connect: Any, name: str
) -> None:
    client = connect()
    made = await client("POST", "/integrations", integration(name))
    assert (made.status, "hush" in made.text) == (201, False), made.text
    stored = bench.registry.get("integration", "out").body
    assert "hush" not in str(stored)
    again = await client("PUT", "/integrations/out", {**made.json, "description": "edited"})
    assert again.status == 200, again.text
    assert bench.registry.get("integration", "out").body["configuration"] == stored["configuration"]


TLS = {"tls": {}}
MOVES: list[tuple[str, dict[str, Any]]] = [
    ("http", {"url": "https://evil/p?code=***"}),
    ("http", {"url": "https://evil/p"}),
    ("http", {"url": "http://h/p?code=***"}),
    ("http", {"url": "https://h:444/p?code=***"}),
    ("http", {"tls": {"serverName": "evil"}}),
    ("http", {"tls": {"ca": "-----BEGIN CERTIFICATE-----"}}),
    ("basic", {"url": "https://evil/p"}),
    ("oauth2", {"url": "https://evil/p"}),
    ("oauth2", {"auth": {"tokenUrl": "https://evil/token"}}),
    ("oauth2", {"auth": {"tokenUrl": "https://evil/token?key=***"}}),
    ("mqtt", {"host": "evil"}),
    ("mqtt", {"port": 1884}),
    ("mqtt", TLS),
    ("thingsboard", {"host": "evil"}),
    ("thingsboard", {"port": 1}),
    ("thingsboard", TLS),
    ("sftp", {"host": "evil"}),
    ("sftp", {"port": 2222}),
    ("sftp", {"hostKeys": ["SHA256:abc", "SHA256:evil"]}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change"), MOVES)
@inline
async def test_a_mask_does_not_follow_to_another_place(
    bench: Any, connect: Any, name: str, change: dict[str, Any]
) -> None:
    client = connect("editor")
    await client.ok("POST", "/integrations", integration(name))
    before = bench.registry.get("integration", "out")
    answer = await client("PATCH", "/integrations/out", {"configuration": change})
    assert (answer.status, "must be entered again" in answer.text) == (422, True), answer.text
    assert answer.json["errors"][0]["path"].startswith("configuration.")
    assert bench.registry.get("integration", "out") == before


@inline
async def test_an_applied_file_can_not_take_a_mask_elsewhere_either(connect: Any) -> None:
    client = connect("editor")
    made = await client.ok("POST", "/integrations", integration("mqtt"))
    moved = {"name": "out", "type": "mqtt", "configuration": {**made["configuration"], "host": "evil"}}
    (item,) = (await client.ok("POST", "/apply", {"integration": [moved]}))["items"]
    assert (item["outcome"], "must be entered again" in item["error"]) == ("refused", True)


@pytest.mark.parametrize("change", [{"host": "evil"}, {"port": 8883}, TLS])
@inline
async def test_a_subscription_keeps_its_password_to_its_broker(connect: Any, change: dict[str, Any]) -> None:
    client = connect("editor")
    source = {"name": "in", "type": "mqtt", "configuration": {**BROKER, "topics": ["a"]}}
    await client.ok("POST", "/datasources", source)
    answer = await client("PATCH", "/datasources/in", {"configuration": change})
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "configuration.password")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("http", {"url": "https://H:443/other?code=***"}),
        ("mqtt", {"port": None}),
        ("mqtt", {"topic": "elsewhere"}),
        ("sftp", {"path": "x"}),
        ("mqtt", {"host": "moved", "password": "entered again"}),
        ("basic", {"url": "https://moved/", "auth": {"password": "entered again"}}),
    ],
)
@inline
async def test_what_goes_to_the_same_place_or_is_entered_again_is_saved(
    connect: Any, name: str, change: dict[str, Any]
) -> None:
    client = connect("editor")
    await client.ok("POST", "/integrations", integration(name))
    await client.ok("PATCH", "/integrations/out", {"configuration": change})


@inline
async def test_a_mask_that_stands_for_nothing_is_never_a_value(connect: Any) -> None:
    client = connect("editor")
    await client.ok("POST", "/integrations", integration("http"))
    for change in ({"headers": {"X-New": "***"}}, {"url": "https://h/p?new=***"}):
        answer = await client("PATCH", "/integrations/out", {"configuration": change})
        assert (answer.status, "nothing is stored" in answer.text) == (422, True), answer.text


@pytest.mark.parametrize(
    ("kind", "type_", "configuration"),
    [
        ("integration", "http", {"url": "http://user:hush@h/"}),
        ("integration", "http", {"url": "http://user:hush/x@h/"}),
        ("integration", "http", {"url": "hush://h/?token=hush"}),
        ("integration", "http", {"url": "http://h/?token=hush", "headers": {"Host": "hush"}}),
        ("integration", "http", {"url": "http://h/", "headers": {"X-Pin": 4711}}),
        ("integration", "http", {"url": "http://h/", "auth": "hush"}),
        ("integration", "http", {"url": "http://h/", "auth": {**OAUTH, "tokenUrl": "http://u:hush@h/"}}),
        ("integration", "http", {"url": "http://h/", "method": KEY}),
        ("integration", "http", {"url": "http://h/", "auth": {"type": KEY}}),
        ("integration", "http", {"url": "https://h/", "tls": {"certificate": KEY, "key": KEY}}),
        ("integration", "http", {"url": "http://h/", "tls": {KEY: ""}}),
        ("integration", "mqtt", {"host": "h", "version": KEY}),
        ("integration", "sftp", {**INTEGRATION["sftp"], "hostKeys": [KEY]}),
        ("integration", "sftp", {**INTEGRATION["sftp"], "files": "schedule", "schedule": KEY}),
        ("integration", "sftp", {**INTEGRATION["sftp"], "privateKey": KEY}),
        ("datasource", "mqtt", {**BROKER, "topics": [KEY + "#"]}),
        ("datasource", "tcp", {"port": 0, "charset": KEY}),
        ("datasource", "tekelek", {"port": 0, "timeZone": KEY}),
        ("datasource", "coap", {"port": 0, "resources": KEY}),
    ],
)  # fmt: skip
@inline
async def test_a_problem_never_shows_a_secret(
    connect: Any, kind: str, type_: str, configuration: dict[str, Any]
) -> None:
    value = {"name": "x", "type": type_, "configuration": configuration}
    answer = await connect()("POST", f"/{kind}s", value)
    assert answer.status in (422, 409, 201), answer.text
    said = answer.text if answer.status != 201 else ""
    assert not any(secret in said for secret in ("Hush", "hush", "MHcCAQ", "4711")), said


@inline
async def test_a_mask_stands_for_what_is_saved_when_the_save_is_judged(bench: Any, connect: Any) -> None:
    looking: list[Deferred[None]] = [succeed(None), Deferred(), succeed(None)]
    begun: Deferred[None] = Deferred()

    def in_thread(look: Any, *more: Any) -> Deferred[None]:
        if len(looking) == 2:
            begun.callback(None)
        return looking.pop(0)

    bench.parts = replace(bench.parts, in_thread=in_thread)
    client = connect()
    made = await client.ok("POST", "/integrations", integration("http"))
    slow = looking[0]
    first = Deferred.fromCoroutine(client("PUT", "/integrations/out", made))  # with masks
    await begun
    body = integration("http")
    body["configuration"]["headers"] = {"Authorization": "Bearer hush3"}
    await client.ok("PUT", "/integrations/out", body)
    slow.callback(None)
    assert (await first).status == 200
    stored = bench.registry.get("integration", "out").body["configuration"]["headers"]["Authorization"]
    assert bench.registry.unseal(stored) == "Bearer hush3"
