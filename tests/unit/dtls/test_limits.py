"""What a client says in its hello that its records may hold at most."""

import pytest
from OpenSSL import SSL

from iotgw.dtls.engine import OpenSslEngine
from iotgw.dtls.settings import DtlsSettings, PemSettings, X509Settings
from iotgw.wire.dtls.hello import BODY, parse_client_hello
from tests.certificates import Authority
from tests.dtls_peer import Client, Link

HERE = ("10.0.0.1", 40000)
_ADD = "int(SSL *, unsigned int, const unsigned char **, size_t *, int *, void *)"


def stating(limit, **options):
    """A client with the extension record_size_limit, which OpenSSL itself doesn't have."""
    client = Client(**{"psk": (b"dev", b"secret"), **options})
    value = SSL._ffi.new("unsigned char[]", limit.to_bytes(2, "big"))

    def add(_ssl, _kind, out, size, _alert, _argument):
        out[0], size[0] = value, 2
        return 1

    client.kept = value, SSL._ffi.callback(_ADD, add)
    null = SSL._ffi.NULL
    assert SSL._lib.SSL_CTX_add_client_custom_ext(
        client.context._context, 28, client.kept[1], null, null, null, null
    )
    return client.connect()


def with_extensions(*extensions):
    """OpenSSL's hello with other extensions: (number, value)."""
    [datagram] = Client(psk=(b"dev", b"secret")).begin()
    body = datagram[BODY:]
    end = 35 + body[34]  # session id
    end += 1 + body[end]  # cookie
    end += 2 + int.from_bytes(body[end : end + 2], "big")  # suites
    end += 1 + body[end]  # compression
    block = b"".join(
        number.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value for number, value in extensions
    )
    body = body[:end] + len(block).to_bytes(2, "big") + block
    head = bytearray(datagram[:BODY])
    head[11:13] = (len(body) + 12).to_bytes(2, "big")
    head[14:17] = head[22:25] = len(body).to_bytes(3, "big")
    return bytes(head) + body


@pytest.mark.parametrize(
    ("extensions", "limit"),
    [
        ([], 16384),
        ([(1, b"\1")], 512),
        ([(1, b"\2")], 1024),
        ([(1, b"\4")], 4096),
        ([(1, b"\5")], 16384),  # OpenSSL refuses it
        ([(1, b"\1\1")], 16384),
        ([(28, b"\0\x40")], 64),
        ([(28, b"\x40\0")], 16384),
        ([(28, b"\x02\x57"), (1, b"\2")], 599),
        ([(28, b"\x40\0"), (23, b""), (1, b"\1")], 512),
        ([(28, b"\1")], 16384),
    ],
)
def test_the_limit_is_the_smaller_of_what_is_stated(extensions, limit):
    assert parse_client_hello(with_extensions(*extensions)).limit == limit


def test_an_extension_that_is_cut_off_states_nothing():
    hello = bytearray(with_extensions((23, b""), (1, b"\1")))
    hello[-3:-1] = b"\0\x09"
    assert parse_client_hello(bytes(hello)).limit == 16384


@pytest.mark.parametrize("cipher", ["PSK-AES128-CCM8", "PSK-AES128-GCM-SHA256", "PSK-AES128-CBC-SHA256"])
@pytest.mark.parametrize("limit", [64, 200, 512, 1100])
def test_a_record_size_limit_is_never_exceeded(limit, cipher):
    link = Link()
    client = link.connect(HERE, stating(limit, ciphers=cipher))
    session = link.session()
    assert session.mtu == limit
    assert link.layer.send(session, bytes(limit), link.now)
    link.run()
    assert client.received == [bytes(limit)]
    with pytest.raises(ValueError, match=f"at most {limit} bytes"):
        link.layer.send(session, bytes(limit + 1), link.now)


def test_a_record_size_limit_beyond_the_mtu_changes_nothing():
    plain, stated = Link(), Link()
    plain.connect(HERE)
    stated.connect(HERE, stating(16000))
    assert stated.session().mtu == plain.session().mtu


def test_a_record_size_limit_below_64_is_an_illegal_parameter():
    link = Link()
    client = link.connect(HERE, stating(63))
    assert "illegal parameter" in client.error
    assert link.layer.half_open == 0
    assert "expected a record_size_limit of at least 64, got 63" in link.events[0][1]


@pytest.mark.parametrize(("limit", "largest"), [(64, 256), (512, 525), (16384, 1232)])
def test_a_certificate_flight_is_packed_into_datagrams_that_its_client_has_room_for(tmp_path, limit, largest):
    ca = Authority()
    cert_file, key_file = ca.issue("gateway").write(tmp_path, "server")
    (tmp_path / "ca.pem").write_bytes(ca.pem())
    x509 = X509Settings(pem=PemSettings(cert_file, key_file), trust_anchors=[str(tmp_path / "ca.pem")])
    link = Link(DtlsSettings(x509=x509))
    device = stating(limit, psk=None, certificate=ca.issue("meter"), ciphers="ECDHE-ECDSA-AES128-GCM-SHA256")
    link.connect(HERE, device)
    assert device.done
    assert max(len(datagram) for datagram, _ in link.sent) <= largest
    assert sum(len(datagram) for datagram, _ in link.sent) > 600


def test_a_write_that_fails_ends_the_session_is_counted_and_told():
    link = Link()
    client = link.connect(HERE)
    session = link.session()
    client.conn.shutdown()
    OpenSslEngine.close(session.engine)  # the library says goodbye, and takes no more
    session.engine.closed = False
    assert link.layer.send(session, b"x", link.now) is False
    assert [reason for _, reason in link.ended] == ["a write failed"]
    assert list(link.layer.sessions()) == []
    assert link.layer.counters["writesFailed"] == 1
    assert link.events[0][1].startswith("10.0.0.1:40000: a write failed: ")
    assert link.layer.send(session, b"x", link.now) is False
    assert link.layer.counters["writesFailed"] == 1
