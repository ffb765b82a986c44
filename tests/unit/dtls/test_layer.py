"""The layer against OpenSSL's client, in process: no socket, no clock."""

import sys

import msgspec
import pytest
from OpenSSL import SSL

from iotgw.dtls.settings import DtlsSettings
from tests.dtls_peer import CCM8, GCM, Client, Link, Secrets

HERE, THERE = ("10.0.0.1", 40000), ("10.0.0.1", 40001)


SUITES = [
    "PSK-AES128-CCM8",
    "PSK-AES256-CCM8",
    "PSK-AES128-CCM",
    "PSK-AES128-GCM-SHA256",
    "PSK-AES256-GCM-SHA384",
    "PSK-CHACHA20-POLY1305",
    "PSK-AES128-CBC-SHA",
    "PSK-AES128-CBC-SHA256",
    "ECDHE-PSK-AES128-CBC-SHA256",
    "ECDHE-PSK-CHACHA20-POLY1305",
]


OP_NO_EXTENDED_MASTER_SECRET = 1 << 0


@pytest.fixture
def link():
    return Link()


def settings(**changes):
    return msgspec.structs.replace(DtlsSettings(), **changes)


def event_texts(link):
    return [message for _, message, _ in link.events]


class TestPsk:
    @pytest.mark.parametrize("cipher", SUITES)
    def test_each_suite_gives_a_session_that_carries_data_both_ways(self, link, cipher):
        client = link.connect(HERE, ciphers=cipher)
        assert link.say(HERE, b"up") == [b"up"]
        session = link.session()
        assert (session.identity.type, session.identity.name, session.cipher) == ("psk", "dev", cipher)
        assert link.layer.send(session, b"down", link.now)
        link.run()
        assert client.received == [b"down"]

    def test_no_identity_hint_is_sent(self, link):
        # It would add a ServerKeyExchange, which node-dtls-client does not survive.
        assert link.connect(HERE).hint is False

    def test_an_unknown_identity_is_refused_with_an_alert_and_told(self, link):
        client = link.connect(HERE, Client(psk=(b"nobody", b"secret")))
        assert "alert" in client.error
        assert (len(list(link.layer.sessions())), link.layer.half_open) == (0, 0)
        assert event_texts(link) == ["10.0.0.1:40000: unknown PSK identity 'nobody'"]

    def test_a_wrong_key_is_silent_until_the_timeout_and_then_suspected(self, link):
        client = link.connect(HERE, Client(psk=(b"dev", b"wrong")))
        assert (client.done, client.error, link.layer.half_open, link.events) == (False, "", 1, [])
        link.layer.tick(link.now + 34.9)
        assert link.layer.half_open == 1
        link.layer.tick(link.now + 35)
        assert link.layer.half_open == 0
        assert link.layer.counters["wrongKeys"] == 1
        assert event_texts(link) == ["10.0.0.1:40000: wrong key? the handshake did not finish within 35 s"]
        assert link.events[0][2]["identity"] == "dev"

    def test_a_handshake_that_just_stops_suspects_nobody(self, link):
        client = Client(psk=(b"dev", b"secret"))
        link.clients[HERE] = client
        link.put(HERE, client.begin())
        while link.layer.half_open == 0:
            inward, address, datagram = link.queue.popleft()
            if inward:
                link.layer.datagram_in(datagram, address, link.now)
            else:
                link.put(address, client.feed(datagram))
        link.layer.tick(link.now + 35)
        assert event_texts(link) == ["10.0.0.1:40000: the handshake did not finish within 35 s"]
        assert link.layer.counters["wrongKeys"] == 0

    @pytest.mark.parametrize("cipher", SUITES[:-2])
    @pytest.mark.parametrize("secret", [b"new", b"old", b"older"])
    def test_each_of_several_secrets_gets_in_at_once(self, cipher, secret):
        link = Link(credentials=Secrets({"dev": (b"new", b"old", b"older")}))
        link.connect(HERE, Client(psk=(b"dev", secret), ciphers=cipher))
        assert link.say(HERE, b"x") == [b"x"]

    def test_without_extended_master_secret_too(self):
        link = Link(credentials=Secrets({"dev": (b"new", b"old")}))
        client = Client(psk=(b"dev", b"old"), options=OP_NO_EXTENDED_MASTER_SECRET)
        link.connect(HERE, client)
        assert link.say(HERE, b"x") == [b"x"]

    def test_a_last_flight_in_three_datagrams_is_held_until_the_key_is_known(self):
        link = Link(credentials=Secrets({"dev": (b"new", b"old")}))
        link.connect(HERE, Client(psk=(b"dev", b"old"), one_record_per_datagram=True))
        assert link.say(HERE, b"x") == [b"x"]

    def test_an_ephemeral_exchange_finds_the_second_secret_the_second_time(self):
        link = Link(credentials=Secrets({"dev": (b"new", b"old")}))
        assert not link.connect(HERE, Client(psk=(b"dev", b"old"), ciphers=SUITES[-1])).done
        link.layer.tick(link.now + 35)
        assert link.connect(HERE, Client(psk=(b"dev", b"old"), ciphers=SUITES[-1])).done

    def test_none_of_several_secrets_is_a_wrong_key(self):
        link = Link(credentials=Secrets({"dev": (b"new", b"old")}))
        link.connect(HERE, Client(psk=(b"dev", b"wrong")))
        link.layer.tick(link.now + 35)
        assert link.layer.counters["wrongKeys"] == 1

    def test_an_identity_that_is_no_utf8_stays_readable(self):
        link = Link(credentials=Secrets({"\\xff\\x01".replace("\\x01", "\x01"): b"secret"}))
        link.connect(HERE, Client(psk=(b"\xff\x01", b"secret")))
        assert link.session().identity.name == "\\xff\x01"


