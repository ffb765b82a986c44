"""ClientHellos in fragments, from OpenSSL's client with a small MTU, in process."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.dtls.hellos import Hellos
from iotgw.dtls.settings import DtlsSettings
from iotgw.wire.dtls.hello import hello_fragments
from tests.dtls_peer import Client, Link

HERE, THERE = ("10.0.0.1", 40000), ("10.0.0.1", 40001)
MANY = "PSK:ALL"


@pytest.fixture
def link():
    return Link()


def client(**options):
    """One whose hello, with a hundred suites, needs more than 256 bytes."""
    return Client(psk=(b"dev", b"secret"), ciphers=MANY, mtu=256, one_record_per_datagram=True, **options)


def proved(link, device):
    """The datagrams of a device's hello with its cookie."""
    first, *_ = device.begin()
    link.layer.datagram_in(first, HERE, link.now)
    return device.feed(link.sent[-1][0])


def small(device):
    """Let a client use the smallest MTU that OpenSSL has."""
    device.mtu = 0
    device.connect()
    device.conn.set_ciphertext_mtu(256)
    return device


def test_a_fragmented_hello_leads_to_a_session(link):
    device = small(client())
    hello = device.begin()
    assert len(hello) >= 2 and max(map(len, hello)) <= 256
    link.clients[HERE] = device
    link.put(HERE, hello)
    link.run()
    assert device.done
    assert link.say(HERE, b"x") == [b"x"]
    assert link.layer.counters["assembledHellos"] == 1


def test_fragments_without_a_cookie_leave_nothing_and_are_answered_with_less(link):
    hello = small(client()).begin()
    for port in range(500):
        for fragment in hello:
            link.layer.datagram_in(fragment, ("10.0.0.1", port), link.now)
    assert len(link.layer._hellos) == link.layer.half_open == 0
    answers = [datagram for datagram, _ in link.sent]
    assert len(answers) == 500  # the first fragment is answered, the others are not
    assert max(map(len, answers)) < len(hello[0])
    assert link.layer.counters["strayFragments"] == 500 * (len(hello) - 1)


def test_a_cookie_of_another_address_opens_nothing(link):
    for fragment in proved(link, small(client())):
        link.layer.datagram_in(fragment, THERE, link.now)
    assert len(link.layer._hellos) == link.layer.half_open == 0


def test_fragments_may_come_twice_and_in_any_order_behind_the_first(link):
    device = small(client())
    first, *rest = proved(link, device)
    link.clients[HERE] = device
    link.put(HERE, [first, *reversed(rest), first, *rest])
    link.run()
    assert device.done
    assert link.layer.counters["handshakes"] == 1


def test_a_fragment_that_was_lost_comes_again_with_the_flight(link):
    device = small(client())
    hello = proved(link, device)
    link.clients[HERE] = device
    link.put(HERE, hello[:-1])
    link.run()
    assert link.layer.half_open == 0
    link.put(HERE, hello)
    link.run()
    assert device.done


def test_a_hello_that_only_its_cookie_makes_too_long_proves_its_address_too(link):
    whole = Client(psk=(b"dev", b"secret"), ciphers=MANY)
    [first] = whole.begin()
    link.layer.datagram_in(first, HERE, link.now)
    whole.conn.set_ciphertext_mtu(256)
    whole.mtu = 0
    again = whole.feed(link.sent[-1][0])
    assert len(again) > 1
    link.clients[HERE] = whole
    link.put(HERE, again)
    link.run()
    assert whole.done


def test_one_that_never_becomes_whole_is_forgotten_and_told(link):
    hello = proved(link, small(client()))
    link.layer.datagram_in(hello[0], HERE, link.now)
    link.layer.tick(link.now + 34.9)
    assert len(link.layer._hellos) == 1
    link.layer.tick(link.now + 35)
    assert len(link.layer._hellos) == 0
    assert [message for _, message, _ in link.events] == [
        "10.0.0.1:40000: a ClientHello in fragments did not become whole"
    ]


def test_hellos_in_fragments_are_capped_and_the_oldest_goes():
    link = Link(msgspec.structs.replace(DtlsSettings(), max_handshakes=2))
    for port in range(4):
        device = small(client())
        first, *_ = device.begin()
        link.layer.datagram_in(first, ("10.0.0.1", port), link.now)
        hello = device.feed(link.sent[-1][0])
        link.layer.datagram_in(hello[0], ("10.0.0.1", port), link.now)
    assert len(link.layer._hellos) == 2
    assert link.layer.counters["handshakesEvicted"] == 2


def test_one_that_says_it_is_huge_is_not_kept(link):
    hello = bytearray(proved(link, small(client()))[0])
    hello[14:17] = (100_000).to_bytes(3, "big")
    link.layer.datagram_in(bytes(hello), HERE, link.now)
    assert len(link.layer._hellos) == 0
    assert link.layer.counters["badHellos"] == 1


@given(st.data())
def test_any_fragments_are_taken_or_dropped(data):
    link = Link()
    hello = proved(link, small(client()))
    assert isinstance(link.layer._hellos, Hellos)
    for fragment in hello:
        changed = bytearray(fragment)
        for _ in range(data.draw(st.integers(0, 3))):
            changed[data.draw(st.integers(13, len(changed) - 1))] = data.draw(st.integers(0, 255))
        link.layer.datagram_in(bytes(changed), HERE, link.now)
    assert len(link.layer._hellos) <= 1
    assert all(part.is_whole is False for part in hello_fragments(hello[0]))
