"""60,000 hellos without a cookie, then as many junk datagrams from unknown peers."""

import os
import socket
import tempfile
from pathlib import Path

from measure import Device, certificates, client, iotgw

from iotgw.wire.dtls import record

COUNT, BURST = 60_000, 64


def flood(server, datagrams):
    """Send them from 64 ports in turn; how many answers came, CPU in us and growth in bytes."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(BURST)]
    for one in sockets:
        one.connect(server.address)
        one.setblocking(False)
    begun, before, answers = server.cpu, server.rss, 0
    probe = Device(client("psk", None), server).handshake()
    for _ in range(COUNT // BURST):
        for one, datagram in zip(sockets, datagrams, strict=True):
            one.send(datagram)
        probe.request()  # its answer says that the server has taken the burst
        probe.answered()
        for one in sockets:
            try:
                while one.recv(2048):
                    answers += 1
            except BlockingIOError:
                pass
    spent = 1e6 * (server.cpu - begun) / (COUNT // BURST * BURST)
    for one in sockets:
        one.close()
    return answers, spent, server.rss - before


def main():
    hellos = [client("psk", None).begin()[0] for _ in range(BURST)]
    data = record.HEADER.pack(record.APPLICATION_DATA, record.DTLS_1_2, 1, 0, 7, 40) + os.urandom(40)
    with tempfile.TemporaryDirectory() as name:
        certificates(Path(name))
        with iotgw("psk", name) as server:
            for _ in range(2):  # the first time warms up
                flood(server, hellos)
            for title, datagrams in (
                ("hellos without a cookie", hellos),
                ("records of no session", [data] * BURST),
                ("random bytes", [os.urandom(60) for _ in range(BURST)]),
            ):
                answers, spent, growth = flood(server, datagrams)
                print(
                    f"{COUNT // BURST * BURST} {title}: {answers} answers, {spent:.1f} us of CPU each (a legitimate "
                    f"request among every {BURST} included), memory {growth / 1000:+.0f} kB"
                )


if __name__ == "__main__":
    main()