class TestSuitesAndVersions:
    def test_an_eight_byte_tag_is_used_only_for_who_knows_nothing_else(self, link):
        link.connect(HERE, ciphers=f"{CCM8}:{GCM}")
        assert link.session().cipher == GCM

    def test_forward_secrecy_goes_first_unless_a_key_is_rotated(self):
        offer = f"{GCM}:{SUITES[-1]}"
        for secrets, cipher in ((b"secret", SUITES[-1]), ((b"new", b"secret"), GCM)):
            link = Link(credentials=Secrets({"dev": secrets}))
            link.connect(HERE, ciphers=offer)
            assert link.session().cipher == cipher

    def test_suites_of_an_eight_byte_tag_have_a_context_of_their_own(self, link):
        names = [
            {name for name in SSL.Connection(profile.context, None).get_cipher_list() if "PSK" in name}
            for profile in link.profiles
        ]
        assert [any(name.endswith("CCM8") for name in some) for some in names] == [False, False, True]
        assert [all(name.endswith("CCM8") for name in some) for some in names] == [False, False, True]

    def test_no_suite_in_common_is_an_alert_that_names_what_was_offered(self, link):
        client = link.connect(HERE, ciphers="ECDHE-RSA-AES128-GCM-SHA256")
        assert "alert handshake failure" in client.error
        assert "no cipher suite in common with c02f" in event_texts(link)[0]
        assert link.layer.half_open == 0

    def test_dtls_1_0_is_refused_with_its_alert(self, link):
        client = Client(psk=(b"dev", b"secret"), ciphers="PSK-AES128-CBC-SHA", version=0xFEFF)
        link.connect(HERE, client)
        assert "alert protocol version" in client.error
        assert "expected DTLS 1.2, got 0xfeff" in event_texts(link)[0]

    def test_the_contexts_are_pinned_to_dtls_1_2(self, link):
        for profile in link.profiles:
            conn = SSL.Connection(profile.context, None)
            assert conn.get_protocol_version() == 0xFEFD


