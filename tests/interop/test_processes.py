"""Several processes on one machine: they share their ports, each peer keeps its process, and one that is killed comes back."""

import contextlib
import fcntl
import json
import os
import signal
import socket
import time

import pytest

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import encode, options, uri_options
from tests.dtls_peer import Client
from tests.peers.coap import con_post
from tests.peers.gateway import Gateway
from tests.peers.postgres import Postgres
from tests.peers.process import free_port, free_udp_port, wait_until

pytestmark = [pytest.mark.interop, pytest.mark.long]
SECRET = "correct horse battery staple"
NAMES = ("gw-1", "gw-2")
AGAIN = 3.0
"""Seconds after which a device sends again what wasn't answered."""


class Peer:
    """A device with a socket of its own. What it posts names it, and says how often it has posted."""

    def __init__(self, name, port):
        self.name, self.sent = name, 0
        self.line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.line.connect(("127.0.0.1", port))

    def payload(self):
        self.sent += 1
        return json.dumps({"deviceName": self.name, "n": self.sent}).encode()

    def post(self):
        """Send one message, once; `is_answered` says whether it was taken."""
        self.line.send(con_post(self.sent + 1, bytes([self.sent + 1]), "i/plain", self.payload()))
        return self

    def answer(self):
        self.line.settimeout(AGAIN)
        with contextlib.suppress(TimeoutError):
            return self.line.recv(2048)[1]
        return None


def taken(peer):
    """Whether what it posted was acknowledged, whenever that is."""
    return wait_until(
        lambda: peer.answer() == n.CHANGED, what=f"what {peer.name} has sent to be acknowledged"
    )


class Secured(Peer):
    """The same behind DTLS, in one session."""

    def __init__(self, name, port):
        super().__init__(name, port)
        self.client = Client((name.encode(), SECRET.encode()))
        self.handshakes = 0

    def shake(self):
        self.handshakes += 1
        self._send(self.client.begin())
        self.line.settimeout(AGAIN)
        while not self.client.done:
            with contextlib.suppress(TimeoutError):
                self._send(self.client.feed(self.line.recv(4096)))
                continue
            self._send(self.client.repeat())
        return self

    def _send(self, datagrams):
        for each in datagrams:
            self.line.send(each)

    def post(self):
        number = self.sent + 1
        message = encode(
            n.CON, n.POST, number, bytes([number]), options(*uri_options("i/safe")), self.payload()
        )
        self._send(self.client.send(message))
        return self

    def answer(self):
        before = len(self.client.received)
        self.line.settimeout(AGAIN)
        with contextlib.suppress(TimeoutError):
            while len(self.client.received) == before:
                self.client.feed(self.line.recv(4096))
            return self.client.received[-1][1]
        return None


class Several:
    """A gateway of two processes, with datasources that were made while it ran."""

    def __init__(self, server, folder):
        self.postgres, self.database = server, server.new_database()
        file = server.password_file(folder)
        (folder / "gateway" / "data").mkdir(parents=True)
        (folder / "gateway" / "data" / "password").write_text(file.read_text())
        url = server.dsn(self.database).replace("connect_timeout=3", "connect_timeout=60")
        settings = f'[store]\nurl = "{url}"\npassword-file = "password"\nlease = 60\n'
        self.ports = {"plain": free_udp_port(), "safe": free_udp_port(), "stream": free_port()}
        self.told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.told.bind(str(folder / "told"))
        self.gateway = Gateway(
            folder / "gateway", settings=settings, options=["--node", "gw", "--processes", "2"],
            env={"NOTIFY_SOCKET": str(folder / "told")},
        )  # fmt: skip

    def __enter__(self):
        self.gateway.launch()
        self.gateway.wait_for(lambda: "all 2 processes are ready" in self.gateway.output, 60)
        create = self.gateway.create
        for number in range(8):
            create(
                "credentials", name=f"safe-{number}", identity=f"safe-{number}", secrets=[{"value": SECRET}]
            )
        create("datasources", name="plain", type="coap", routingKey="plain", converter="json",
               configuration={"port": self.ports["plain"], "interface": "127.0.0.1"})  # fmt: skip
        create("datasources", name="safe", type="coap", routingKey="safe", converter="json",
               configuration={"securePort": self.ports["safe"], "securityMode": "DTLS", "interface": "127.0.0.1"})  # fmt: skip
        create("datasources", name="stream", type="tcp", converter="json",
               configuration={"port": self.ports["stream"], "interface": "127.0.0.1"})  # fmt: skip
        return self

    def __exit__(self, *exc):
        self.told.close()
        if self.gateway.alive:
            self.gateway.kill_all()

    def pid(self, name):
        """The process that is a node."""
        return int((self.gateway.data / name / "lock").read_text())

    def stored(self):
        """Partition and number of each message, by device."""
        with self.postgres.connect(self.database) as connection:
            rows = connection.execute("SELECT part, payload FROM iotgw.uplink").fetchall()
        found = {}
        for part, payload in rows:
            said = json.loads(payload)
            found.setdefault(said["deviceName"], set()).add((part, said["n"]))
        return found

    def parts(self, *peers):
        """In which partitions the messages of these are."""
        stored = self.stored()
        return {peer.name: {part for part, _ in stored[peer.name]} for peer in peers}


