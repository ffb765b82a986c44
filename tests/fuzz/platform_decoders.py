"""What networks, platforms and targets send beside readings: signatures, questions, reports, answers of APIs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from iotgw.connect.s3 import LARGEST_ANSWER
from iotgw.core import forwarded, plain_json
from iotgw.core.errors import ProtocolError
from iotgw.core.trusted_proxies import TrustedProxies
from iotgw.datasources.frames import HeldFrames, frame_name, joined
from iotgw.datasources.pubsub.push_body import wrapped
from iotgw.envelopes.api import ApiAnswer
from iotgw.envelopes.envelope import Asked, Proof, Reading
from iotgw.envelopes.presets.aws_iot import AwsIotTopics
from iotgw.envelopes.presets.choices import FILES, http_envelope, named
from iotgw.envelopes.presets.hooks import ANSWERS, VERIFIERS
from iotgw.envelopes.presets.watson import WatsonTopics
from iotgw.integrations.commands import items_of
from iotgw.integrations.http_judge import AnswerJudge, AnswerSettings, ItemSettings
from iotgw.integrations.thingsboard_shared import KnownAttributes
from iotgw.testing import clock
from iotgw.wire import s3_xml
from iotgw.wire.http1 import Response
from tests.fuzz.decoders import Decoder

DATA = Path(__file__).parents[1] / "data" / "platforms"
NOW_MS = 1_780_000_000_000
THING = "$aws/things/pump-1/shadow/update"
SHADOWS = [
    b'{"state":{"reported":{"t":1}},"version":7,"timestamp":1779168815,"clientToken":"iotgw:dl0123456789abcde0"}',
    b'{"code":409,"message":"conflict","clientToken":"iotgw:dl0123456789abcde0"}',
    b'{"current":{"state":{"reported":{"t":1}},"version":7},"timestamp":1779168815}',
]
ANSWERED = [
    b'{"access_token":"t","expires_in":3600,"token":"t","expiredDate":"2026-05-19T05:33:35Z"}',
    b'{"error":{"message":"m","code":1},"errors":["x"],"status":"QUEUED","id":7}',
    b'{"items":[{"index":0,"ok":true},{"index":1,"error":"no"}]}',
]
UPLOADS = (
    b"<R><Key>a/b</Key><NextContinuationToken>t</NextContinuationToken><Code>C</Code><Message>m</Message></R>"
)
FACTS = {"hex": "00e7", "base64": "AOc=", "fPort": 2, "confirmed": False}


def platform_decoders() -> list[Decoder]:
    """All of them."""
    return [
        *(Decoder(f"aws iot {name}", _topic(AwsIotTopics(), f"{THING}/{name}"), SHADOWS) for name in ("accepted", "rejected", "documents")),
        Decoder("aws iot jobs", _topic(AwsIotTopics(), "$aws/things/pump-1/jobs/notify"), SHADOWS),
        Decoder("watson's status", _topic(WatsonTopics(), "iot-2/type/t/id/7/mon"), [b'{"Action":"Connect","Time":"x"}']),
        *(Decoder(f"signature of {name}", _verify(name), _bodies(name), weight=4) for name in VERIFIERS),
        *(Decoder(f"question of {name}", _ask(name), [*_bodies(name), b'{"meta":{},"params":{"max_size":1,"counter_down":7}}'], (ValueError,)) for name in ANSWERS),
        *(Decoder(f"answer of {name}", _api(name), ANSWERED, weight=8) for name in FILES if named(name).api is not None),
        Decoder("frames that come twice", _frames, _bodies("thingpark") + _bodies("the-things-stack") + _bodies("netmore"), weight=8),
        Decoder("pubsub's push", wrapped, [b'{"message":{"data":"YQ==","messageId":"1","attributes":{"a":"b"}},"subscription":"s","deliveryAttempt":1}'], (ValueError,)),
        Decoder("s3's answer", s3_xml.leaves, [UPLOADS], (ProtocolError,), longest=min(LARGEST_ANSWER, 8 << 10)),
        Decoder("forwarded", _forwarded, [b'for=192.0.2.7;proto=https;host="a.example", for="[2001:db8::7]:4711"', b"192.0.2.7, 198.51.100.1"], longest=16 << 10),
        Decoder("target's answer", _judged, ANSWERED, weight=8),
        Decoder("target's commands", lambda data: items_of(data, "meter-7"), [b'[{"deviceName":"d","data":"AA=="},{"msg":1}]'], (ValueError,)),
        Decoder("shared attributes", _shared, [b'{"shared":{"a":1,"b":[{}]},"device":"d"}'], weight=4, longest=4096),
    ]  # fmt: skip


def _bodies(name: str) -> list[bytes]:
    file = DATA / f"{name}.json"
    cases = json.loads(file.read_text()) if file.exists() else []
    return [json.dumps(case["body"]).encode() for case in cases if "body" in case]


def _topic(envelope: Any, topic: str) -> Any:
    return lambda data: list(envelope.read(data, {"topic": topic}, NOW_MS))


def _verify(name: str) -> Any:
    """The body is hostile, and the query and the header are its beginning."""

    def verify(data: bytes) -> str:
        text = data[:200].decode("latin-1")
        query = b"LrnDevEui=1&Token=" + data[:64].hex().encode()
        said = [VERIFIERS[name](Proof(each, lambda name: text, data), "secret") for each in (query, data)]
        return said[0]

    return verify


def _ask(name: str) -> Any:
    def ask(data: bytes) -> object:
        try:
            message = plain_json.decode(data)
        except plain_json.NotJson:
            return None
        return ANSWERS[name](Asked("meter-7", message), FACTS)

    return ask


def _api(name: str) -> Any:
    api = named(name).api
    assert api is not None

    def answer(data: bytes) -> object:
        found = [
            api.judge(ApiAnswer(status, {"location": "x"}, data), {"identity": "d"}) for status in (200, 400)
        ]
        if api.logs_in:
            api.token(ApiAnswer(200, {"x-subject-token": "t"}, data), NOW_MS)
        return found

    return answer


def _frames(data: bytes) -> None:
    """Twice the same frame, gathered; and once more of another network."""
    found: list[Any] = []
    reactor = clock()
    frames = HeldFrames(reactor, 1.0, lambda *args, **more: found.append(args))
    for name in ("thingpark", "the-things-stack", "netmore"):
        for event in http_envelope(name, None, "auto", "none").read(data, {"query": {}}, NOW_MS):
            if isinstance(event, Reading):
                known = event.metadata({})
                frames.receive(event.payload, known, lambda answer: None, key=event.name)
                frames.receive(event.payload, known, lambda answer: None, key=event.name)
                frame_name(known)
                joined(known, {"gatewayId": "x", "rssi": -1})
    reactor.advance(2)


PROXIES = TrustedProxies(["192.0.2.0/24"])


def _forwarded(data: bytes) -> object:
    text = data.decode("latin-1")
    hops = [*forwarded.hops_of_forwarded(text), *forwarded.hops_of_x_forwarded_for(text)]
    return [PROXIES.has(hop) for hop in hops], forwarded.parameter(text, "host")


_JUDGE = AnswerJudge(
    AnswerSettings(
        success="body.ok", reason="body.error", final="body.final", busy="status == `503`", items="body.items", index="index",
        item=ItemSettings(success="ok", reason="error"),
    ),
    (), True, lambda body: body[:100].decode("utf-8", "replace"), lambda: 1.0,
)  # fmt: skip


def _judged(data: bytes) -> object:
    headers = {b"retry-after": data[:32]}
    return [_JUDGE.outcomes(Response(status, headers, data, True), [None] * 2) for status in (200, 503)]  # type: ignore[list-item]


def _shared(data: bytes) -> None:
    try:
        values = plain_json.decode(data)
    except plain_json.NotJson:
        return
    if isinstance(values, dict) and isinstance(values.get("shared"), dict):
        KnownAttributes(None).changed("meter-7", values["shared"])
