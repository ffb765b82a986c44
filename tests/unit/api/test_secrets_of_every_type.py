"""The secrets of every type of datasource and integration: none is shown, all can be sent back as their masks, and none follows to another
place than the one for which it was entered."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from iotgw.app.parts import DATASOURCES, INTEGRATIONS
from iotgw.core.secrets import is_secret
from iotgw.core.types import Types
from iotgw.testing import FakeConnector, MemoryReactor
from tests.certificates import Authority, composite_rsa
from tests.unit.api.test_taking_secrets_out import bench, inline

__all__ = ["bench"]

HUSH = "hushhush"
KEY = base64.b64encode(f"{HUSH}{HUSH}".encode()).decode()
ISSUED = Authority().issue("gateway", kind="rsa")
PEM, PRIVATE = ISSUED.pem().decode(), ISSUED.key_pem().decode()
OTHER = Authority().issue("other").pem().decode()
EVENT_HUB = (
    "Endpoint=sb://{}.servicebus.windows.net/;SharedAccessKeyName=n;SharedAccessKey=" + KEY + ";EntityPath=e"
)
HUB = "HostName={}.azure-devices.net;SharedAccessKeyName=n;SharedAccessKey=" + KEY
ACCOUNT = json.dumps(
    {
        "type": "service_account", "client_email": "a@b.example", "private_key_id": "1",
        "private_key": composite_rsa(2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    }
)  # fmt: skip
AWS = {"accessKeyId": "id", "secretAccessKey": HUSH + "1", "sessionToken": HUSH + "2"}
OAUTH = {"tokenUrl": f"https://t/x?k={HUSH}", "clientId": "me", "clientSecret": HUSH}
PROXY = {"proxy": f"http://u:{HUSH}@proxy:3128"}
BROKER = {
    "host": "h",
    "username": "u",
    "password": HUSH,
    "tls": {"certificate": PEM, "key": PRIVATE},
    **PROXY,
}
X509 = {"pem": {"certFile": PEM, "keyFile": PRIVATE}, "trustAnchors": [PEM]}
COAP = {"securityMode": "DTLS", "dtls": {"x509": X509}}
TRUST = {"tls": {"ca": OTHER}}
TLS = [TRUST, {"tls": {"serverName": "evil"}}]

Change = dict[str, Any]
CASES: dict[str, tuple[dict[str, Any], list[Change]]] = {
    "datasource/coap": (COAP, []),
    "datasource/lwm2m": (COAP, []),
    "datasource/lwm2m-bootstrap": (
        {
            "dtls": COAP["dtls"], "issuer": {"certFile": PEM, "keyFile": PRIVATE},
            "profiles": [{"servers": [{"uri": "coaps://h", "mode": "x509", "serverCertificate": PEM}]}],
        }, [],
    ),
    "datasource/dragino-coap": (COAP, []),
    "datasource/lobaro-coap": (COAP, []),
    "datasource/tekelek": ({"password": HUSH, "devices": {"1": {"password": HUSH}}}, []),
    "datasource/http": (
        {
            "preset": "the-things-stack", "headersFilter": {"X-Key": HUSH}, "parametersFilter": {"k": HUSH}, "security": {"mode": "bearer", "token": HUSH},
            "downlinkApi": {"server": "https://h", "values": {"webhook": "a", "application": "a"}, "secrets": {"token": HUSH}, **PROXY},
        },
        [{"downlinkApi": change} for change in ({"server": "https://evil"}, {"server": "http://h"}, TRUST, {"proxy": "http://evil:1"})],
    ),
    "datasource/mqtt": (
        {**BROKER, "topics": ["a"]}, [{"host": "evil"}, {"port": 1}, {"proxy": "http://evil:1"}, *TLS],
    ),
    "datasource/dragino-mqtt": (
        {**BROKER, "topics": ["a"]}, [{"host": "evil"}, {"port": 1}, {"proxy": "http://evil:1"}, *TLS],
    ),
    "datasource/kafka": (
        {"brokers": ["h"], "topics": ["t"], "tls": {}, "sasl": {"mechanism": "OAUTHBEARER", "oauth2": OAUTH}},
        [{"brokers": ["evil"]}, {"brokers": ["h", "evil"]}, {"brokers": ["h:1"]}, {"tls": None}, {"sasl": {"oauth2": {"tokenUrl": "https://evil/x"}}}, *TLS],
    ),
    "datasource/opc-ua": (
        {
            "url": f"opc.tcp://u:{HUSH}@h:4840/p", "nodes": ["i=1"],
            "security": {"policy": "Basic256Sha256", "certificate": PEM, "key": PRIVATE, "serverCertificate": PEM},
        },
        [{"url": "opc.tcp://u:***@evil:4840/p"}, {"url": "opc.tcp://u:***@h:1/p"}, {"security": {"serverCertificate": OTHER}}],
    ),
    "datasource/rabbitmq": (
        {**BROKER, "queue": "q"}, [{"host": "evil"}, {"port": 1}, {"tls": None}, {"proxy": "http://evil:1"}, *TLS],
    ),
    "datasource/aws-sqs": (
        {**AWS, **PROXY, "queueUrl": "https://sqs.eu-central-1.amazonaws.com/1/q"},
        [{"queueUrl": "https://evil/1/q", "region": "eu-central-1"}, {"queueUrl": "http://sqs.eu-central-1.amazonaws.com/1/q"}, {"proxy": "http://evil:1"}, *TLS],
    ),
    "datasource/aws-kinesis": (
        {**AWS, **PROXY, "stream": "s", "region": "eu-central-1"},
        [{"endpoint": "https://evil"}, {"region": "eu-west-1"}, {"proxy": "http://evil:1"}, *TLS],
    ),
    "datasource/google-pubsub": (
        {"project": "plant", "subscription": "sub", "credentials": ACCOUNT, **PROXY},
        [{"endpoint": "https://evil"}, {"endpoint": "http://pubsub.googleapis.com"}, {"proxy": "http://evil:1"}, *TLS],
    ),
    "datasource/google-pubsub-push": (
        {"project": "plant", "subscription": "sub", "audience": "https://g", "serviceAccount": "a@b.example", "keys": {"url": "https://h/keys", **PROXY}},
        [{"keys": change} for change in ({"url": "https://evil"}, {"url": "http://h/keys"}, TRUST)],
    ),
    "datasource/azure-event-hub": ({"connectionString": EVENT_HUB.format("h")}, TLS),
    "datasource/azure-iot-hub": (
        {"connectionString": EVENT_HUB.format("h"), "methods": {"connectionString": HUB.format("h"), **PROXY}},
        [*TLS, {"methods": TRUST}, {"methods": {"proxy": "http://evil:1"}}, {"methods": {"connectionString": HUB.format("evil")}}],
    ),
    "integration/http": (
        {
            "url": f"https://h/p?code={HUSH}", "headers": {"Authorization": f"Bearer {HUSH}"}, "query": {"k": HUSH},
            "auth": {"type": "aws", "region": "eu-central-1", "service": "lambda", **AWS}, "signature": {"secret": HUSH}, **PROXY,
        },
        [{"url": "https://evil/p"}, {"url": "https://evil/p?code=***"}, {"proxy": "http://evil:1"}, *TLS],
    ),
    "integration/mqtt": (BROKER, [{"host": "evil"}, {"port": 1}, {"proxy": "http://evil:1"}, *TLS]),
    "integration/kafka": (
        {"brokers": ["h"], "sasl": {"mechanism": "PLAIN", "username": "u", "password": HUSH}}, [{"brokers": ["evil"]}, {"brokers": ["h:1"]}, *TLS],
    ),
    "integration/azure-event-hub": ({"connectionString": EVENT_HUB.format("h")}, TLS),
    "integration/azure-iot-hub": (
        {"connectionString": HUB.format("h"), **PROXY}, [{"connectionString": HUB.format("evil")}, {"proxy": "http://evil:1"}, *TLS],
    ),
    "integration/rabbitmq": (BROKER, [{"host": "evil"}, {"port": 1}, {"tls": None}, {"proxy": "http://evil:1"}, *TLS]),
    "integration/aws-sqs": (
        {**AWS, **PROXY, "queueUrl": "https://sqs.eu-central-1.amazonaws.com/1/q"},
        [{"queueUrl": "https://evil/1/q", "region": "eu-central-1"}, {"proxy": "http://evil:1"}, *TLS],
    ),
    "integration/aws-kinesis": (
        {**AWS, **PROXY, "stream": "s", "region": "eu-central-1"}, [{"endpoint": "https://evil"}, {"proxy": "http://evil:1"}, *TLS],
    ),
    "integration/google-pubsub": (
        {"project": "plant", "topic": "top", "credentials": ACCOUNT, **PROXY}, [{"endpoint": "https://evil"}, {"proxy": "http://evil:1"}, *TLS],
    ),
    "integration/sftp": (
        {"host": "h", "username": "u", "privateKey": PRIVATE, "passphrase": HUSH, "password": HUSH, "hostKeys": ["SHA256:abc"], **PROXY},
        [{"host": "evil"}, {"port": 1}, {"hostKeys": ["SHA256:evil"]}, {"knownHosts": "h ssh-ed25519 AAAA"}, {"proxy": "http://evil:1"}],
    ),
    "integration/thingsboard": (
        {"host": "h", "provision": {"key": HUSH, "secret": HUSH}, **PROXY}, [{"host": "evil"}, {"port": 1}, {"proxy": "http://evil:1"}, *TLS],
    ),
    "integration/thingsboard-http": (
        {"url": "https://h", "provision": {"key": HUSH, "secret": HUSH}, "tokens": {"d": HUSH}, **PROXY},
        [{"url": "https://evil"}, {"url": "http://h"}, {"proxy": "http://evil:1"}, *TLS],
    ),
}  # fmt: skip
"""By kind and type: a configuration with its secrets, and changes of where they go."""
TOLD = (HUSH, KEY, *PRIVATE.split("\n")[1:4], json.loads(ACCOUNT)["private_key"].split("\n")[3])
"""What nobody may read."""


def body(case: str, configuration: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    kind, _, type_ = case.partition("/")
    return f"/{kind}s", {"name": "x", "type": type_, "configuration": configuration, "enabled": False}


def merged(into: dict[str, Any], change: Change) -> dict[str, Any]:
    found = copy.deepcopy(into)
    for name, value in change.items():
        inner = found.get(name)
        found[name] = merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return {name: value for name, value in found.items() if value is not None}


@pytest.mark.parametrize(("kind", "table"), [("datasource", DATASOURCES), ("integration", INTEGRATIONS)])
def test_every_type_that_has_secrets_has_a_case(kind: str, table: Any) -> None:
    types: Any = Types("none", MemoryReactor(), table, FakeConnector())  # type: ignore[arg-type]
    holding = {f"{kind}/{type_.name}" for type_ in types if is_secret(type_.settings, "")}
    assert holding == {case for case in CASES if case.startswith(kind)}


@pytest.mark.parametrize("case", CASES)
@inline
async def test_no_secret_is_shown_or_plain_on_disk_and_each_can_be_sent_back(
    bench: Any, connect: Any, case: str
) -> None:
    client = connect()
    path, value = body(case, CASES[case][0])
    made = await client("POST", path, value)
    assert made.status == 201, made.text
    kind = case.partition("/")[0]
    stored = bench.registry.get(kind, "x").body
    for text in (made.text, (await client("GET", path)).text, json.dumps(stored)):
        assert not [each for each in TOLD if each in text]
    again = await client("PUT", f"{path}/x", {**made.json, "description": "edited"})
    assert again.status == 200, again.text
    assert bench.registry.get(kind, "x").body["configuration"] == stored["configuration"]


@pytest.mark.parametrize(
    ("case", "change"), [(case, change) for case, (_, moves) in CASES.items() for change in moves]
)
@inline
async def test_no_mask_follows_to_another_place(bench: Any, connect: Any, case: str, change: Change) -> None:
    client = connect("editor")
    path, value = body(case, CASES[case][0])
    made = await client.ok("POST", path, value)
    kind = case.partition("/")[0]
    before = bench.registry.get(kind, "x")
    moved = {**value, "configuration": merged(made["configuration"], change)}
    answer = await client("PUT", f"{path}/x", moved)
    assert (answer.status, "must be entered again" in answer.text) == (422, True), answer.text
    assert bench.registry.get(kind, "x") == before


@pytest.mark.parametrize(
    ("case", "change"),
    [
        ("datasource/coap", {"dtls": {"x509": {"pem": {"certFile": PEM + PRIVATE, "keyFile": None}}}}),
        ("datasource/mqtt", {"tls": {"certificate": PEM + PRIVATE}}),
        ("datasource/mqtt", {"tls": {"ca": PRIVATE}}),
        ("datasource/mqtt", {"topics": [PRIVATE]}),
        ("integration/sftp", {"knownHosts": PRIVATE}),
        ("integration/sftp", {"username": "PuTTY-User-Key-File-3: x\nPrivate-Lines: 1\nAAAAhush\nPrivate-MAC: 00"}),
        ("integration/sftp", {"encryptTo": ["-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nxVgE\n-----END PGP PRIVATE KEY BLOCK-----"]}),
    ],
)  # fmt: skip
@inline
async def test_a_private_key_where_it_would_be_shown_is_refused_and_not_repeated(
    bench: Any, connect: Any, case: str, change: Change
) -> None:
    path, value = body(case, merged(CASES[case][0], change))
    answer = await connect()("POST", path, value)
    assert answer.status == 422, answer.text
    assert not [each for each in (*TOLD, "AAAAhush", "xVgE") if each in answer.text]


@pytest.mark.parametrize(
    "case",
    [
        "datasource/azure-event-hub",
        "datasource/azure-iot-hub",
        "integration/azure-event-hub",
        "integration/azure-iot-hub",
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        EVENT_HUB.format("h/path"),
        HUB.format("h/path"),
        "Endpoint=sb://;SharedAccessKey=x;EntityPath=e",
    ],
)
@inline
async def test_a_connection_string_that_leads_nowhere_is_refused(
    bench: Any, connect: Any, case: str, text: str
) -> None:
    path, value = body(case, {"connectionString": text})
    answer = await connect()("POST", path, value)
    assert answer.status == 422 or (case.startswith("datasource") and not text), answer.text
    assert KEY not in answer.text
