"""Records are split into readings, values and entities."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.core.epochs import Epoch, Epochs
from iotgw.core.model import Kind
from iotgw.core.parts import Part, PartEpochs
from iotgw.delivery.splitting import Pieces, TooManyParts
from iotgw.testing import telemetry

BOTH = frozenset(("telemetry", "attributes"))


def body(*readings, attributes=None, **more):
    """A body with these pairs of time and values."""
    return json.dumps({
        "deviceName": "d1", "deviceType": "t", **more, "attributes": attributes or {},
        "telemetry": [{"ts": ts, "values": values} for ts, values in readings],
    }).encode()  # fmt: skip


def parts(record, split, wants=BOTH):
    return list(Pieces(record, split, wants))


def said(record, split, wants=BOTH):
    """Number, name, readings and attributes of each part."""
    found = []
    for part in parts(record, split, wants):
        made = json.loads(part.body)
        readings = [(entry["ts"], entry["values"]) for entry in made["telemetry"]]
        found.append((part.number, part.name, readings, made["attributes"]))
    return found


MESSAGE = telemetry(7, body=body((3, {"t": 1, "h": 2}), (1, {"t": 0}), attributes={"site": "x"}))


@pytest.mark.parametrize(
    ("split", "wanted"),
    [
        ("reading", [(2, "", [(1, {"t": 0})], {"site": "x"}), (1, "", [(3, {"t": 1, "h": 2})], {"site": "x"})]),
        ("value", [(3, "t", [(1, {"t": 0})], {"site": "x"}), (1, "t", [(3, {"t": 1})], {"site": "x"}),
                   (2, "h", [(3, {"h": 2})], {"site": "x"})]),
        ("entity", [(1, "t", [(3, {"t": 1}), (1, {"t": 0})], {"site": "x"}), (2, "h", [(3, {"h": 2})], {"site": "x"})]),
    ],
)  # fmt: skip
def test_parts_come_in_the_order_of_their_times_and_keep_their_numbers(split, wanted):
    assert said(MESSAGE, split) == wanted


@pytest.mark.parametrize("split", ["reading", "value", "entity"])
def test_a_part_has_all_else_that_its_record_has(split):
    record = telemetry(
        7, "d1", "t", 5, body((3, {"t": 1}), attributes={"a": 1}, customerName="c"), datasource="x"
    )
    (part,) = parts(record, split)
    assert json.loads(part.body) == json.loads(record.body)
    assert (part.whole, part.uplink, part.datasource, part.received_ms) == (record, 7, "x", 5)


@pytest.mark.parametrize("split", ["value", "entity"])
def test_a_message_without_readings_is_split_by_its_attributes(split):
    record = telemetry(7, body=body(attributes={"a": 1, "b": None}))
    assert said(record, split) == [(1, "a", [], {"a": 1}), (2, "b", [], {"b": None})]
    assert said(record, split, frozenset(("telemetry",))) == []
    assert said(record, "reading") == [(1, "", [], {"a": 1, "b": None})]


def test_a_message_that_says_nothing_has_no_parts():
    for split in ("reading", "value", "entity"):
        assert said(telemetry(7, body=b'{"deviceName":"d","deviceType":"t"}'), split) == []


def test_what_the_route_leaves_out_is_in_no_part():
    assert said(MESSAGE, "entity", frozenset(("telemetry",)))[1] == (2, "h", [(3, {"h": 2})], {})
    assert said(MESSAGE, "value", frozenset(("attributes",))) == [(1, "site", [], {"site": "x"})]


def test_an_event_stays_whole():
    record = telemetry(7, body=b'{"event":"x"}', kind=Kind.EVENT)
    (part,) = parts(record, "value")
    assert part.body == record.body


def test_the_mark_of_an_uncertain_time_stays_with_each_value_and_changes_no_number():
    marked = telemetry(7, body=body((3, {"clockUnsure": True, "t": 1, "h": 2}), (4, {"t": 5})))
    assert said(marked, "value") == [
        (1, "t", [(3, {"t": 1, "clockUnsure": True})], {}),
        (2, "h", [(3, {"h": 2, "clockUnsure": True})], {}),
        (3, "t", [(4, {"t": 5})], {}),
    ]


def test_a_record_with_too_many_parts_is_refused():
    with pytest.raises(TooManyParts, match="10001 parts"):
        Pieces(telemetry(1, body=body((1, {f"k{n}": n for n in range(10_001)}))), "value", BOTH)


def test_a_small_message_does_not_become_gigabytes():
    large = body((1, {f"k{n}": n for n in range(9_000)}), attributes={"a": "x" * 10_000})
    with pytest.raises(TooManyParts, match="in common"):
        Pieces(telemetry(1, body=large), "value", BOTH)


def test_a_part_s_key_is_that_of_its_record_and_its_number():
    epochs = Epochs()
    epochs.begin([Epoch("A")], Epoch("B", uplink=5, telemetry=6))
    names = PartEpochs(epochs, "value")
    record = telemetry(7, uplink=4, body=MESSAGE.body)
    first, *_ = parts(record, "value")
    assert names.key(first) == "A-4.B-7.3" == epochs.key(record) + ".3"
    assert names.number(first) == "B-7.3"
    assert names.id_of(first) == epochs.id_of(record) == "A-4"
    assert names.key(record) == epochs.key(record)
    assert names.position("A-4") == epochs.position("A-4") == 4


_values = st.dictionaries(
    st.text(max_size=3), st.one_of(st.integers(-9, 9), st.none(), st.text(max_size=3)), max_size=4
)
_readings = st.lists(st.tuples(st.integers(0, 5), _values), max_size=5)


@given(_readings, _values, st.sampled_from(["reading", "value", "entity"]))
def test_parts_have_all_values_once_and_no_position_or_number_twice(readings, attributes, split):
    record = telemetry(9, body=body(*readings, attributes=attributes))
    found = parts(record, split)
    assert all(isinstance(part, Part) for part in found)
    numbers = [part.number for part in found]
    assert sorted(numbers) == list(range(1, len(found) + 1))
    assert len({part.seq for part in found}) == len(found)

    def flat(entries):
        return sorted(
            (e["ts"], k, repr(v)) for e in entries for k, v in e["values"].items() if k != "clockUnsure"
        )

    there = [entry for part in found for entry in json.loads(part.body)["telemetry"]]
    assert flat(there) == flat(json.loads(record.body)["telemetry"])
