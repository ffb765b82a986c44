"""Of 100 handshakes over a lossy link, how many complete within 60 s, without starting over? In process, real time."""

import sys
import tempfile
import time
from pathlib import Path

from measure import certificates, client

from iotgw.dtls.settings import DtlsSettings, PemSettings, X509Settings
from tests.dtls_peer import Link, Secrets

CLIENTS, PATIENCE, SEEDS = 100, 60.0, 3


def links(folder, certificate):
    x509 = X509Settings(
        pem=PemSettings(f"{folder}/server.pem", f"{folder}/server.key"), trust_anchors=[f"{folder}/ca.pem"]
    )
    for loss in (0.1, 0.2):
        for kind in ("psk", "x509"):
            for seed in range(SEEDS):
                secrets = Secrets({"meter-1": b"secret"})
                link = Link(
                    DtlsSettings(x509=x509), secrets, loss=loss, duplicates=0.1, reorder=0.2, seed=seed
                )
                template = client(kind, certificate)
                for number in range(CLIENTS):
                    address = (f"10.0.0.{number}", 40000)
                    link.clients[address] = template.another()
                    link.put(address, link.clients[address].begin())
                yield f"{loss:.0%} {kind}", link


def main():
    sys.setswitchinterval(1)
    with tempfile.TemporaryDirectory() as name:
        all_links = list(links(name, certificates(Path(name))))
        begun = time.monotonic()
        while time.monotonic() - begun < PATIENCE:
            for _, link in all_links:
                link.now = time.monotonic()
                for address, one in link.clients.items():
                    if not one.done:
                        link.put(address, one.repeat())
                link.run()
                link.layer.tick(link.now)
            if all(one.done for _, link in all_links for one in link.clients.values()):
                break
            time.sleep(0.05)
        for title in dict.fromkeys(title for title, _ in all_links):
            done = [sum(c.done for c in link.clients.values()) for one, link in all_links if one == title]
            print(f"{title}: {', '.join(map(str, done))} of {CLIENTS} complete")


if __name__ == "__main__":
    main()
