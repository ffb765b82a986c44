"""Owners of requests and observations that fail: it is their own affair."""

import pytest

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import encode
from tests.unit.wire.coap.bench import PEER, Bench
from tests.unit.wire.coap.test_watching import GET, Observed, Owner


class Failing(Owner):
    """Fails at whatever it is told."""

    def notified(self, arrival):
        super().notified(arrival)
        raise ZeroDivisionError("notified")

    def ended(self, end):
        super().ended(end)
        raise ZeroDivisionError("ended")


def test_an_observer_that_fails_costs_nobody_else_anything_and_its_next_copy_is_new():
    owner = Failing(holds=True)
    bench = Observed(owner)
    assert bench.notify(70, 6, b"a") == []
    assert [str(failure) for failure in bench.failures] == ["notified"]
    owner.holds = True
    bench.notify(70, 6, b"a")
    assert owner.values == [b"a", b"a"]
    bench.notify(71, 7, b"", n.CON, n.NOT_FOUND)
    assert [end.kind for end in owner.ends] == ["error"]
    assert [str(failure) for failure in bench.failures] == ["notified", "notified", "ended"]
    assert bench.endpoint.counters.errors == 3


@pytest.mark.parametrize("answers", [True, False])
def test_one_whose_request_s_owner_fails_leaves_the_next_request_its_turn(answers):
    def boom(_):
        raise ZeroDivisionError("owner")

    bench = Bench()
    bench.endpoint.request(GET, PEER, boom, boom)
    (request,) = bench.take()
    done = []
    bench.endpoint.request(GET, PEER, done.append, done.append)
    answer = encode(n.ACK, n.CONTENT, request.mid, request.token)
    (second,) = bench.put_in(answer if answers else encode(n.RST, n.EMPTY, request.mid))
    assert [str(failure) for failure in bench.failures] == ["owner"]
    bench.put_in(encode(n.ACK, n.CONTENT, second.mid, second.token))
    assert [response.code for response in done] == [n.CONTENT]
