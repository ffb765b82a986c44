"""Platforms' own signatures: what they are made of, and what is none."""

from __future__ import annotations

import hashlib
import json

import pytest

from iotgw.envelopes.envelope import Asked, Proof
from iotgw.envelopes.presets.hooks import everynet_response, kpn_things, thingpark

# published by Actility and KPN: community.thingpark.org, "Connect your application with HTTPS"; the first is of an example key
UPLINKS = [
    (
        {"CustomerID": "100000507", "DevEUI": "000000000F1D8693", "FPort": "2", "FCntUp": "7011", "payload_hex": "0027bd00"},
        "LrnDevEui=000000000F1D8693&LrnFPort=2&LrnInfos=UPHTTP_LAB_LORA&AS_ID=app1.sample.com&Time=2016-01-11T14:11:11.333+02:00",
        "46ab678cd45df4a4e4b375Eacd096acc",
        "fd0b0b00464aa798a59282d64eaa70813e33bff87682880db49638569d096aad",
    ),
    (
        {"CustomerID": "100006246", "DevEUI": "0059AC000010020D", "FPort": 2, "FCntUp": 3, "payload_hex": "00277c0878fd9b2e000000000000ffff"},
        "LrnDevEui=0059AC000010020D&LrnFPort=2&LrnInfos=TWA_100006246.167.AS-1-1361149&AS_ID=hookbin&Time=2016-07-05T08:58:26.911+02:00",
        "00112233445566778899aabbccddeeff",
        "18f44bb294f9dd33b5168eeb92a0c7f9fa807914097dc9bb2ed5a789a65fad33",
    ),
]  # fmt: skip


def proof(body, query="", **headers) -> Proof:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Proof(query.encode(), lambda name: headers.get(name.replace("-", "_").lower(), ""), data)


@pytest.mark.parametrize(("fields", "query", "key", "token"), UPLINKS)
def test_thingpark_s_published_tokens_are_right(fields, query, key, token):
    for sent in (query, query.replace(":", "%3A").replace("+", "%2B")):
        assert thingpark(proof({"DevEUI_uplink": fields}, f"{sent}&Token={token}"), key) == ""
    assert thingpark(proof({"DevEUI_uplink": fields}, f"{query}&Token={token}"), "x" + key) == "a wrong token"
    assert (
        thingpark(proof({"DevEUI_uplink": {**fields, "payload_hex": "00"}}, f"{query}&Token={token}"), key)
        == "a wrong token"
    )


@pytest.mark.parametrize(
    ("report", "fields", "signed"),
    [
        ("DevEUI_downlink_Sent", {"DevEUI": "0A", "FPort": 3, "FCntDn": 7}, "c0A37"),
        ("DevEUI_location", {"DevEUI": "0A"}, "c0a"),
        ("DevEUI_notification", {"DevEUI": "0A"}, "c0A"),
        ("DevEUI_uplink", {"DevEUI": "0A", "FCntUp": 7}, "c0A07"),
    ],
)
def test_each_report_of_thingpark_has_fields_of_its_own(report, fields, signed):
    query = "LrnDevEui=0A&AS_ID=a&Time=t"
    token = hashlib.sha256(f"{signed}{query}key".encode()).hexdigest()
    assert thingpark(proof({report: {"CustomerID": "c", **fields}}, f"{query}&Token={token}"), "KEY") == ""


@pytest.mark.parametrize(
    ("body", "query", "said"),
    [
        ({}, "", "no token"),
        (b"\xff", "Token=x", "a body that is no JSON"),
        ([], "Token=x", "a report that is not known"),
        ({"DevEUI_uplink": 7}, "Token=x", "a report that is not known"),
        ({"DevEUI_uplink": {"FPort": {}}}, "Token=\udcff%ff%", "a wrong token"),
    ],
)
def test_what_is_no_token_is_said(body, query, said):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert thingpark(Proof(query.encode("utf-8", "surrogateescape"), lambda name: "", data), "key") == said


def test_kpn_s_token_is_over_the_bytes_as_they_came():
    body = b'[{"bn": "urn:dev:DEVEUI:0059AC0000152345:",  "bt": 1.76675482e9}]'
    token = hashlib.sha256(body + b"hush").hexdigest()
    assert kpn_things(proof(body, things_message_token=token), "hush") == ""
    assert kpn_things(proof(body, things_message_token=token.upper()), "hush") == ""
    written_anew = json.dumps(json.loads(body)).encode()
    assert "wrong value" in kpn_things(proof(written_anew, things_message_token=token), "hush")
    assert "wrong value" in kpn_things(proof(body, things_message_token="é"), "hush")
    assert "no header" in kpn_things(proof(body), "hush")


@pytest.mark.parametrize("most", [2, 2.9, 0, -1, -(10**400)])
def test_everynet_is_sent_no_more_than_it_takes(most):
    facts = {"hex": "000102", "base64": "AAEC", "fPort": 1, "confirmed": False}
    with pytest.raises(ValueError, match="expected at most"):
        everynet_response(Asked("meter-7", {"params": {"max_size": most}}), facts)
