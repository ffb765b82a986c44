"""An SFTP session towards servers that don't keep to their protocol: it ends, with a reason and without a traceback."""

import pytest
from twisted.internet.testing import StringTransport

from iotgw.connect.sftp_client import LARGEST, Files
from iotgw.connect.ssh import SshSession
from iotgw.connect.ssh_keys import HostKeys
from iotgw.connect.ssh_login import SshCredentials
from iotgw.core.errors import ProtocolError, Unavailable
from iotgw.testing import fired

OPENED = b"\0\0\0\x05\x02\0\0\0\x03"  # VERSION 3


class Session:
    def opened(self, files):
        self.files = files


class Wire(StringTransport):
    """What a channel writes on."""


@pytest.fixture
def files():
    files = Files(Session())
    files.makeConnection(Wire())
    files.dataReceived(OPENED)
    return files


def test_a_servers_version_opens_the_session(files):
    assert files._session.files is files


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"\xff\xff\xff\xff\x65\0\0\0\x01", "at most 262144 bytes, got one of 4294967295"),
        ((LARGEST + 1).to_bytes(4, "big") + b"\x65\0\0\0\x01", "at most 262144 bytes"),
        (b"\0\0\0\0\x65\0\0\0\x01", "got one of 0"),
        (b"\0\0\0\x05\xfe\0\0\0\x01", "type 254"),
        (b"\0\0\0\x05\x03\0\0\0\x01", "type 3"),  # OPEN, which is ours to say
    ],
)
def test_what_is_no_packet_of_a_server_is_refused(files, said, why):
    with pytest.raises(ProtocolError, match=why):
        files.dataReceived(said)


@pytest.mark.parametrize("size", [0, 1, 3, 8])
def test_an_answer_that_is_cut_short_or_that_nobody_asked_for_is_no_answer(files, size):
    asked = files.removeFile(b"x")
    with pytest.raises(Exception):  # noqa: B017
        files.dataReceived((5 + size).to_bytes(4, "big") + b"\x65\0\0\0\x07" + bytes(size))
    assert not asked.called


def test_a_packet_that_comes_byte_by_byte_is_read(files):
    files.transport.clear()
    asked = files.removeFile(b"x")
    number = files.transport.value()[5:9]
    status = b"\x65" + number + b"\0\0\0\0" + b"\0\0\0\x02ok" + b"\0\0\0\0"
    for byte in len(status).to_bytes(4, "big") + status:
        files.dataReceived(bytes((byte,)))
    fired(asked)


def test_what_cannot_be_read_ends_the_session_with_a_reason():
    session = SshSession(SshCredentials("me"), HostKeys(["SHA256:x"], "", "h", 22))
    wire = StringTransport()
    session.factory = None
    session.makeConnection(wire)
    session.dataReceived(
        b"SSH-2.0-odd\r\n" + b"\0\0\0\x0c\x04\x14" + bytes(10)
    )  # a KEXINIT without its lists
    assert wire.disconnecting or wire.disconnected
    session.connectionLost()
    with pytest.raises(Unavailable, match="could not be read"):
        fired(session.ready)
