"""Datagrams that no proper client would send."""

import pytest

from iotgw.wire.dtls import record
from tests.dtls_peer import Client, Link

HERE = ("10.0.0.1", 40000)


@pytest.fixture
def link():
    return Link()


class TestHostileDatagrams:
    """Each goes into a live session, which lives on."""

    @staticmethod
    def forged(client, at=-1):
        datagram = bytearray(client.send(b"forged")[0])
        datagram[at] ^= 0xFF
        return bytes(datagram)

    def hostile(self, name, client):
        head = record.HEADER.pack
        return {
            "fatal alert in the clear": record.alert(40, 9),
            "close_notify in the clear": head(21, 0xFEFD, 0, 0, 99, 2) + b"\1\0",
            "change cipher spec in the clear": head(20, 0xFEFD, 0, 0, 99, 1) + b"\1",
            "ServerHelloDone": head(22, 0xFEFD, 0, 0, 9, 12) + b"\x0e" + bytes(11),
            "ClientKeyExchange": head(22, 0xFEFD, 0, 0, 9, 17) + b"\x10\0\0\5\0\2\0\0\0\0\0\5" + b"\0\3dev",
            "forged alert": head(21, 0xFEFD, 1, 0, 99, 18) + bytes(18),
            "forged data": self.forged(client),
            "record of a future epoch": head(23, 0xFEFD, 2, 0, 1, 20) + bytes(20),
            "too long a record": head(23, 0xFEFD, 1, 0, 99, 20000) + bytes(20000),
            "length beyond the datagram": head(23, 0xFEFD, 1, 0, 99, 500) + bytes(20),
            "three bytes": b"\x17\xfe\xfd",
            "nothing": b"",
            "noise": bytes(range(256)) * 5,
        }[name]

    @pytest.mark.parametrize(
        "name",
        [
            "fatal alert in the clear",
            "close_notify in the clear",
            "change cipher spec in the clear",
            "ServerHelloDone",
            "ClientKeyExchange",
            "forged alert",
            "forged data",
            "record of a future epoch",
            "too long a record",
            "length beyond the datagram",
            "three bytes",
            "nothing",
            "noise",
        ],
    )
    def test_a_live_session_survives(self, link, name):
        client = link.connect(HERE)
        assert link.layer.datagram_in(self.hostile(name, client), HERE, link.now) == []
        assert link.say(HERE, b"alive") == [b"alive"]
        assert link.layer.send(link.session(), b"too", link.now)
        link.run()
        assert client.received == [b"too"]
        assert link.ended == []

    def test_a_replayed_record_is_dropped(self, link):
        client = link.connect(HERE)
        [datagram] = client.send(b"once")
        assert [text for _, text in link.layer.datagram_in(datagram, HERE, link.now)] == [b"once"]
        assert link.layer.datagram_in(datagram, HERE, link.now) == []

    def test_a_bad_record_does_not_take_the_good_one_in_its_datagram_along(self, link):
        client = link.connect(HERE)
        datagram = self.forged(client) + client.send(b"good")[0]
        assert [text for _, text in link.layer.datagram_in(datagram, HERE, link.now)] == [b"good"]

    def test_two_records_in_one_datagram_are_two_messages(self, link):
        client = link.connect(HERE)
        datagram = client.send(b"one")[0] + client.send(b"two")[0]
        assert [text for _, text in link.layer.datagram_in(datagram, HERE, link.now)] == [b"one", b"two"]

    def test_the_datagrams_after_a_cut_off_record_are_read_from_their_start(self, link):
        # A memory BIO is a byte stream: what is left of one datagram must not run into the next.
        client = link.connect(HERE)
        cut = client.send(b"cut")[0] + client.send(b"off")[0][:-4]
        assert [text for _, text in link.layer.datagram_in(cut, HERE, link.now)] == [b"cut"]
        assert link.say(HERE, b"next") == [b"next"]

    def test_a_handshake_survives_noise_on_its_port(self, link):
        client = Client(psk=(b"dev", b"secret"))
        link.clients[HERE] = client
        link.put(HERE, client.begin())
        while link.queue:
            for name in ("three bytes", "noise", "forged alert", "record of a future epoch"):
                link.layer.datagram_in(self.hostile(name, link_client(link)), HERE, link.now)
            inward, address, datagram = link.queue.popleft()
            if inward:
                link.layer.datagram_in(datagram, address, link.now)
            else:
                link.put(address, client.feed(datagram))
        assert client.done
        assert link.say(HERE, b"ok") == [b"ok"]

    def test_a_client_may_not_renegotiate(self, link):
        client = link.connect(HERE)
        client.conn.renegotiate()
        client._step()
        link.put(HERE, client.outgoing())
        link.run()
        assert "renegotiation" in client.error

    def test_close_notify_ends_the_session_and_is_answered(self, link):
        client = link.connect(HERE)
        client.conn.shutdown()
        link.put(HERE, client.outgoing())
        link.run()
        assert [reason for _, reason in link.ended] == ["closed by the peer"]
        assert client.error == "close_notify"


def link_client(link):
    """An established client of another link, for its records."""
    return Link().connect(HERE)
