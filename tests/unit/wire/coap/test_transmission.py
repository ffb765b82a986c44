"""Unacknowledged messages: those of a peer that is gone are given up, and nobody else's are looked at."""

from random import Random

from iotgw.wire.coap.peers import Peers
from iotgw.wire.coap.timers import Timers
from iotgw.wire.coap.timing import DEFAULT_POLICY
from iotgw.wire.coap.transmission import FORGOTTEN, Transmissions


class Looked(dict):
    """A table that nobody walks through."""

    def values(self):
        raise AssertionError("all of it was looked at")

    __iter__ = items = values


def test_a_peer_that_is_gone_takes_its_own_messages_with_it_in_the_order_of_their_ids_and_no_others():
    peers = Peers(Random(1), 247.0)
    sent = Transmissions(Timers(), Random(1), lambda data, remote: None)
    sent._open = Looked()
    lost = []

    def start(peer, mid, *then):
        def gone(reason):
            lost.append((peer.remote, mid, reason))
            for call in then:
                call()

        return sent.start(peer, mid, b"", DEFAULT_POLICY.timing, 0.0, lost=gone)

    one, other = peers.get("one", 0.0), peers.get("other", 0.0)
    third = start(one, 3)
    start(one, 1, lambda: sent.cancel(third))
    start(one, 2)
    start(other, 1)
    sent.forget(one)
    assert lost == [("one", 1, FORGOTTEN), ("one", 2, FORGOTTEN)]
    assert (len(sent), one.pins, other.pins) == (1, 0, 1)
    sent.forget(one)
    sent.forget(other)
    assert (len(sent), sent._of_peer) == (0, {})
