import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL

from iotgw.core.errors import ProtocolError
from iotgw.wire.dtls.cookie import SIZE, TICK, Cookies
from iotgw.wire.dtls.hello import hello_verify_request, is_client_hello, parse_client_hello
from tests.dtls_peer import CCM8, GCM, Client

HERE = ("192.0.2.7", 40001)


@pytest.fixture
def datagram():
    [datagram] = Client(psk=(b"dev", b"secret"), ciphers=f"{CCM8}:{GCM}").begin()
    return datagram


def with_cookie(cookie):
    """The hello that a client answers a HelloVerifyRequest with."""
    client = Client(psk=(b"dev", b"secret"))
    [hello] = client.begin()
    [again] = client.feed(hello_verify_request(parse_client_hello(hello), cookie))
    return hello, again


def test_a_hello_of_openssl_is_read(datagram):
    hello = parse_client_hello(datagram)
    assert is_client_hello(datagram)
    assert (hello.version, hello.sequence, hello.cookie) == (0xFEFD, 0, b"")
    assert {0xC0A8, 0x00A8} <= hello.suites
    assert len(hello.random) == 32


def test_the_cookie_comes_back_in_a_hello_with_the_same_fields():
    first, second = (parse_client_hello(hello) for hello in with_cookie(b"c" * SIZE))
    assert (second.cookie, second.sequence) == (b"c" * SIZE, 1)
    assert (second.fixed, second.suites) == (first.fixed, first.suites)


def test_our_hello_verify_request_is_openssls_to_the_byte(datagram):
    context = SSL.Context(SSL.DTLS_SERVER_METHOD)
    context.set_cipher_list(f"{CCM8}:@SECLEVEL=0".encode())
    context.set_cookie_generate_callback(lambda conn: b"c" * SIZE)
    context.set_cookie_verify_callback(lambda conn, cookie: True)
    server = SSL.Connection(context, None)
    server.set_accept_state()
    server.bio_write(datagram)
    with pytest.raises(SSL.WantReadError):
        server.DTLSv1_listen()
    assert hello_verify_request(parse_client_hello(datagram), b"c" * SIZE) == server.bio_read(200)


def test_the_answer_is_never_longer_than_the_hello(datagram):
    shortest = bytearray(datagram[: 25 + 34] + b"\0" + b"\0" + b"\0\2\xc0\xa8" + b"\1\0")
    body = len(shortest) - 25
    shortest[11:13] = (body + 12).to_bytes(2, "big")
    shortest[14:17] = shortest[22:25] = body.to_bytes(3, "big")
    hello = parse_client_hello(bytes(shortest))
    assert len(hello_verify_request(hello, b"c" * SIZE)) <= len(shortest)


def test_a_part_of_a_hello_is_no_whole_one(datagram):
    fragment = bytearray(datagram)
    fragment[22:25] = (int.from_bytes(fragment[22:25], "big") - 1).to_bytes(3, "big")
    with pytest.raises(ProtocolError, match="a part of one"):
        parse_client_hello(bytes(fragment))


@settings(max_examples=300)
@given(st.data())
def test_any_bytes_are_read_or_refused(data):
    [datagram] = Client(psk=(b"dev", b"secret")).begin()
    changed = bytearray(datagram)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(changed[: data.draw(st.integers(0, len(changed)))])
    try:
        hello = parse_client_hello(cut)
    except ProtocolError:
        return
    assert len(hello.random) == 32 and hello.suites


class TestCookies:
    cookies = Cookies(b"k" * 32)

    def pair(self):
        client = Client(psk=(b"dev", b"secret"))
        [first] = client.begin()
        hello = parse_client_hello(first)
        [second] = client.feed(hello_verify_request(hello, self.cookies.make(hello, HERE, 0.0)))
        return parse_client_hello(second)

    def test_a_returned_cookie_holds(self):
        assert self.cookies.holds(self.pair(), HERE, 0.0)

    @pytest.mark.parametrize("other", [("192.0.2.7", 40002), ("192.0.2.8", 40001)])
    def test_it_does_not_hold_for_another_address(self, other):
        assert not self.cookies.holds(self.pair(), other, 0.0)

    def test_it_holds_into_the_next_tick_and_not_beyond(self):
        hello = self.pair()
        assert self.cookies.holds(hello, HERE, 2 * TICK - 1)
        assert not self.cookies.holds(hello, HERE, 2 * TICK)

    def test_it_does_not_hold_for_another_secret_or_another_random(self):
        import msgspec

        hello = self.pair()
        assert not Cookies(b"l" * 32).holds(hello, HERE, 0.0)
        other = msgspec.structs.replace(hello, fixed=hello.fixed[:-1] + b"x")
        assert not self.cookies.holds(other, HERE, 0.0)

    def test_a_hello_without_a_cookie_has_none_that_holds(self, datagram):
        assert not self.cookies.holds(parse_client_hello(datagram), HERE, 0.0)
