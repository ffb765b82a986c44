"""What is remembered of messages: runs of them, single ones, and for how long."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.deduplication import (
    ANY_CONTENT,
    REUSED,
    RUNS_PER_PEER,
    SILENCE,
    STRETCH,
    Remembered,
    reused_key,
)
from iotgw.wire.coap.message import encode
from iotgw.wire.coap.peers import Peer

LIFETIME = 247.0
SLACK = STRETCH + 2
"""Seconds that something may be remembered for longer than it must."""


class Asked:
    """As much of an exchange as is remembered."""

    def __init__(self, peer: Peer, mid: int, received: float) -> None:
        self.peer = peer
        self.mid = mid
        self.key = peer.serial << 16 | mid
        self.received = received
        self.content = 1


def remembered(max_entries: int = 1000, max_bytes: int = 1 << 20) -> Remembered:
    return Remembered(max_entries, max_bytes, LIFETIME)


def peer(serial: int = 1) -> Peer:
    return Peer(serial, ("h", serial), Random(1))


def take(memory: Remembered, who: Peer, mid: int, now: float, code: int = n.CHANGED) -> None:
    """A message comes and is answered with a bare code."""
    asked = Asked(who, mid, now)
    memory.open(asked.key, asked)
    reply = encode(n.ACK, code, mid, b"t") if code else b""
    memory.settle(asked, LIFETIME, reply, code)


def test_a_message_is_its_open_exchange_and_then_its_reply():
    memory, who = remembered(), peer()
    asked = Asked(who, 7, 0.0)
    memory.open(asked.key, asked)
    assert memory.find(who, 7, b"t", 1) is asked
    memory.settle(asked, LIFETIME, b"reply")
    assert memory.find(who, 7, b"t", 1) == b"reply"
    assert memory.find(who, 8, b"t", 1) is None
    assert memory.find(peer(2), 7, b"t", 1) is None


def test_a_thousand_messages_in_a_row_take_the_room_of_two_and_four_bytes_each():
    memory, who = remembered(), peer()
    for number in range(1000):
        take(memory, who, 65_000 + number & 0xFFFF, number / 1000)
    assert len(memory) == 1000
    assert memory.size < 1000 + 4 * 1000
    for number in range(1000):
        mid = 65_000 + number & 0xFFFF
        assert memory.find(who, mid, b"t", 1) == encode(n.ACK, n.CHANGED, mid, b"t")
    assert memory.find(who, 64_999, b"t", 1) is None
    assert memory.find(who, 66_000 & 0xFFFF, b"t", 1) is None


def test_a_run_is_forgotten_from_its_beginning_while_it_grows_at_its_end():
    memory, who = remembered(), peer()
    for number in range(1000):
        take(memory, who, number, float(number))
        memory.expire(float(number))
    assert LIFETIME <= len(memory) <= LIFETIME + SLACK
    assert memory.find(who, 700, b"t", 1) is None
    assert memory.find(who, 999 - int(LIFETIME), b"t", 1) is not None


def test_a_reply_of_another_kind_ends_a_run():
    memory, who = remembered(), peer()
    for mid, code in enumerate((n.CHANGED, n.CHANGED, n.CREATED, n.CHANGED, n.CHANGED, SILENCE)):
        take(memory, who, mid, 0.0, code)
    answers = [memory.find(who, mid, b"t", 1) for mid in range(6)]
    assert [answer[1] if answer else 0 for answer in answers] == [68, 68, 65, 68, 68, 0]
    assert answers[5] == b""


def test_a_peer_that_jumps_about_gets_entries_rather_than_ever_more_runs():
    memory, who = remembered(), peer()
    mids = [base * 100 + offset for base in range(50) for offset in range(3)]
    for mid in mids:
        take(memory, who, mid, 0.0)
    assert len(who.runs) == RUNS_PER_PEER
    assert all(memory.find(who, mid, b"t", 1) for mid in mids)
    memory.expire(LIFETIME + SLACK)
    assert (len(memory), memory.size, memory.next_expiry, who.runs) == (0, 0, None, ())


def test_a_message_that_never_gets_its_reply_is_forgotten_as_well():
    memory, who = remembered(), peer()
    asked = Asked(who, 7, 0.0)
    memory.open(asked.key, asked)
    assert memory.next_expiry == LIFETIME + 1
    memory.expire(LIFETIME - 1)
    assert memory.find(who, 7, b"t", 1) is asked
    memory.expire(LIFETIME + 1)
    assert memory.find(who, 7, b"t", 1) is None
    memory.settle(asked, LIFETIME, b"too late")
    assert len(memory) == 0


def test_an_exchange_that_lost_its_message_id_to_another_message_settles_nothing():
    memory, who = remembered(), peer()
    first, second = Asked(who, 7, 0.0), Asked(who, 7, 1.0)
    memory.open(first.key, first)
    memory.open(second.key, second)
    memory.settle(first, LIFETIME, b"first")
    assert memory.find(who, 7, b"t", 1) is second


def reuse(memory: Remembered, who: Peer, mid: int, now: float, content: int) -> None:
    """A message comes under a Message ID that is another's, unless that one is forgotten, and is answered."""
    found = memory.find(who, mid, b"t", content)
    assert found in (REUSED, None)
    asked = Asked(who, mid, now)
    asked.content = content
    if found is REUSED:
        asked.key = reused_key(asked.key, content)
    memory.open(asked.key, asked)
    assert memory.find(who, mid, b"t", content) is asked
    memory.settle(asked, LIFETIME, b"reply %d" % content, n.CHANGED)


