"""The request layer: limits, Echo, No-Response, groups, reused Message IDs, discovery, observers' caps."""

from __future__ import annotations

import pytest

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.blockwise import Block
from iotgw.wire.coap.defence import Echo
from iotgw.wire.coap.discovery import WELL_KNOWN_CORE, Discovery, link
from iotgw.wire.coap.limits import EndpointLimits
from iotgw.wire.coap.message import Message, encode, error, options
from iotgw.wire.coap.timing import Policy
from tests.unit.wire.coap.bench import OTHER, PEER, Bench, Box

LARGE = Message(n.CONTENT, bytes(500))


def test_a_peer_over_its_rate_is_told_when_to_come_back_and_a_non_is_dropped():
    box = Box(policy=Policy(rate=0.5, burst=2))
    bench = Bench({"i": box})
    assert [bench.one(n.POST, "i").code for _ in range(2)] == [n.CHANGED] * 2
    refused = bench.one(n.POST, "i")
    assert (refused.code, refused.options.get_uint(n.MAX_AGE)) == (n.TOO_MANY_REQUESTS, 2)
    assert bench.ask(n.POST, "i", type=n.NON) == []
    assert bench.one(n.POST, "i", remote=OTHER).code == n.CHANGED
    bench.advance(2)
    assert bench.one(n.POST, "i").code == n.CHANGED
    assert bench.endpoint.counters.limited == 2
    assert len(box.requests) == 4


def test_a_stranger_must_echo_before_it_gets_a_large_reply():
    bench = Bench({"i": Box(LARGE, policy=Policy(amplification=3))})
    asked = bench.one(n.GET, "i")
    assert (asked.code, asked.payload) == (n.UNAUTHORIZED, b"")
    echo = asked.options.get(n.ECHO)
    assert bench.one(n.GET, "i", b"", (n.ECHO, echo), remote=OTHER).code == n.UNAUTHORIZED
    assert bench.one(n.GET, "i", b"", (n.ECHO, echo)).code == n.CONTENT
    assert bench.one(n.GET, "i").code == n.CONTENT  # it is known for a while
    bench.advance(601)
    assert bench.one(n.GET, "i").code == n.UNAUTHORIZED


def test_a_small_reply_needs_no_echo():
    bench = Bench({"i": Box(Message(n.CONTENT, b"21.5"), policy=Policy(amplification=3))})
    assert bench.one(n.GET, "i").code == n.CONTENT


def test_an_echo_value_is_for_one_address_and_a_minute():
    echo = Echo(b"k" * 32)
    value = echo.value(PEER, 1000)
    assert echo.is_fresh(value, PEER, 1060)
    assert not echo.is_fresh(value, PEER, 1062)
    assert not echo.is_fresh(value, PEER, 990)
    assert not echo.is_fresh(value, OTHER, 1000)
    assert not Echo(b"x" * 32).is_fresh(value, PEER, 1000)
    assert not echo.is_fresh(value[:4], PEER, 1000)


def test_an_error_is_no_larger_than_its_request_until_its_sender_has_proved_its_address():
    bench = Bench({"i": Box(error(n.BAD_REQUEST, "expected a number, got — a text"))})
    for path, code in (("", n.NOT_FOUND), ("i", n.BAD_REQUEST), ("i?a=an-argument", n.BAD_REQUEST)):
        answer = bench.one(n.GET, path, token=b"")
        assert answer.code == code
        assert bool(answer.payload) + len(answer.payload) <= len(path) + 2
        answer.payload.decode()
    assert len(bench.one(n.GET, "i", b"", (9999, b""), token=b"").payload) <= 4
    assert bench.prove().one(n.GET, "i").payload == "expected a number, got — a text".encode()


@pytest.mark.parametrize(
    ("wanted", "codes"), [(2, [n.CHANGED]), (8, [n.NOT_FOUND]), (26, [n.CHANGED, n.NOT_FOUND])]
)
def test_no_response_silences_the_classes_that_it_names(wanted, codes):
    bench = Bench({"i": Box()})
    for path, code in (("i", n.CHANGED), ("no", n.NOT_FOUND)):
        non = bench.ask(n.POST, path, b"", (n.NO_RESPONSE, wanted), type=n.NON)
        con = bench.one(n.POST, path, b"", (n.NO_RESPONSE, wanted))
        assert bool(non) != (code in codes)
        assert con.code == (n.EMPTY if code in codes else code)


