"""Tekelek's and Dragino's connections as dialogues: bytes and times in, actions out, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iotgw.core.model import Downlink
from iotgw.datasources.vendors.tekelek import TekelekSettings
from iotgw.envelopes.dialogue import (
    Ask,
    Close,
    Confirmed,
    Lost,
    Reachable,
    Submit,
    Unreachable,
    Wait,
    Write,
)
from iotgw.envelopes.dragino import DraginoDialogue, DraginoEnvelope
from iotgw.envelopes.envelope import Malformed
from iotgw.envelopes.tekelek import PER_LINE, TekelekDialogue

DATA = Path(__file__).parents[2] / "data"
TEKELEK = [bytes.fromhex(each["hex"]) for each in json.loads((DATA / "tekelek.json").read_text())]
DRAGINO = {
    each["name"][:2]: bytes.fromhex(each["hex"]) for each in json.loads((DATA / "dragino.json").read_text())
}
LOGGER, NDDS75 = TEKELEK[3], DRAGINO["D3"]
IMEI, NODE = "864431047987054", "867787054545078"
NOW = 1_795_262_400_000


def item(number: int, payload: bytes = b"S0=84") -> Downlink:
    return Downlink(str(number), "d", payload)


def tekelek(**more) -> TekelekDialogue:
    return TekelekDialogue(TekelekSettings(**more))


def dragino() -> DraginoDialogue:
    return DraginoDialogue(DraginoEnvelope({}, "", "raw"), 1.0)


def kinds(actions) -> list[str]:
    return [type(action).__name__ for action in actions]


def test_a_tekelek_frame_is_submitted_and_its_device_can_be_reached():
    actions = tekelek().received(LOGGER, NOW)
    assert kinds(actions) == ["Reachable", "Wait", "Submit"]
    assert actions[0] == Reachable(IMEI)
    assert actions[2].reading.payload == LOGGER and actions[2].reading.facts["receivedTime"] == NOW


def test_with_nothing_queued_a_tekelek_is_told_to_sleep_and_closed_after_a_while():
    dialogue = tekelek(linger=2.0)
    dialogue.received(LOGGER, NOW)
    assert dialogue.answered(IMEI, ()) == [
        Unreachable(IMEI),
        Write(b"TEK822,R3=ACTIVE,R1=80\r\n"),
        Wait(2.0),
    ]
    assert dialogue.woke(NOW + 2000) == [Close()]


def test_a_command_brings_the_rest_of_the_queue_with_it_and_waits_for_the_frames_that_it_asks_for():
    dialogue = tekelek(answer_timeout=20.0)
    dialogue.received(LOGGER, NOW)
    first, second = item(1, b"R1=02"), item(2)
    assert dialogue.answered(IMEI, (first,)) == [Ask(IMEI, PER_LINE - 1, (first,))]
    assert dialogue.command(IMEI, (first, second)) == [
        Write(b"TEK822,R1=02,S0=84\r\n", (first, second)),
        Wait(20.0),
    ]
    assert Confirmed((first, second)) in dialogue.received(LOGGER, NOW)


def test_of_several_frames_that_came_together_the_last_answer_settles_the_session():
    dialogue = tekelek()
    dialogue.received(LOGGER * 2, NOW)
    assert dialogue.answered(IMEI, ()) == []
    assert kinds(dialogue.answered(IMEI, ())) == ["Unreachable", "Write", "Wait"]


def test_settings_that_no_line_can_carry_end_the_session_without_a_word():
    dialogue = tekelek(password="passwört")
    dialogue.received(LOGGER, NOW)
    assert kinds(dialogue.answered(IMEI, ())) == ["Unreachable", "Wait"]


def test_a_dragino_frame_ends_with_a_pause_and_its_downlink_leaves_at_once():
    dialogue = dragino()
    assert dialogue.received(NDDS75, NOW) == [Wait(None), Wait(1.0)]
    actions = dialogue.woke(NOW + 1000)
    assert kinds(actions) == ["Reachable", "Submit"] and actions[1].reading.identity == NODE
    sent = item(1, b"\x04\xff")
    assert dialogue.answered(NODE, (sent,)) == [Write(b"\x04\xff", (sent,))]
    assert dialogue.closed(is_clean=True, is_heard=True) == (Confirmed((sent,)),)


@pytest.mark.parametrize(
    ("is_clean", "is_heard", "said"),
    [
        (True, True, [Confirmed]),
        (True, False, []),
        (False, True, [Lost]),
        (False, False, [Lost]),
    ],
)
@pytest.mark.parametrize("make", [tekelek, dragino])
def test_the_end_of_a_connection_says_what_became_of_its_last_downlinks(make, is_clean, is_heard, said):
    dialogue = make()
    dialogue.received(LOGGER if make is tekelek else NDDS75, NOW)
    dialogue.command(IMEI, (item(1),))
    assert [type(action) for action in dialogue.closed(is_clean, is_heard)] == said
    assert dialogue.closed(is_clean, is_heard) == ()


def test_bytes_that_are_no_frame_end_a_connection():
    assert kinds(tekelek().received(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", NOW)) == ["Malformed", "Close"]
    dialogue = dragino()
    dialogue.received(b"GET / HTTP/1.1\r\n\r\n", NOW)
    assert kinds(dialogue.woke(NOW)) == ["Malformed", "Close"]


@st.composite
def steps(draw):
    """What may happen to a connection, in any order."""
    frames = [*TEKELEK, *DRAGINO.values(), b"RDY,0\r\n"]
    found = []
    for _ in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(["bytes", "bytes", "answer", "command", "wake"]))
        if kind == "bytes":
            data = bytearray(draw(st.sampled_from(frames)))
            for _ in range(draw(st.integers(0, 2))):
                at = draw(st.integers(0, len(data)))
                data[at : at + draw(st.integers(0, 6))] = draw(st.binary(max_size=6))
            found.append(("bytes", bytes(data)))
        else:
            payloads = st.sampled_from([b"R1=02", b"R1=80", b"\xff", b"{", b'{"data":"R6=02"}', b""])
            found.append((kind, draw(st.lists(payloads, max_size=3))))
    return found


@settings(max_examples=400, deadline=None)
@given(make=st.sampled_from([tekelek, dragino]), happened=steps(), is_clean=st.booleans())
def test_whatever_happens_actions_come_out_and_each_item_is_spoken_of(make, happened, is_clean):
    dialogue = make()
    number, given_items, asked = 0, set(), []
    spoken: set[str] = set()

    def note(actions):
        for action in actions:
            assert isinstance(
                action,
                Submit | Malformed | Write | Confirmed | Lost | Reachable | Unreachable | Ask | Wait | Close,
            )
            if isinstance(action, Ask):
                asked.append(action)
            elif isinstance(action, Write | Lost):
                spoken.update(each.id for each in action.items)

    for kind, what in happened:
        if kind == "bytes":
            note(dialogue.received(what, NOW))
            assert dialogue.pending < 4096
        elif kind == "wake":
            note(dialogue.woke(NOW))
        else:
            items = []
            for payload in what:
                number += 1
                items.append(item(number, payload))
            given_items.update(each.id for each in items)
            note(getattr(dialogue, "answered" if kind == "answer" else "command")(IMEI, tuple(items)))
    while asked:
        ask = asked.pop()
        note(dialogue.command(ask.identity, ask.besides))
    note(dialogue.ended(NOW))
    note(dialogue.closed(is_clean, is_clean))
    assert spoken == given_items
