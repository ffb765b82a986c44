"""A client's first key exchange, towards servers that inject messages (CVE-2023-48795) or have nothing in common."""

import pytest
from twisted.internet.testing import StringTransport

from iotgw.connect.ssh import SshSession
from iotgw.connect.ssh_keys import HostKeys
from iotgw.connect.ssh_login import SshCredentials
from iotgw.core.errors import Unavailable
from iotgw.testing import fired
from iotgw.wire.ssh.ciphers import Plain

LISTS = [b"curve25519-sha256", b"ssh-ed25519", *[b"aes256-gcm@openssh.com"] * 2, *[b"hmac-sha2-256"] * 2,
         b"none", b"none", b"", b""]  # fmt: skip
STRICT = b"curve25519-sha256,kex-strict-s-v00@openssh.com"
IGNORE, EXT_INFO, SERVICE_ACCEPT, AUTH_SUCCESS = (
    b"\x02\0\0\0\0",
    b"\x07\0\0\0\0",
    b"\x06\0\0\0\x0cssh-userauth",
    b"\x34",
)


def offer(*lists):
    return b"\x14" + bytes(16) + b"".join(len(each).to_bytes(4, "big") + each for each in lists) + bytes(5)


@pytest.fixture
def session():
    session = SshSession(SshCredentials("me"), HostKeys(["SHA256:x"], "", "h", 22))
    session.factory = None
    session.makeConnection(StringTransport())
    session.dataReceived(b"SSH-2.0-odd\r\n")
    return session


def say(session, *payloads):
    plain = Plain()
    for number, payload in enumerate(payloads):
        session.dataReceived(plain.seal(number, payload))


def failure(session):
    assert session.transport.disconnecting or session.transport.disconnected
    session.connectionLost()
    with pytest.raises(Unavailable) as caught:
        fired(session.ready)
    return str(caught.value)


@pytest.mark.parametrize("injected", [IGNORE, EXT_INFO, SERVICE_ACCEPT, AUTH_SUCCESS])
def test_nothing_may_be_injected_into_a_strict_key_exchange(session, injected):
    say(session, offer(STRICT, *LISTS[1:]), injected)
    assert "in the middle of the key exchange" in failure(session)


def test_nothing_may_come_before_a_strict_key_exchange(session):
    say(session, IGNORE, offer(STRICT, *LISTS[1:]))
    assert "before the key exchange" in failure(session)


@pytest.mark.parametrize("injected", [EXT_INFO, SERVICE_ACCEPT, AUTH_SUCCESS])
def test_without_strictness_what_is_no_part_of_a_key_exchange_is_refused_too(session, injected):
    say(session, offer(*LISTS), injected)
    assert "in the middle of the key exchange" in failure(session)


def test_without_strictness_messages_that_mean_nothing_may_come(session):
    say(session, IGNORE, offer(*LISTS), IGNORE)
    assert not session.transport.disconnecting


def test_new_keys_that_nobody_agreed_on_are_refused(session):
    say(session, b"\x15")
    assert "NEWKEYS that wasn't expected" in failure(session)


def test_a_server_with_nothing_in_common_is_told_from_both_lists(session):
    say(session, offer(STRICT, b"ssh-ed25519", *[b"3des-cbc"] * 2, *LISTS[4:]))
    assert "no cipher in common: the server has 3des-cbc; the gateway has aes256-gcm@openssh.com" in failure(
        session
    )


def test_after_a_refusal_nothing_more_is_read(session):
    say(session, b"\x15")
    written = len(session.transport.value())
    say(session, offer(STRICT, *LISTS[1:]))
    assert len(session.transport.value()) == written


def test_a_guess_that_was_wrong_is_passed_over(session):
    guessing = offer(b"other,curve25519-sha256", *LISTS[1:])[:-5] + b"\x01\0\0\0\0"
    say(session, guessing, b"\x1f" + bytes(12))
    assert not session.transport.disconnecting