def test_a_downlink_that_nobody_wants_to_hear_is_lost_and_said_so():
    box, outcome = Box(None), []
    bench = Bench({"i": box})
    bench.ask(n.POST, "i", b"", (n.NO_RESPONSE, 2))
    box.exchanges[0].reply(Message(n.CHANGED, b"down"), lambda: outcome.append("arrived"), outcome.append)
    bench.ask(n.POST, "i")
    assert outcome == ["the peer wants no response"]


# --- Message IDs that are used again --------------------------------------------------------------


def test_strict_takes_a_known_message_id_for_a_copy_whatever_it_brings():
    box = Box(policy=Policy(match_content=False))
    bench = Bench({"i": box})
    for body in (b"before the reboot", b"after it"):
        bench.one(n.POST, "i", body, mid=1)
    assert [request.payload for request in box.requests] == [b"before the reboot"]


def test_with_content_a_known_message_id_with_another_body_is_a_new_message():
    box = Box()
    bench = Bench({"i": box})
    for body in (b"one", b"one", b"two", b"two", b"one"):
        bench.one(n.POST, "i", body, mid=1)
    assert [request.payload for request in box.requests] == [b"one", b"two"]
    assert bench.endpoint.counters.reused_mids == 1
    bench.advance(600)
    assert len(bench.endpoint.remembered) == len(bench.endpoint.remembered._reused) == 0
    assert bench.endpoint.remembered.size == 0


def test_messages_with_one_message_id_are_answered_apart_and_each_copy_as_its_original():
    box = Box(None)
    bench = Bench({"i": box})
    first, second = (bench.ask(n.POST, "i", body, mid=1, token=body) for body in (b"a", b"b"))
    assert first == second == []
    box.exchanges[1].reply(Message(n.CHANGED))
    (answer,) = bench.take()
    assert (answer.type, answer.token) == (n.ACK, b"b")
    assert bench.ask(n.POST, "i", b"a", mid=1, token=b"a") == []  # its reply is still to come
    assert bench.ask(n.POST, "i", b"b", mid=1, token=b"b") == [answer]
    assert len(box.requests) == 2


def test_a_copy_is_one_after_its_separate_response_as_well():
    box = Box(None)
    bench = Bench({"i": box})
    bench.ask(n.POST, "i", b"a", mid=1)
    bench.advance(1)  # the empty ACK
    box.exchanges[0].reply(Message(n.CHANGED, b"down"))
    (response,) = bench.take()
    bench.put_in(encode(n.ACK, n.EMPTY, response.mid))
    (again,) = bench.ask(n.POST, "i", b"a", mid=1)
    assert (again.type, again.code, again.mid) == (n.ACK, n.EMPTY, 1)
    assert len(box.requests) == 1


def test_blocks_that_all_have_one_message_id_make_a_body():
    box = Box()
    bench = Bench({"i": box})
    for number, payload in enumerate((b"a" * 16, b"b" * 16, b"c")):
        more = number < 2
        for _ in range(2):  # each comes twice
            answer = bench.one(
                n.POST, "i", payload, (n.BLOCK1, Block(number, more, 0).value), mid=1, token=b"t"
            )
            assert answer.code == (n.CONTINUE if more else n.CHANGED)
    assert [request.payload for request in box.requests] == [b"a" * 16 + b"b" * 16 + b"c"]


# --- groups ---------------------------------------------------------------------------------------


def test_a_group_gets_discovery_after_a_random_while_and_nothing_else():
    bench = Bench({"i": Box(links={"rt": "box"})})
    bench.site.add(WELL_KNOWN_CORE, Discovery(bench.site))
    core = "/".join(WELL_KNOWN_CORE)

    def ask(path, type=n.NON):
        found = bench.ask(n.GET, path, type=type, multicast=True)
        return [*found, *bench.advance(5)]

    (answer,) = ask(core)
    assert (answer.type, answer.payload) == (n.NON, b'</i>;rt="box"')
    assert ask(f"{core}?rt=none") == ask("i") == ask("no") == ask(core, n.CON) == []
    assert bench.put_in(b"\x49\x01\x00\x01", multicast=True) == []
    assert bench.put_in(b"\x40\x00\x00\x01", multicast=True) == []


