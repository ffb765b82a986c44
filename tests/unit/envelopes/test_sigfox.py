"""SigFox's callbacks: uplinks, offers and receipts."""

from __future__ import annotations

import pytest

from iotgw.core.model import Downlink
from iotgw.envelopes.envelope import Malformed, Reading, Receipt
from iotgw.envelopes.sigfox import SigfoxEnvelope

ENVELOPE = SigfoxEnvelope()


def read(text: str):
    return list(ENVELOPE.read(text.encode(), {}, 0))


@pytest.mark.parametrize(
    ("ack", "listens"),
    [("true", True), ('"true"', True), ('"True"', True), ("false", False), ('"false"', False)],
)
def test_a_callback_is_an_uplink_whole_and_says_whether_its_answer_may_carry_something(ack, listens):
    text = f'{{"device": "1D2E3F", "data": "cafe", "ack": {ack}}}'
    (reading,) = read(text)
    assert reading == Reading(text.encode(), {}, "1D2E3F", listens)


@pytest.mark.parametrize(
    ("more", "sent", "reason"),
    [
        ('"infoCode": 0', True, "SigFox: acknowledged (infoCode 0)"),
        ('"infoCode": "0"', True, "SigFox: acknowledged (infoCode 0)"),
        ('"infoCode": 1', False, "SigFox: no answer (infoCode 1)"),
        ('"infoCode": 1, "infoMessage": "Got no reply"', False, "SigFox: Got no reply (infoCode 1)"),
        ('"infoCode": 77', False, "SigFox: unknown (infoCode 77)"),
        ('"infoCode": -1', False, "SigFox: unknown (infoCode -1)"),
    ],
)
def test_an_info_code_is_the_receipt_of_the_latest_offer(more, sent, reason):
    assert read(f'{{"device": "1D2E3F", {more}}}') == [Receipt("1D2E3F", "sent" if sent else "lost", reason)]


def test_what_is_pending_is_nothing_yet():
    assert read('{"device": "1D2E3F", "infoCode": 5}') == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"device": ""}',
        b'{"device": 7}',
        b'{"device": "d"',
        b'{"device": "\xff"}',
        b'{"device": "a", "x": ' + b"[" * 100_000,
        b"1e400",
    ],
    ids=lambda body: body[:12].hex(),
)
def test_what_is_no_callback_is_told_what_was_expected(body):
    (event,) = ENVELOPE.read(body, {}, 0)
    assert isinstance(event, Malformed) and "expected a SigFox callback such as" in event.reason


def test_one_answer_carries_an_item_for_each_device():
    eight = b"\x01\x02\x03\x04\x05\x06\x07\x08"
    first, second, other, short = (
        Downlink(id, id, payload)
        for id, payload in (("1", eight), ("2", eight[::-1]), ("3", eight), ("4", b"short"))
    )
    load = ENVELOPE.load([("A", first), ("B", other), ("A", second), ("C", short)])
    assert load.command.content_type == "application/json"
    assert load.command.payload == (
        b'{"A":{"downlinkData":"0807060504030201"},"B":{"downlinkData":"0102030405060708"}}'
    )
    assert load.carried == (second, other)
    assert load.unfit == ((short, "expected 8 bytes, as SigFox takes"),)