@pytest.fixture(scope="module")
def server():
    with Postgres("fsync = off") as postgres:
        yield postgres


def test_each_peer_keeps_its_process_also_while_another_one_is_killed(server, tmp_path):
    with Several(server, tmp_path) as several:
        gateway = several.gateway
        assert b"READY=1" in several.told.recv(1000)
        both = {1, 2}

        def seen_by_both():
            peers = [Peer(f"early-{time.monotonic_ns()}", several.ports["plain"]).post() for _ in range(8)]
            taken = [each for each in peers if each.answer() == n.CHANGED]
            return set().union(*several.parts(*taken).values()) == both

        wait_until(seen_by_both, what="both processes to have opened the port")
        plain = [Peer(f"plain-{number}", several.ports["plain"]) for number in range(12)]
        safe = [Secured(f"safe-{number}", several.ports["safe"]) for number in range(8)]
        wait_until(lambda: all(f"{name} [datasource] safe: coap is open" in gateway.output for name in NAMES))
        for peer in safe:
            peer.shake()
        for peer in (*plain, *safe) * 2:
            assert taken(peer.post())
        where = several.parts(*plain, *safe)
        assert all(len(each) == 1 for each in where.values())
        assert set().union(*(where[each.name] for each in safe)) == both

        os.kill(several.pid("gw-2"), signal.SIGSTOP)  # so that nothing is answered before it is dead
        os.kill(several.pid("gw-2"), signal.SIGKILL)
        theirs = [each for each in plain if where[each.name] == {2}]
        for peer in theirs:
            peer.post()
        others = [each for each in (*plain, *safe) if where[each.name] == {1}]
        for peer in others:
            assert taken(peer.post())
        with socket.create_connection(("127.0.0.1", several.ports["stream"])) as stream:
            stream.sendall(b'{"deviceName": "stream", "n": 1}\n')
            wait_until(lambda: "stream" in several.stored(), what="the message over TCP")
        assert all(taken(peer) for peer in theirs), "what waited in the socket"
        assert several.parts(*plain, *others) == {
            name: where[name] for name in several.parts(*plain, *others)
        }
        assert all(len(several.stored()[peer.name]) == 3 for peer in plain)

        os.kill(gateway.pid, signal.SIGHUP)
        wait_until(lambda: all(f"{name} [app] settings reloaded" in gateway.output for name in NAMES))
        assert gateway.stop() in (0, -signal.SIGTERM)
        assert b"STOPPING=1" in several.told.recv(1000)

        gateway.launch()
        gateway.wait_for(lambda: gateway.output.count("all 2 processes are ready") == 2, 60)
        gateway.kill()
        orphans = [gateway.data / name for name in NAMES]
        wait_until(lambda: all(map(has_ended, orphans)), 60, what="the processes without a supervisor to end")


def has_ended(data):
    """Whether no process works in a data directory."""
    with (data / "lock").open() as lock, contextlib.suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def test_files_alone_have_one_process(tmp_path):
    gateway = Gateway(tmp_path, options=["--processes", "2"])
    assert gateway.launch().wait_for_end() == 1
    assert "expected a database for several processes (`store.url`)" in gateway.output
