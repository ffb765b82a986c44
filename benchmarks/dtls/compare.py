"""CPU of the server per handshake and per record, ours and libcoap's, interleaved in one run (CCM_8)."""

import statistics
import sys
import tempfile
from pathlib import Path

from measure import Device, certificates, client, iotgw, libcoap

ROUNDS, HANDSHAKES, RECORDS, SESSIONS = 5, 2000, 20_000, 32


def handshakes(server, template):
    begun = server.cpu
    for _ in range(HANDSHAKES):
        Device(template.another(), server).handshake().close()
    return 1e6 * (server.cpu - begun) / HANDSHAKES


def records(server, template):
    devices = [Device(template.another(), server).handshake() for _ in range(SESSIONS)]
    begun = server.cpu
    for _ in range(RECORDS // SESSIONS):
        for device in devices:
            device.request()
        for device in devices:
            device.answered()
    spent = 1e6 * (server.cpu - begun) / (RECORDS // SESSIONS * SESSIONS)
    for device in devices:
        device.close()
    return spent


def main():
    with tempfile.TemporaryDirectory() as name:
        certificate = certificates(Path(name))
        if libcoap("psk", name) is None:
            sys.exit("coap-server-openssl is not installed (Debian: libcoap3-bin)")
        print(
            f"| kind | what | iotgw us | libcoap us | ratio (median of {ROUNDS}, least, most) |\n|---|---|---|---|---|"
        )
        for kind in ("psk", "x509"):
            template = client(kind, certificate)
            for what, measure in (("handshake", handshakes), ("request and reply", records)):
                ours, theirs = [], []
                for _ in range(ROUNDS):
                    for make, results in ((iotgw, ours), (libcoap, theirs)):
                        with make(kind, name) as server:
                            results.append(measure(server, template))
                ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
                print(
                    f"| {kind} | {what} | {statistics.median(ours):.0f} | {statistics.median(theirs):.0f} "
                    f"| {statistics.median(ratios):.2f} ({ratios[0]:.2f}, {ratios[-1]:.2f}) |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
