"""What holds for every envelope: any bytes are readings, receipts, nothing, or malformed, and never an exception."""

from __future__ import annotations

import json
from pathlib import Path

import cbor2
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iotgw.core.model import Downlink
from iotgw.datasources.http.settings import HttpSourceSettings
from iotgw.envelopes.dragino import DraginoEnvelope
from iotgw.envelopes.envelope import PLAIN, Happened, Ignored, Malformed, Reading, Receipt
from iotgw.envelopes.lobaro import LobaroDatagrams, LobaroRequests, LobaroTopics
from iotgw.envelopes.presets.aws_iot import AwsIotTopics
from iotgw.envelopes.presets.choices import HTTP_PROFILES
from iotgw.envelopes.presets.watson import WatsonTopics
from iotgw.envelopes.sigfox import SigfoxEnvelope

VECTORS = json.loads((Path(__file__).parents[2] / "data" / "dragino.json").read_text())
LOBARO = cbor2.dumps({"i": "123456101550542", "n": 7, "d": {"vbat": 3688}})
SIGFOX = b'{"device": "1D2E3F", "data": "00", "ack": true}'

ENVELOPES = {
    "plain": lambda: PLAIN,
    "dragino": lambda: DraginoEnvelope({}, "", "raw"),
    "lobaro datagrams": lambda: LobaroDatagrams(300_000, answers=True),
    "lobaro datagrams, silent": lambda: LobaroDatagrams(300_000, answers=False),
    "lobaro requests": LobaroRequests,
    "lobaro topics": lambda: LobaroTopics("LOB/"),
    "sigfox": SigfoxEnvelope,
    "aws iot": AwsIotTopics,
    "watson": WatsonTopics,
}
SHADOW = b'{"state": {"reported": {"rpm": 900}}, "version": 7, "timestamp": 1795262400, "clientToken": "x"}'
SEEDS = [
    LOBARO,
    SIGFOX,
    SHADOW,
    b'{"i": "1", "q": "status"}',
    *(bytes.fromhex(each["hex"]) for each in VECTORS),
]

TOPICS = [
    "$aws/things/t/shadow/update/accepted", "$aws/things/t/shadow/name/n/update/rejected", "$aws/things/t/jobs/notify",
    "$aws/events/presence/connected/t", "$aws/things//shadow//", "$aws/events", "iot-2/type/a/id/b/mon",
    "iot-2/type/a/id/b/evt/e/fmt/json", "LOB/7/up/data",
]  # fmt: skip


@st.composite
def mutated(draw):
    seed = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(seed)))
        seed[at : at + draw(st.integers(0, 9))] = draw(st.binary(max_size=9))
    return bytes(seed)


facts = st.fixed_dictionaries(
    {},
    optional={
        "identity": st.text(max_size=20),
        "topic": st.text(max_size=40) | st.sampled_from(TOPICS),
        "path": st.text(max_size=40),
        "query": st.dictionaries(
            st.sampled_from(["q", "i", "address", "x"]), st.text(max_size=10), max_size=3
        ),
    },
)


@settings(max_examples=900, deadline=None)
@given(
    name=st.sampled_from(sorted(ENVELOPES)),
    data=st.binary(max_size=300) | mutated(),
    known=facts,
    now_ms=st.integers(0, 2**42),
)
def test_any_bytes_are_read_and_what_they_say_can_be_stored(name, data, known, now_ms):
    before = dict(known)
    for event in ENVELOPES[name]().read(data, known, now_ms):
        assert isinstance(event, Reading | Receipt | Ignored | Malformed | Happened)
        if isinstance(event, Reading):
            assert isinstance(event.payload, bytes)
            msgspec.json.encode(event.metadata(known))
        elif isinstance(event, Malformed):
            assert event.reason and "\n" not in event.reason
    assert known == before, "what was handed in is not edited"


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(sorted(ENVELOPES)),
    payload=st.binary(max_size=20) | st.just(b'{"q": "config"}'),
    identity=st.text(max_size=20),
)
def test_any_downlink_is_written_or_refused_with_a_reason(name, payload, identity):
    item = Downlink("1", "d", payload)
    try:
        assert isinstance(ENVELOPES[name]().write(item, identity).payload, bytes)
    except ValueError as reason:
        assert str(reason)


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(sorted(ENVELOPES)),
    pairs=st.lists(st.tuples(st.sampled_from("ab"), st.binary(min_size=7, max_size=9)), max_size=5),
)
def test_an_answer_s_load_counts_each_item_once(name, pairs):
    items = [(device, Downlink(str(n), device, payload)) for n, (device, payload) in enumerate(pairs)]
    load = ENVELOPES[name]().load(items)
    settled = [item.id for item in load.carried] + [item.id for item, _ in load.unfit]
    assert len(set(settled)) == len(settled) and set(settled) <= {item.id for _, item in items}
    assert (load.command is None) == (not load.carried)


@pytest.mark.parametrize("depth", [100, 100_000])
@pytest.mark.parametrize("name", ENVELOPES)
def test_what_is_nested_too_deeply_is_no_exception(name, depth):
    for data in (b"[" * depth, b'{"device":"d","x":' + b"[" * depth, b'{"i":"d","d":' + b'{"a":' * depth):
        list(ENVELOPES[name]().read(data, {}, 0))


def test_what_the_transport_knows_outranks_what_the_envelope_says():
    reading = Reading(b"", {"remoteIp": "forged", "model": "x"}, identity="claimed")
    known = {"remoteIp": "192.0.2.7", "identity": "proved"}
    assert reading.metadata(known) == {"remoteIp": "192.0.2.7", "identity": "proved", "model": "x"}
    assert reading.metadata({})["identity"] == "claimed"


def test_one_answer_carries_the_first_item_that_fits_and_says_which_never_will():
    class Short(type(PLAIN)):
        def write(self, item, identity):
            if len(item.payload) > 2:
                raise ValueError("expected at most 2 bytes")
            return super().write(item, identity)

    long, first, second = (Downlink(text, "d", text.encode()) for text in ("long", "a", "b"))
    load = Short().load([("d", long), ("d", first), ("d", second)])
    assert (load.command.payload, load.carried) == (b"a", (first,))
    assert load.unfit == ((long, "expected at most 2 bytes"),)


@pytest.mark.parametrize(
    ("settings", "field", "table"),
    [(HttpSourceSettings, "profile", HTTP_PROFILES)],
)
def test_each_name_that_users_may_choose_has_an_envelope(settings, field, table):
    names = next(each.type for each in msgspec.inspect.type_info(settings).fields if each.name == field)
    while isinstance(names, msgspec.inspect.Metadata):
        names = names.type
    assert set(names.values) == set(table)
