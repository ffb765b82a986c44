"""Observing a peer's resource: what is fresh, what is acknowledged when, and how an observation ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import Message, encode, options, uri_options
from iotgw.wire.coap.site import Site
from iotgw.wire.coap.watching import FRESH_AFTER, is_fresher
from tests.unit.wire.coap.bench import PEER, Bench, Box
from tests.unit.wire.coap.network import Network

GET = Message(n.GET, b"", options(*uri_options("a")))


class Owner:
    """Who observes; with ``holds``, what comes is stored only when told."""

    def __init__(self, holds=False):
        self.holds = holds
        self.arrivals = []
        self.ends = []
        self.answers = []
        self.failures = []

    @property
    def values(self):
        return [arrival.response.payload for arrival in self.arrivals]

    def notified(self, arrival):
        self.arrivals.append(arrival)
        if not self.holds:
            arrival.stored()

    def ended(self, end):
        self.ends.append(end)


class Observed(Bench):
    """A bench that observes what the raw peer has."""

    def __init__(self, owner, number=5, **settings):
        super().__init__(**settings)
        self.owner = owner
        self.watch = self.endpoint.observe(GET, PEER, owner.answers.append, owner.failures.append, owner)
        (request,) = self.take()
        assert request.options.get(n.OBSERVE) == b""
        self.token = request.token
        self.put_in(
            encode(n.ACK, n.CONTENT, request.mid, request.token, options((n.OBSERVE, number)), b"first")
        )

    def notify(self, mid, number, payload=b"x", type=n.CON, code=n.CONTENT, *pairs):
        numbered = () if number is None else ((n.OBSERVE, number),)
        return self.put_in(encode(type, code, mid, self.token, options(*numbered, *pairs), payload))


def acknowledged(mid):
    return [Message(n.EMPTY, type=n.ACK, mid=mid)]


def reset(mid):
    return [Message(n.EMPTY, type=n.RST, mid=mid)]


def test_a_confirmable_notification_is_acknowledged_when_it_is_stored_and_copies_meanwhile_get_nothing():
    owner = Owner(holds=True)
    bench = Observed(owner)
    assert bench.notify(70, 6) == []
    assert bench.notify(70, 6) == []
    assert owner.values == [b"x"]
    bench.take()
    owner.arrivals[0].stored()
    assert bench.take() == acknowledged(70)
    assert bench.notify(70, 6) == acknowledged(70)
    assert len(owner.arrivals) == 1


def test_a_notification_that_could_not_be_stored_is_taken_again_from_its_next_copy():
    owner = Owner(holds=True)
    bench = Observed(owner)
    bench.notify(70, 6)
    owner.arrivals[0].refused()
    assert bench.take() == []
    owner.holds = False
    assert bench.notify(70, 6) == acknowledged(70)
    assert owner.values == [b"x", b"x"]


def test_it_is_acknowledged_although_the_observation_was_cancelled_meanwhile_but_not_in_a_session_that_is_gone():
    owner = Owner(holds=True)
    bench = Observed(owner)
    bench.notify(70, 6)
    bench.notify(71, 7)
    bench.endpoint.client.cancel(bench.watch)
    owner.arrivals[0].stored()
    assert bench.take() == acknowledged(70)
    bench.endpoint.forget(PEER)
    owner.arrivals[1].stored()
    assert bench.take() == []


@pytest.mark.parametrize("type_", [n.CON, n.NON])
def test_a_notification_that_is_outdated_or_a_copy_is_not_handed_up(type_):
    owner = Owner()
    bench = Observed(owner)
    for mid, number, payload in (
        (70, 7, b"7"),
        (71, 6, b"6"),
        (70, 7, b"7"),
        (72, 7, b"again"),
        (73, 8, b"8"),
    ):
        bench.notify(mid, number, payload, type_)
    assert owner.values == [b"7", b"8"]
    assert bench.endpoint.counters.stale == 2


def test_a_notification_is_new_after_128_seconds_whatever_its_number():
    owner = Owner()
    bench = Observed(owner, number=1000)
    bench.notify(70, 3, b"a reboot?")
    bench.advance(FRESH_AFTER + 1)
    bench.notify(71, 3, b"surely")
    assert owner.values == [b"surely"]


def test_a_notification_with_the_message_id_of_a_request_of_the_same_peer_is_none_of_its_copies():
    owner = Owner()
    bench = Observed(owner)
    bench.ask(n.POST, "nothing", mid=70)
    bench.ask(n.POST, "nothing", mid=71)
    assert bench.notify(70, 6) == acknowledged(70)
    assert bench.notify(71, 7) == acknowledged(71)
    assert len(owner.arrivals) == 2


def test_an_owner_that_stores_nothing_gets_no_more_than_it_can_hold():
    owner = Owner(holds=True)
    bench = Observed(owner)
    for number in range(6, 46):
        assert bench.notify(number, number) == []
    assert len(owner.arrivals) == 16
    for arrival in owner.arrivals:
        arrival.stored()
    bench.notify(45, 45)
    assert len(owner.arrivals) == 17


@given(
    st.integers(0, 0xFFFFFF),
    st.integers(1, (1 << 23) - 1),
    st.floats(0, FRESH_AFTER),
    st.floats(0, FRESH_AFTER),
)
def test_of_two_numbers_the_one_less_than_half_the_circle_ahead_is_fresher(number, ahead, at, later):
    following = (number + ahead) & 0xFFFFFF
    assert is_fresher((following, at), (number, later))
    assert not is_fresher((number, later), (following, at))
    assert not is_fresher((number, at), (number, later))
    assert is_fresher((number, at + FRESH_AFTER + 1), (following, at))


@given(st.integers(0, 0xFFFFFF), st.lists(st.integers(0, 15), max_size=40), st.data())
def test_whatever_the_order_and_the_copies_states_come_in_their_order_once_and_the_last_one_wins(
    start, order, data
):
    owner = Owner()
    bench = Observed(owner, number=start)
    for which in order:
        type_ = n.NON if which % 3 else n.CON
        bench.notify(which, (start + 1 + which) & 0xFFFFFF, b"%d" % which, type_)
    values = [int(value) for value in owner.values]
    assert values == sorted(set(values))
    assert values == [which for at, which in enumerate(order) if which > max(order[:at], default=-1)]


@pytest.mark.parametrize("seed", range(4))
def test_over_a_network_that_loses_and_doubles_every_state_that_comes_is_newer_and_the_last_one_comes(seed):
    network = Network(seed, loss=0.2, repeat=0.2, delay=0.6)
    box = Box(Message(n.CONTENT, b"0"), is_observable=True)
    site = Site()
    site.add(("a",), box)
    observed = network.endpoint("server", site)
    owner = Owner()
    network.endpoint("client").observe(GET, "server", owner.answers.append, owner.failures.append, owner)
    network.run(lambda: bool(owner.answers or owner.failures))
    assert owner.answers
    for number in range(1, 30):
        box.response = Message(n.CONTENT, b"%d" % number)
        observed.changed(box)
        network.run(seconds=1.5)
    network.run(seconds=200)
    values = [int(value) for value in owner.values]
    assert values == sorted(set(values))
    assert values[-1] == 29 or owner.ends or not len(observed.server.observers)


# --- how it ends ---


@pytest.mark.parametrize("code", [n.NOT_FOUND, n.SERVICE_UNAVAILABLE])
def test_an_error_ends_it_and_is_told(code):
    owner = Owner()
    bench = Observed(owner)
    assert bench.notify(70, None, b"gone", n.CON, code) == acknowledged(70)
    assert [(end.kind, end.response.code) for end in owner.ends] == [("error", code)]
    assert bench.notify(71, 7) == reset(71)
    assert len(bench.endpoint.client) == 0
    assert owner.values == []


def test_a_notification_without_observe_is_the_last_one():
    owner = Owner()
    bench = Observed(owner)
    assert bench.notify(70, None, b"last") == acknowledged(70)
    assert owner.values == [b"last"]
    assert [end.kind for end in owner.ends] == ["unobserved"]


def test_the_end_of_the_session_ends_it_and_is_told():
    owner = Owner()
    bench = Observed(owner)
    bench.endpoint.forget(PEER)
    assert [end.kind for end in owner.ends] == ["gone"]
    assert len(bench.endpoint.client) == 0


@pytest.mark.parametrize(
    "pairs", [((9999, b"x"),), ((n.BLOCK2, 7),), ((n.BLOCK2, 16),)], ids=["unknown", "SZX 7", "block 1"]
)
def test_a_notification_that_is_not_acceptable_is_reset_and_so_ends_it(pairs):
    owner = Owner()
    bench = Observed(owner)
    assert bench.notify(70, 6, b"x", n.CON, n.CONTENT, *pairs) == reset(70)
    assert [end.kind for end in owner.ends] == ["rejected"]


def test_one_that_was_cancelled_is_told_and_its_next_notification_is_reset():
    owner = Owner()
    bench = Observed(owner)
    bench.endpoint.client.cancel(bench.watch)
    bench.endpoint.client.cancel(bench.watch)
    assert [end.kind for end in owner.ends] == ["cancelled"]
    assert bench.notify(70, 6) == reset(70)
    assert bench.notify(71, 7, b"x", n.NON) == reset(71)


def test_non_confirmable_notifications_that_nobody_observes_can_be_left_alone():
    owner = Owner()
    bench = Observed(owner)
    bench.endpoint.resets_notifications = False
    bench.endpoint.client.cancel(bench.watch)
    assert bench.notify(71, 7, b"x", n.NON) == []
    assert bench.notify(72, 8) == reset(72)


def test_a_response_that_comes_too_late_and_is_no_notification_is_not_reset():
    bench = Bench()
    assert bench.put_in(encode(n.NON, n.CONTENT, 1, b"t", (), b"late")) == []


def test_it_is_deregistered_with_its_token_and_notifications_are_taken_until_that_is_answered():
    owner = Owner()
    bench = Observed(owner)
    bench.endpoint.client.deregister(bench.watch)
    bench.endpoint.client.deregister(bench.watch)
    (request,) = bench.take()
    assert (request.code, request.token, request.options.path) == (n.GET, bench.token, ("a",))
    assert request.options.get_uint(n.OBSERVE) == 1
    assert bench.notify(70, 6) == acknowledged(70)
    assert owner.ends == []
    bench.put_in(encode(n.ACK, n.CONTENT, request.mid, bench.token, (), b"now"))
    assert [(end.kind, end.reason, end.response.payload) for end in owner.ends] == [
        ("deregistered", "", b"now")
    ]
    assert owner.values == [b"x"]
    assert bench.notify(71, 7) == reset(71)
    assert len(bench.endpoint.client) == 0


def test_a_separate_answer_to_the_deregistration_is_no_notification():
    owner = Owner()
    bench = Observed(owner)
    bench.endpoint.client.deregister(bench.watch)
    (request,) = bench.take()
    bench.put_in(encode(n.ACK, n.EMPTY, request.mid))
    assert bench.put_in(encode(n.CON, n.CONTENT, 80, bench.token, (), b"now")) == acknowledged(80)
    assert ([end.kind for end in owner.ends], owner.values) == (["deregistered"], [])


def test_a_deregistration_that_nobody_answers_ends_it_with_the_reason():
    owner = Owner()
    bench = Observed(owner)
    bench.endpoint.client.deregister(bench.watch)
    bench.advance(100)
    assert [(end.kind, end.reason) for end in owner.ends] == [("deregistered", "not acknowledged")]


def test_a_request_that_was_not_taken_for_an_observation_has_no_end():
    owner = Owner()
    bench = Bench()
    watch = bench.endpoint.observe(GET, PEER, owner.answers.append, owner.failures.append, owner)
    (request,) = bench.take()
    bench.put_in(encode(n.ACK, n.CONTENT, request.mid, request.token, (), b"once"))
    assert (watch.is_open, len(owner.answers), owner.ends) == (False, 1, [])
    assert len(bench.endpoint.client) == 0


def test_one_that_is_cancelled_before_it_began_fails():
    owner = Owner()
    bench = Bench()
    watch = bench.endpoint.observe(GET, PEER, owner.answers.append, owner.failures.append, owner)
    bench.endpoint.client.deregister(watch)
    assert ([str(each) for each in owner.failures], owner.ends) == (["cancelled"], [])


def test_a_peer_has_many_observations_at_a_time_and_each_hears_its_own():
    bench = Bench()
    owners = [Owner() for _ in range(60)]
    for owner in owners:
        bench.endpoint.observe(GET, PEER, owner.answers.append, owner.failures.append, owner)
    tokens = []
    for _ in owners:
        (request,) = bench.take()
        tokens.append(request.token)
        answer = encode(n.ACK, n.CONTENT, request.mid, request.token, options((n.OBSERVE, 1)), b"")
        bench.endpoint.datagram(answer, PEER, bench.now)
    assert len(set(tokens)) == 60
    for number, token in enumerate(tokens):
        bench.put_in(encode(n.NON, n.CONTENT, number, token, options((n.OBSERVE, 2)), b"%d" % number))
    assert [owner.values for owner in owners] == [[b"%d" % number] for number in range(60)]
    bench.endpoint.forget(PEER)
    assert all(len(owner.ends) == 1 for owner in owners)


# --- in blocks ---


def first_block(bench, mid=70, number=6, tag=b"\x01"):
    return bench.notify(mid, number, b"a" * 16, n.CON, n.CONTENT, (n.BLOCK2, 8), (n.ETAG, tag))


def test_a_notification_in_blocks_is_acknowledged_when_all_of_it_is_stored():
    owner = Owner(holds=True)
    bench = Observed(owner)
    (request,) = first_block(bench)
    assert request.options.get_uint(n.BLOCK2) == 16 and request.options.get(n.OBSERVE) is None
    rest = options((n.BLOCK2, 16), (n.ETAG, b"\x01"))
    bench.put_in(encode(n.ACK, n.CONTENT, request.mid, request.token, rest, b"b"))
    assert owner.values == [b"a" * 16 + b"b"]
    owner.arrivals[0].stored()
    assert bench.take() == acknowledged(70)
    assert bench.endpoint.server.budget.used == 0


def test_a_state_that_changes_while_its_blocks_are_fetched_is_acknowledged_so_that_the_next_one_comes():
    owner = Owner()
    bench = Observed(owner)
    (request,) = first_block(bench)
    rest = options((n.BLOCK2, 16), (n.ETAG, b"\x02"))
    sent = bench.put_in(encode(n.ACK, n.CONTENT, request.mid, request.token, rest, b"b"))
    assert (sent, owner.values) == (acknowledged(70), [])


def test_a_state_whose_blocks_can_t_be_had_is_not_acknowledged():
    owner = Owner()
    bench = Observed(owner)
    first_block(bench)
    bench.advance(100)
    assert owner.values == [] and bench.watch.unstored == {}
    assert bench.endpoint.server.budget.used == 0


def test_a_state_that_is_whole_later_than_a_newer_one_is_not_handed_up():
    owner = Owner()
    bench = Observed(owner)
    (request,) = first_block(bench)
    bench.notify(71, 7, b"newer")
    rest = options((n.BLOCK2, 16), (n.ETAG, b"\x01"))
    sent = bench.put_in(encode(n.ACK, n.CONTENT, request.mid, request.token, rest, b"b"))
    assert (sent, owner.values) == (acknowledged(70), [b"newer"])