class TestAddresses:
    def test_60_000_hellos_without_a_cookie_leave_nothing(self, link):
        [hello] = Client(psk=(b"dev", b"secret")).begin()
        link.layer._transmit = lambda datagram, address: None
        before = sys.getallocatedblocks()
        for number in range(60_000):
            link.layer.datagram_in(hello, (f"10.0.0.{number & 255}", number >> 4), link.now)
        grown = sys.getallocatedblocks() - before
        assert link.layer.counters["cookies"] == 60_000
        assert link.layer.half_open == 0 and grown < 1000

    def test_a_hello_with_a_cookie_of_another_address_only_gets_another_cookie(self, link):
        client = Client(psk=(b"dev", b"secret"))
        link.layer.datagram_in(client.begin()[0], HERE, link.now)
        [again] = client.feed(link.sent[-1][0])
        link.layer.datagram_in(again, THERE, link.now)
        assert (link.layer.half_open, link.layer.counters["cookies"]) == (0, 2)

    def test_a_repeated_hello_is_the_same_handshake(self, link):
        client = Client(psk=(b"dev", b"secret"))
        link.layer.datagram_in(client.begin()[0], HERE, link.now)
        [again] = client.feed(link.sent[-1][0])
        for _ in range(3):
            link.layer.datagram_in(again, HERE, link.now)
        assert (link.layer.half_open, link.layer.counters["handshakes"]) == (1, 1)

    def test_a_device_that_restarts_on_its_port_gets_a_new_session(self, link):
        link.connect(HERE)
        before = link.session()
        link.connect(HERE)
        assert link.say(HERE, b"reborn") == [b"reborn"]
        assert link.session() is not before
        assert link.ended == [(before, "replaced by a new handshake")]

    def test_the_old_session_lives_until_the_new_handshake_is_complete(self, link):
        device = link.connect(HERE)
        link.connect(HERE, Client(psk=(b"dev", b"wrong")))
        link.clients[HERE] = device
        assert link.layer.half_open == 1
        assert link.say(HERE, b"still me") == [b"still me"]
        assert link.ended == []

    def test_a_late_duplicate_of_the_hello_is_no_new_handshake(self, link):
        client = Client(psk=(b"dev", b"secret"))
        link.layer.datagram_in(client.begin()[0], HERE, link.now)
        [again] = client.feed(link.sent[-1][0])
        link.clients[HERE] = client
        link.put(HERE, [again])
        link.run()
        link.put(HERE, [again])
        link.run()
        assert link.layer.half_open == 0
        assert link.say(HERE, b"x") == [b"x"]

    def test_an_unknown_port_is_a_stray_unless_the_option_is_on(self, link):
        client = link.connect(HERE)
        assert link.layer.datagram_in(client.send(b"moved")[0], THERE, link.now) == []
        assert link.layer.counters["strays"] == 1

    def test_with_the_option_a_session_follows_its_device_to_another_port(self):
        link = Link(settings(address_change=4))
        clients = {("10.0.0.1", 40000 + n): None for n in range(6)}
        for address in clients:
            clients[address] = link.connect(address)
        mover = clients.pop(("10.0.0.1", 40003))
        link.clients[("10.0.0.1", 50000)] = mover
        assert link.say(("10.0.0.1", 50000), b"moved") == [b"moved"]
        session = link.plaintexts[0][0]
        assert session.address == ("10.0.0.1", 50000)
        assert link.layer.send(session, b"found you", link.now)
        link.run()
        assert mover.received == [b"found you"]
        for address in clients:
            assert link.say(address, b"here") == [b"here"]

    def test_at_most_so_many_sessions_are_tried_and_none_of_another_host(self):
        link = Link(settings(address_change=2))
        link.connect(("10.0.0.1", 1))
        mover = link.clients[("10.0.0.1", 1)]
        for port in (2, 3):
            link.connect(("10.0.0.1", port))
        assert link.layer.datagram_in(mover.send(b"x")[0], ("10.0.0.1", 9), link.now) == []
        assert link.layer.datagram_in(mover.send(b"x")[0], ("10.0.0.2", 1), link.now) == []

    def test_a_route_finds_the_session_before_the_address_does(self, link):
        client = link.connect(HERE)
        session = link.session()
        link.layer.route = lambda datagram: session if datagram.startswith(b"\x19") else None
        tagged = b"\x19" + client.send(b"by id")[0][1:]
        fed = []
        real, session.engine = session.engine, None

        class ById:
            closed = False

            def feed(self, datagram):
                fed.append(datagram)
                return real.feed(b"\x17" + datagram[1:])

        session.engine = ById()
        assert link.layer.datagram_in(tagged, THERE, link.now) == [(session, b"by id")]
        assert (fed, session.address) == ([tagged], THERE)