# --- observers ------------------------------------------------------------------------------------


def observe(bench, token, remote=PEER):
    return bench.one(n.GET, "i", b"", (n.OBSERVE, 0), token=token, remote=remote).options.get_uint(n.OBSERVE)


def test_who_cannot_observe_any_more_gets_a_plain_answer():
    box = Box(Message(n.CONTENT, b"x"), is_observable=True, policy=Policy(max_observers=2))
    bench = Bench({"i": box}, limits=EndpointLimits(observers=10))
    assert [observe(bench, bytes([number])) for number in range(3)] == [1, 1, None]
    assert observe(bench, bytes([0])) == 2  # a known one is refreshed


def test_a_resource_that_changes_by_being_rendered_does_not_run_in_circles():
    class Restless(Box):
        def render(self, request, exchange):
            super().render(request, exchange)
            exchange.endpoint.changed(self)

    box = Restless(
        Message(n.CONTENT, b"0"), is_observable=True, policy=Policy(confirmable_notifications=False)
    )
    bench = Bench({"i": box})
    for token in (b"1", b"2", b"3"):
        bench.ask(n.GET, "i", b"", (n.OBSERVE, 0), token=token)
    bench.take()
    bench.endpoint.changed(box)
    assert len(bench.take()) == 3


def test_while_a_notification_is_under_way_only_the_newest_state_waits():
    box = Box(Message(n.CONTENT, b"0"), is_observable=True)
    bench = Bench({"i": box})
    observe(bench, b"t")
    for state in (b"1", b"2", b"3"):
        box.response = Message(n.CONTENT, state)
        bench.endpoint.changed(box)
    (first,) = bench.take()
    assert first.payload == b"1"
    (newest,) = bench.put_in(bytes((0x60, 0, first.mid >> 8, first.mid & 255)))
    assert newest.payload == b"3"


def test_non_notifications_are_confirmable_once_a_day():
    policy = Policy(confirmable_notifications=False)
    box = Box(Message(n.CONTENT, b"0"), is_observable=True, policy=policy)
    bench = Bench({"i": box})
    observe(bench, b"t")
    types = []
    for _ in range(3):
        bench.advance(13 * 3600)
        bench.endpoint.changed(box)
        (sent,) = bench.take()
        types.append(sent.type)
        if sent.type == n.CON:
            bench.put_in(bytes((0x60, 0, sent.mid >> 8, sent.mid & 255)))
    assert types == [n.NON, n.CON, n.NON]


def test_an_observer_is_not_forgotten_for_being_silent():
    box = Box(Message(n.CONTENT, b"0"), is_observable=True)
    bench = Bench({"i": box})
    observe(bench, b"t")
    for _ in range(5):
        bench.advance(3600)
        bench.endpoint.changed(box)
        (sent,) = bench.take()
        bench.put_in(bytes((0x60, 0, sent.mid >> 8, sent.mid & 255)))
    assert bench.endpoint.counters.unexpected == 0
    assert len(bench.endpoint.server.observers) == 1


# --- links ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ({}, "</a>"),
        ({"rt": ["x", "y"], "ct": "50"}, '</a>;rt="x y";ct=50'),
        ({"ct": ["0", "50"], "obs": None}, '</a>;ct="0 50";obs'),
    ],
)
def test_a_link_is_written(attributes, text):
    assert link("/a", attributes) == text


def test_options_keep_their_order_when_some_are_replaced():
    given = options((n.ETAG, b"e"), (n.CONTENT_FORMAT, 0), (n.BLOCK2, 8))
    assert given.replaced((n.BLOCK2, None), (n.OBSERVE, 5)) == options(
        (n.ETAG, b"e"), (n.OBSERVE, 5), (n.CONTENT_FORMAT, 0)
    )