def test_messages_with_one_message_id_are_remembered_side_by_side():
    memory, who = remembered(), peer()
    for mid in (7, 8, 9):  # a run
        take(memory, who, mid, 0.0)
    for content in (2, 3):
        reuse(memory, who, 8, 100.0, content)
    replies = [memory.find(who, 8, b"t", content) for content in (1, 2, 3)]
    assert replies == [encode(n.ACK, n.CHANGED, 8, b"t"), b"reply 2", b"reply 3"]


def test_each_of_them_has_its_own_lifetime():
    memory, who = remembered(), peer()
    take(memory, who, 8, 0.0)
    reuse(memory, who, 8, 200.0, 2)
    memory.expire(LIFETIME + SLACK)
    assert memory.find(who, 8, b"t", 1) is None
    assert memory.find(who, 8, b"t", 2) == b"reply 2"
    memory.expire(200 + LIFETIME + SLACK)
    assert memory.find(who, 8, b"t", 2) is None
    assert (len(memory), memory.size, memory.next_expiry, memory._reused) == (0, 0, None, set())


def test_a_modem_with_one_message_id_for_everything_is_bounded_as_any_other():
    memory, who = remembered(max_entries=200), peer()
    take(memory, who, 1, 0.0)
    for content in range(2, 1000):
        reuse(memory, who, 1, content / 100, content)
    assert len(memory) + memory.evicted == 999
    assert len(memory._reused) <= len(memory) < 300


def test_any_content_makes_everything_with_the_message_id_a_copy():
    memory, who = remembered(), peer()
    asked = Asked(who, 7, 0.0)
    asked.content = ANY_CONTENT
    memory.open(asked.key, asked)
    assert memory.find(who, 7, b"t", 2) is asked
    memory.settle(asked, LIFETIME, b"reply")
    assert memory.find(who, 7, b"t", 2) == b"reply"


def test_runs_count_against_the_ceiling():
    memory = remembered(max_entries=200)
    for serial in range(1000):
        who = peer(serial)
        for mid in range(3):
            take(memory, who, mid, serial / 100)
    assert memory.evicted == 3000 - len(memory)
    assert 100 < len(memory) < 500


@given(
    st.lists(
        st.tuples(
            st.integers(1, 3),  # peer
            st.sampled_from((1, 1, 1, 1, 2, -1, 0, 1000)),  # how far the next Message ID is
            st.sampled_from((n.CHANGED, n.CHANGED, n.CHANGED, n.CREATED, SILENCE, None)),
            st.sampled_from((0.0, 0.0, 0.1, 1.0, 20.0, 100.0)),  # seconds until then
        ),
        max_size=120,
    )
)
def test_whatever_comes_is_remembered_for_its_lifetime_and_not_for_much_longer(steps):
    memory = remembered()
    peers = {serial: peer(serial) for serial in (1, 2, 3)}
    mids = {1: 0, 2: 65_530, 3: 30_000}
    known: dict[tuple[int, int], tuple[float, bytes]] = {}
    now = 0.0
    for serial, jump, code, wait in steps:
        now += wait
        memory.expire(now)
        who = peers[serial]
        mid = mids[serial] = mids[serial] + jump & 0xFFFF
        found = memory.find(who, mid, b"t", 1)
        at, reply = known.get((serial, mid), (-1e9, b""))
        if now - at < LIFETIME:
            assert found == reply
        elif now - at > LIFETIME + SLACK:
            assert found is None
        if found is None:
            asked = Asked(who, mid, now)
            memory.open(asked.key, asked)
            reply = b"with a body" if code is None else encode(n.ACK, code, mid, b"t") if code else b""
            memory.settle(asked, LIFETIME, reply, code)
            known[serial, mid] = now, reply
    memory.expire(now + LIFETIME + SLACK)
    assert (len(memory), memory.size, memory.next_expiry) == (0, 0, None)