class TestCaps:
    def test_half_open_handshakes_are_capped_and_the_oldest_goes(self):
        link = Link(settings(max_handshakes=3))
        for port in range(5):
            link.connect(("10.0.0.1", port), Client(psk=(b"dev", b"wrong")))
        assert link.layer.half_open == 3
        assert link.layer.counters["handshakesEvicted"] == 2

    def test_sessions_are_capped_and_the_least_recently_used_goes(self):
        link = Link(settings(max_sessions=2))
        first = link.connect(("10.0.0.1", 1))
        second = link.connect(("10.0.0.1", 2))
        link.say(("10.0.0.1", 1), b"busy")
        link.connect(("10.0.0.1", 3))
        assert [reason for _, reason in link.ended] == ["least recently used, to make room"]
        assert (first.error, second.error) == ("", "close_notify")

    def test_an_idle_session_is_swept_and_told_so(self, link):
        client = link.connect(HERE)
        link.layer.tick(link.now + 86399)
        assert link.ended == []
        link.layer.tick(link.now + 86400)
        link.run()
        assert [reason for _, reason in link.ended] == ["idle"]
        assert client.error == "close_notify"

    def test_records_that_do_not_decrypt_are_no_use_of_a_session(self, link):
        client = link.connect(HERE)
        forged = bytearray(client.send(b"x")[0])
        forged[-1] ^= 1
        link.layer.datagram_in(bytes(forged), HERE, link.now + 50000)
        link.layer.tick(link.now + 86400)
        assert len(link.ended) == 1

    def test_the_event_of_one_peer_is_told_once_a_minute(self, link):
        for _ in range(5):
            link.connect(HERE, Client(psk=(b"nobody", b"secret")))
        assert len(link.events) == 1
        link.now += 61
        link.connect(HERE, Client(psk=(b"nobody", b"secret")))
        assert len(link.events) == 2

    def test_a_peer_that_thinks_of_new_identities_is_told_of_ten_times_a_minute(self, link):
        for number in range(30):
            link.connect(HERE, Client(psk=(b"nobody-%d" % number, b"secret")))
        assert len(link.events) == 10
        link.connect(("10.0.0.2", 1), Client(psk=(b"nobody", b"secret")))
        assert len(link.events) == 11

    def test_what_was_told_is_bounded(self, link):
        for number in range(1500):
            link.layer._tell((f"10.1.{number >> 8}.{number & 255}", 1), "x" * 5000, link.now)
        assert len(link.layer.told) == 1024
        assert max(len(message) for _, message, _ in link.events) < 350


class TestSizes:
    @pytest.mark.parametrize(("cipher", "overhead"), [(CCM8, 29), (GCM, 37), ("PSK-AES128-CBC-SHA256", 65)])
    def test_a_session_knows_what_fits_a_datagram(self, link, cipher, overhead):
        link.connect(HERE, ciphers=cipher)
        session = link.session()
        assert session.mtu >= 1232 - overhead - 16
        link.sent.clear()
        link.layer.send(session, bytes(session.mtu), link.now)
        assert [len(datagram) <= 1232 for datagram, _ in link.sent] == [True]

    def test_more_is_refused_for_openssl_would_not(self, link):
        link.connect(HERE)
        session = link.session()
        with pytest.raises(ValueError, match=f"at most {session.mtu} bytes"):
            link.layer.send(session, bytes(session.mtu + 1), link.now)

    def test_bytes_are_counted(self, link):
        client = link.connect(HERE)
        session = link.session()
        received, sent = session.received, session.sent
        [datagram] = client.send(b"x")
        link.layer.datagram_in(datagram, HERE, link.now)
        link.layer.send(session, b"yz", link.now)
        assert received > len(datagram) and sent > 0
        assert (session.received - received, session.sent - sent) == (len(datagram), len(datagram) + 1)


class TestEnding:
    def test_a_session_is_ended_by_its_id(self, link):
        client = link.connect(HERE)
        assert link.layer.end(link.session().id)
        link.run()
        assert client.error == "close_notify"
        assert list(link.layer.sessions()) == []
        assert not link.layer.end("no such")

    def test_sending_on_a_session_that_is_over_says_so(self, link):
        link.connect(HERE)
        session = link.session()
        link.layer.end(session.id)
        assert link.layer.send(session, b"x", link.now) is False

    def test_ending_an_identity_ends_its_sessions_and_handshakes(self):
        link = Link(credentials=Secrets({"dev": b"secret", "other": b"secret"}))
        link.connect(HERE)
        link.connect(("10.0.0.2", 1), Client(psk=(b"other", b"secret")))
        link.connect(("10.0.0.3", 1), Client(psk=(b"dev", b"wrong")))
        ended = link.layer.end_identities(lambda identity: identity.name == "dev", "revoked")
        assert (ended, link.layer.half_open) == (1, 0)
        assert [session.identity.name for session in link.layer.sessions()] == ["other"]

    def test_closing_ends_everything(self, link):
        client = link.connect(HERE)
        link.connect(THERE, Client(psk=(b"dev", b"wrong")))
        link.layer.close()
        link.run()
        assert (link.layer.half_open, list(link.layer.sessions())) == (0, [])
        assert client.error == "close_notify"
