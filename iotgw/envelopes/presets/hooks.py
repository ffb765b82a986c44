"""What no table says: checks of a platform's own signatures, and answers that carry a downlink. A preset names them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote

import msgspec
from msgspec import Struct

from iotgw.core import plain_json
from iotgw.envelopes.envelope import Asked, Command, Envelope, Proof
from iotgw.envelopes.presets import chirpstack_protobuf
from iotgw.envelopes.sigfox import SigfoxEnvelope

Verify = Callable[[Proof, str], str]
"""``verify(proof, secret)``: what is wrong with a request's signature, without any secret; empty if nothing is. Never
raises."""

_SIGNED = {
    "DevEUI_uplink": ("CustomerID", "DevEUI", "FPort", "FCntUp", "payload_hex"),
    "DevEUI_downlink_Sent": ("CustomerID", "DevEUI", "FPort", "FCntDn"),
    "DevEUI_downlink_Rejected": ("CustomerID", "DevEUI", "FPort", "FCntDn"),
    "DevEUI_location": ("CustomerID", "DevEUI"),
    "DevEUI_notification": ("CustomerID", "DevEUI"),
}
"""The fields of each report of ThingPark that its token is made of."""


def thingpark(proof: Proof, secret: str) -> str:
    """ThingPark's token: SHA-256 of fields of the body, the query as it was sent without the token, and the AS key.

    The query is decoded, but a ``+`` in it stands for itself. The key counts as it was typed, or in lower case.
    """
    parts = proof.query.decode("latin-1").split("&")
    token = next((part[6:] for part in parts if part.startswith("Token=")), "")
    if not token:
        return "no token"
    try:
        body: Any = plain_json.decode(proof.body)
    except plain_json.NotJson:
        return "a body that is no JSON"
    report = next(
        (name for name in _SIGNED if isinstance(body, dict) and isinstance(body.get(name), dict)), ""
    )
    if not report:
        return "a report that is not known"
    found = body[report]
    said = [str(found.get(name, 0 if name == "FPort" else "")) for name in _SIGNED[report]]
    if report == "DevEUI_location":
        said[1] = said[1].lower()
    query = "&".join(unquote(part) for part in parts if not part.startswith("Token="))
    for key in dict.fromkeys((secret, secret.lower())):
        expected = hashlib.sha256(f"{''.join(said)}{query}{key}".encode("utf-8", "replace")).hexdigest()
        if hmac.compare_digest(expected.encode(), token.lower().encode("utf-8", "replace")):
            return ""
    return "a wrong token"


def kpn_things(proof: Proof, secret: str) -> str:
    """KPN Things' header ``Things-Message-Token``: SHA-256 of the body as it was sent, and the shared secret."""
    token = proof.header("Things-Message-Token")
    if not token:
        return "no header Things-Message-Token"
    expected = hashlib.sha256(proof.body + secret.encode()).hexdigest()
    is_right = hmac.compare_digest(expected.encode(), token.lower().encode("utf-8", "replace"))
    return "" if is_right else "a wrong value of header Things-Message-Token"


VERIFIERS: dict[str, Verify] = {"thingpark": thingpark, "kpn-things": kpn_things}
Sign = Callable[[Mapping[str, Any], Mapping[str, str], int], str]
"""``sign(facts, settings, now_ms)``: the query of a call, with its signature. Raises ValueError."""


def thingpark_query(facts: Mapping[str, Any], settings: Mapping[str, str], now_ms: int) -> str:
    """The query of ThingPark's downlink call: signed as it is read, sent with its colons and pluses escaped
    (actility/thingpark-integrations, send_downlink_with_token.py)."""
    time = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds")
    confirmed = "&Confirmed=1" if facts["confirmed"] else ""
    query = (
        f"DevEUI={quote(str(facts['identity']), safe='')}&FPort={facts['fPort']}&Payload={facts['hex']}{confirmed}"
        f"&AS_ID={quote(settings.get('asId', ''), safe='')}&Time={time}&CorrelationID={facts['hex64']}"
    )
    token = hashlib.sha256(f"{unquote(query)}{settings.get('key', '')}".encode()).hexdigest()
    return f"{query}&Token={token}".replace(":", "%3A").replace("+", "%2B")


SIGNERS: dict[str, Sign] = {"thingpark": thingpark_query}
REPLIES: dict[str, Callable[[], Envelope]] = {"sigfox": SigfoxEnvelope}
"""Envelopes whose ``load`` writes an answer."""


AnswerAsked = Callable[[Asked, Mapping[str, Any]], tuple[Command, str]]
"""``answer(asked, facts)``: see `Envelope.answer`; ``facts`` are those of the downlink."""


def everynet_response(asked: Asked, facts: Mapping[str, Any]) -> tuple[Command, str]:
    """Everynet's ``downlink_response``: with the request's ``meta`` and counter, port, payload and whether it is to be confirmed (its data
    API's document of that name), and no more bytes than the request says. The
    ``downlink`` that reports on it has the device and the counter (ns.docs.everynet.io, adapters/http2)."""
    message: dict[str, Any] = asked.message if isinstance(asked.message, dict) else {}
    params = message.get("params")
    params = params if isinstance(params, dict) else {}
    most, counter, size = params.get("max_size"), params.get("counter_down"), len(str(facts["hex"])) // 2
    if isinstance(most, int | float) and size > most:
        raise ValueError(f"expected at most {max(0, int(most))} bytes at this data rate, got {size}")
    said = {"port": facts["fPort"], "payload": facts["base64"], "confirmed": facts["confirmed"]}
    if counter is not None:
        said["counter_down"] = counter
    body = {"type": "downlink_response", "meta": message.get("meta"), "params": said}
    name = f"{asked.device}/{counter}" if isinstance(counter, int) else ""
    return Command(msgspec.json.encode(body), "application/json"), name


ANSWERS: dict[str, AnswerAsked] = {"everynet": everynet_response}


class Coding(Struct, frozen=True):
    """Another form of a platform's messages than JSON. ``read(data, kind)`` is what a message says, None for what is none;
    ``write(body)`` is a downlink."""

    read: Callable[[bytes, str], dict[str, Any] | None]
    write: Callable[[dict[str, Any]], bytes]


CODINGS: dict[str, Coding] = {"chirpstack": Coding(chirpstack_protobuf.read, chirpstack_protobuf.write)}
