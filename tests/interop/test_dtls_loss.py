"""Handshakes of OpenSSL's client over a link that loses, doubles and reorders, in real time: OpenSSL's
retransmission timers know no other."""

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from iotgw.dtls.settings import DtlsSettings, PemSettings, X509Settings
from tests.certificates import Authority
from tests.dtls_peer import CCM8, Client, Link
from tests.peers.patience import own_time

CLIENTS = 100
PATIENCE = 90.0
STARTS_OVER = 8.0
"""Seconds after which a device gives a handshake up and begins anew; OpenSSL has sent each flight four times."""


@pytest.fixture(scope="module")
def ca():
    return Authority()


def crowd(link, make):
    """Clients that begin at once, each at an address of its own."""
    for number in range(CLIENTS):
        address = (f"10.0.{number >> 8}.{number & 255}", 40000)
        link.clients[address] = make()
        link.put(address, link.clients[address].begin())


async def settled(links):
    """Drive the links until each handshake is complete on both sides, or there is no more patience.

    Returns how many of each link's clients needed no second attempt.
    """
    done = Deferred()
    begun = own_time()
    attempts = [dict.fromkeys(link.clients, 1) for link in links]

    def turn():
        now = own_time()
        for link, count in zip(links, attempts, strict=True):
            link.now = now
            for address, client in link.clients.items():
                if client.done:
                    continue
                if now - begun > STARTS_OVER * count[address]:
                    count[address] += 1
                    link.put(address, client.connect().begin())
                else:
                    link.put(address, client.repeat())
            link.run()
            link.layer.tick(now)
        complete = all(client.done for link in links for client in link.clients.values())
        if complete or now - begun > PATIENCE:
            pump.stop()
            done.callback([sum(count == 1 for count in counts.values()) for counts in attempts])

    pump = LoopingCall(turn)
    pump.start(0.05)
    return await done


@pytest.mark.interop
@pytest_twisted.ensureDeferred
async def test_of_100_handshakes_all_complete_and_most_at_the_first_attempt(ca, tmp_path):
    cert_file, key_file = ca.issue("gateway").write(tmp_path, "server")
    (tmp_path / "ca.pem").write_bytes(ca.pem())
    x509 = X509Settings(pem=PemSettings(cert_file, key_file), trust_anchors=[str(tmp_path / "ca.pem")])
    device = ca.issue("meter")

    def psk():
        return Client(psk=(b"dev", b"secret"), ciphers=CCM8)

    def certificate():
        return Client(certificate=device, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256", mtu=512)

    links = {}
    for loss in (0.1, 0.2):
        for make in (psk, certificate):
            link = Link(DtlsSettings(x509=x509, mtu=512), loss=loss, duplicates=0.1, reorder=0.3, seed=loss)
            crowd(link, make)
            links[f"{loss:.0%} {make.__name__}"] = link
    first = dict(zip(links, await settled(list(links.values())), strict=True))
    print(f"complete at the first attempt: {first}")
    for name, link in links.items():
        assert all(client.done for client in link.clients.values()), name
        assert set(link.clients) == {session.address for session in link.layer.sessions()}
    assert min(first["10% psk"], first["10% certificate"]) >= 85, first
    assert min(first["20% psk"], first["20% certificate"]) >= 50, first
