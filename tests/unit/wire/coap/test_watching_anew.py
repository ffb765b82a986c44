"""Observations that are begun anew with their tokens, and those of an earlier process."""

from __future__ import annotations

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import encode, options
from tests.unit.wire.coap.bench import PEER, Bench
from tests.unit.wire.coap.test_watching import GET, Observed, Owner, acknowledged


def test_one_is_begun_anew_with_its_token_and_stands_in_place_of_the_former():
    owner = Owner()
    bench = Observed(owner)
    answers = []
    watch = bench.endpoint.observe(GET, PEER, answers.append, owner.failures.append, owner, token=bench.token)
    (request,) = bench.take()
    assert (request.token, request.options.get(n.OBSERVE)) == (bench.token, b"")
    bench.put_in(encode(n.ACK, n.CONTENT, request.mid, request.token, options((n.OBSERVE, 2)), b"again"))
    assert [answer.payload for answer in answers] == [b"again"]
    assert (watch.is_open, bench.watch.is_open, len(bench.endpoint.client)) == (True, False, 1)
    bench.notify(50, 3, b"new")
    assert (owner.values, owner.ends) == ([b"new"], [])


def test_one_that_is_begun_anew_by_a_separate_response_is_answered_and_not_notified():
    owner = Owner()
    bench = Observed(owner)
    answers = []
    bench.endpoint.observe(GET, PEER, answers.append, owner.failures.append, owner, token=bench.token)
    (request,) = bench.take()
    bench.put_in(encode(n.ACK, n.EMPTY, request.mid))
    bench.put_in(encode(n.CON, n.CONTENT, 60, request.token, options((n.OBSERVE, 9)), b"separate"))
    assert ([answer.payload for answer in answers], owner.values) == ([b"separate"], [])


def test_one_is_begun_anew_at_another_address_with_its_token():
    owner = Owner()
    bench = Observed(owner)
    bench.endpoint.client.cancel(bench.watch)
    elsewhere = ("192.0.2.9", 1)
    bench.endpoint.observe(
        GET, elsewhere, owner.answers.append, owner.failures.append, owner, token=bench.token
    )
    (request,) = bench.take()
    assert request.token == bench.token
    assert [end.kind for end in owner.ends] == ["cancelled"]


def test_the_observation_of_an_earlier_process_goes_on():
    owner, bench = Owner(), Bench()
    watch = bench.endpoint.client.adopt(GET, PEER, b"tokn", owner)
    assert bench.take() == []
    sent = bench.put_in(encode(n.CON, n.CONTENT, 7, b"tokn", options((n.OBSERVE, 4)), b"kept"))
    assert (sent, owner.values) == (acknowledged(7), [b"kept"])
    bench.put_in(encode(n.CON, n.CONTENT, 8, b"tokn", options((n.OBSERVE, 3)), b"older"))
    assert owner.values == [b"kept"]
    bench.endpoint.client.cancel(watch)
    assert len(bench.endpoint.client) == 0
