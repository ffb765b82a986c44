"""What a resumed session saves a device: bytes of UDP payload and datagrams, up and down, HelloVerifyRequest included."""

import tempfile
from pathlib import Path

from measure import certificates, client

from iotgw.dtls.settings import DtlsSettings, PemSettings, X509Settings
from tests.dtls_peer import Link, Secrets


class Counting(Link):
    def put(self, address, datagrams):
        self.up += [len(datagram) for datagram in datagrams]
        super().put(address, datagrams)


def handshake(link, address, one):
    link.up, link.sent = [], []
    link.connect(address, one)
    assert one.done and not one.error
    down = [len(datagram) for datagram, _ in link.sent]
    return sum(link.up), len(link.up), sum(down), len(down)


def main():
    with tempfile.TemporaryDirectory() as name:
        certificate = certificates(Path(name))
        x509 = X509Settings(
            pem=PemSettings(f"{name}/server.pem", f"{name}/server.key"), trust_anchors=[f"{name}/ca.pem"]
        )
        print(
            "| | handshake | bytes up | datagrams up | bytes down | datagrams down |\n|---|---|---|---|---|---|"
        )
        for kind in ("psk", "x509"):
            link = Counting(DtlsSettings(x509=x509, resumption=True), Secrets({"meter-1": b"secret"}))
            one = client(kind, certificate)
            full = handshake(link, ("10.0.0.1", 1), one)
            again = handshake(link, ("10.0.0.1", 2), one.connect(one.conn.get_session()))
            for title, figures in (("full", full), ("resumed", again)):
                print(f"| {kind} | {title} | " + " | ".join(map(str, figures)) + " |")


if __name__ == "__main__":
    main()
