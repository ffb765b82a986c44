"""Datagrams of real handshakes and sessions, cut, flipped, doubled, glued and sent from anywhere, into a layer."""

from __future__ import annotations

import random

from iotgw.dtls.settings import DtlsSettings
from iotgw.dtls.telling import HOSTS as HOSTS_TOLD
from tests.dtls_peer import CCM8, GCM, Client, Link, Secrets

HOSTS = 20
SETTINGS = DtlsSettings(max_handshakes=16, max_sessions=32, address_change=2, resumption=True, mtu=512)
# "several" has two secrets, so that the trial of keys sees the datagrams too
SECRETS = {"dev": b"secret", "several": (b"new", b"secret")}


class Fuzz:
    """A layer with devices, of which some behave and some send rubbish at their addresses."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.link = Link(SETTINGS, Secrets(SECRETS), loss=0.05, duplicates=0.1, reorder=0.2, seed=seed)
        self.templates = [
            Client(psk=(identity, b"secret"), ciphers=ciphers)
            for identity in (b"dev", b"several", b"nobody")
            for ciphers in (CCM8, GCM)
        ]
        self.seen = [template.another().begin()[0] for template in self.templates]
        self.datagrams = 0
        self._put, self.link._put = self.link._put, self._seen  # type: ignore[method-assign]

    def run(self, count: int) -> None:
        """So many doings."""
        for _ in range(count):
            self.link.now += self.random.expovariate(1.0)
            self.random.choice((self._device, self._rubbish, self._rubbish, self._say, self._tick))()
            self.link.ended.clear()
            self.link.plaintexts.clear()
            self.link.sent.clear()
            self.link.events.clear()

    def check(self) -> None:
        """Everything is within its bounds."""
        layer = self.link.layer
        assert layer.half_open <= SETTINGS.max_handshakes
        assert len(layer._sessions) <= SETTINGS.max_sessions
        assert len(layer.told) <= HOSTS_TOLD
        assert sum(len(each) for each in layer._sessions._hosts.values()) == len(layer._sessions)

    def idle(self) -> None:
        """Let a day and a bit pass."""
        self.link.layer.tick(self.link.now + 90_000)
        assert (self.link.layer.half_open, len(self.link.layer._sessions)) == (0, 0)
        assert not self.link.layer._sessions._hosts

    def _address(self) -> tuple[str, int]:
        return f"10.0.0.{self.random.randrange(HOSTS)}", self.random.randrange(40000, 40003)

    def _device(self) -> None:
        address = self._address()
        self.link.connect(address, self.random.choice(self.templates).another())

    def _say(self) -> None:
        talking = [
            address for address, client in self.link.clients.items() if client.done and not client.error
        ]
        if talking:
            address = self.random.choice(talking)
            datagrams = self.link.clients[address].send(self.random.randbytes(self.random.randrange(1, 60)))
            self.seen = [*datagrams, *self.seen[-200:]]
            elsewhere = self._address() if self.random.random() < 0.2 else address
            self.link.put(elsewhere, datagrams)
            self.link.run()

    def _tick(self) -> None:
        self.link.layer.tick(self.link.now)
        self.link.run()

    def _rubbish(self) -> None:
        datagram = bytearray(self.random.choice(self.seen))
        for _ in range(self.random.randrange(5)):
            datagram[self.random.randrange(len(datagram))] = self.random.randrange(256)
        if self.random.random() < 0.3:
            del datagram[self.random.randrange(len(datagram)) :]
        if self.random.random() < 0.2:
            datagram += self.random.choice(self.seen)
        self.datagrams += 1
        self.link.layer.datagram_in(bytes(datagram), self._address(), self.link.now)
        self.link.run()

    def _seen(self, address: tuple[str, int], datagram: bytes, inward: bool) -> None:
        self.seen = [*self.seen[-200:], datagram]
        self._put(address, datagram, inward)
