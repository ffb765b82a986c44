# ruff: noqa: E402
"""Servers in processes of their own, what they cost, and clients on real sockets."""

import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import encode, options, uri_options
from tests.certificates import Authority
from tests.dtls_peer import CCM8, ECDSA_CCM8, Client
from tests.peers.process import free_udp_port

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def certificates(folder):
    """Write what servers need; returns a device's certificate."""
    ca = Authority()
    (folder / "ca.pem").write_bytes(ca.pem())
    ca.issue("localhost", hosts=["127.0.0.1"]).write(folder, "server")
    return ca.issue("meter-1")


class Server:
    """A server program under test; a context manager."""

    def __init__(self, args, port, path, say_ready):
        self.address, self.path = ("127.0.0.1", port), path
        self._args, self._say_ready = args, say_ready

    def __enter__(self):
        self._child = subprocess.Popen(
            self._args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        if self._say_ready:
            assert self._child.stdout.readline() == b"ready\n"
        else:
            time.sleep(0.5)
        return self

    def __exit__(self, *exc):
        self._child.stdin.close()
        if not self._say_ready:
            self._child.terminate()
        self._child.wait()

    @property
    def cpu(self):
        """Seconds of user and system time."""
        fields = Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    @property
    def rss(self):
        """Bytes of memory."""
        return int(Path(f"/proc/{self._child.pid}/statm").read_text().split()[1]) * PAGE


def iotgw(kind, folder):
    port = free_udp_port()
    return Server([sys.executable, HERE / "server.py", str(port), kind, folder], port, "i/k", True)


def libcoap(kind, folder):
    """libcoap's server on OpenSSL, or None where it isn't installed. Its coaps port is one above."""
    program = shutil.which("coap-server-openssl")
    if program is None:
        return None
    port = free_udp_port()
    how = {
        "psk": ["-k", "secret"],
        "x509": ["-c", f"{folder}/server.pem", "-j", f"{folder}/server.key", "-C", f"{folder}/ca.pem"],
    }[kind]
    args = [program, "-A", "127.0.0.1", "-p", str(port), "-v", "0", *how]
    return Server(args, port + 1, "example_data", False)


def client(kind, certificate):
    if kind == "psk":
        return Client(psk=(b"meter-1", b"secret"), ciphers=CCM8)
    return Client(certificate=certificate, ciphers=ECDSA_CCM8)


class Device:
    """A client with a socket, and so a port, of its own; blocking."""

    def __init__(self, client, server, timeout=1.1):
        self.client, self.path = client, server.path
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(timeout)
        self.socket.connect(server.address)
        self.mid = 0

    def handshake(self):
        self._send(self.client.begin())
        while not self.client.done:
            try:
                self._send(self.client.feed(self.socket.recv(4096)))
            except TimeoutError:
                self._send(self.client.repeat())
            if self.client.error:
                raise RuntimeError(self.client.error)
        return self

    def request(self):
        """Send a confirmable request of 24 bytes."""
        self.mid = self.mid + 1 & 0xFFFF
        message = encode(n.CON, n.PUT, self.mid, b"t", options(*uri_options(self.path)), b"x" * 24)
        self._send(self.client.send(message))

    def answered(self):
        self.socket.settimeout(10)
        self.client.feed(self.socket.recv(4096))
        answer = self.client.received.pop()
        assert answer[1] >> 5 == 2, answer

    def close(self, politely=True):
        if politely:
            self.client.conn.shutdown()
            self._send(self.client.outgoing())
        self.socket.close()

    def _send(self, datagrams):
        for datagram in datagrams:
            self.socket.send(datagram)


def allow_files(count):
    """Raise the limit of open files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
