"""Memory of idle sessions, each on a port of its own. Arguments: how many (5000), psk or x509 (psk)."""

import sys
import tempfile
from pathlib import Path

from measure import Device, allow_files, certificates, client, iotgw, libcoap


def main(count=5000, kind="psk"):
    allow_files(2 * count)
    with tempfile.TemporaryDirectory() as name:
        template = client(kind, certificates(Path(name)))
        for title, make, held in (("iotgw", iotgw, count), ("libcoap", libcoap, min(count, 90))):
            server = make(kind, name)
            if server is None:
                print(f"{title}: not installed")
                continue
            with server:
                Device(template.another(), server).handshake()
                before = server.rss
                devices = [Device(template.another(), server).handshake() for _ in range(held)]
                for device in devices:
                    device.request()
                    device.answered()
                after = server.rss
                ports = len({device.socket.getsockname()[1] for device in devices})
                print(
                    f"{title}: {held} idle {kind} sessions on {ports} ports, all answered: "
                    f"{(after - before) / held / 1000:.1f} kB each, {after / 2**20:.0f} MiB in all"
                )
                for device in devices:
                    device.close(politely=False)


if __name__ == "__main__":
    main(*(convert(text) for convert, text in zip((int, str), sys.argv[1:], strict=False)))
