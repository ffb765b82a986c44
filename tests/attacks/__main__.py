"""``python -m tests.attacks [SECONDS] [NAME…]``: each attack for some seconds against a gateway of its own, on loopback, while a device
sends over CoAP every 50 ms. Prints how long its slowest acknowledgement took. Ends with 1 if that was a second or more."""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.attacks.ways import WAYS
from tests.peers.coap import con_post
from tests.peers.gateway import ROOT, Gateway
from tests.peers.process import free_port, free_udp_port

MOST = 1.0
"""Seconds for an acknowledgement."""
EVERY = 0.05
SETTLES = 1.0
"""Seconds between the beginning of an attack and the first message that counts."""


class WellBehaved:
    """A device that sends a confirmable message, waits for its acknowledgement, and sends it again after two seconds."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", port))
        self._mid = 0

    def send(self) -> float:
        """The seconds until the acknowledgement; `MOST` times ten if none came."""
        self._mid += 1
        body = json.dumps({"deviceName": "well-behaved", "telemetry": {"n": self._mid}}).encode()
        data = con_post(self._mid, self._mid.to_bytes(2), "i/device", body)
        began = time.monotonic()
        while (waited := time.monotonic() - began) < 10 * MOST:
            self._socket.send(data)
            again = time.monotonic() + 2
            while (left := again - time.monotonic()) > 0:
                if (
                    select.select([self._socket], [], [], left)[0]
                    and self._socket.recv(2048)[2:4] == data[2:4]
                ):
                    return time.monotonic() - began
        return waited

    def close(self) -> None:
        self._socket.close()


def measure(name: str, seconds: float, folder: Path) -> tuple[int, float, float]:
    """Messages, and the median and the longest time of an acknowledgement; ``""`` is no attack."""
    with Gateway(folder) as gateway:
        ports = {key: free_udp_port() for key in ("coap", "coaps", "lobaro")} | {
            key: free_port() for key in ("tcp", "dragino")
        }
        local = {"interface": "127.0.0.1"}
        make = gateway.create
        make(
            "credentials",
            name="meter",
            identity="sim",
            device="meter-7",
            secrets=[{"value": "correct horse"}],
        )
        make(
            "datasources",
            name="device",
            type="coap",
            routingKey="device",
            converter="json",
            configuration={**local, "port": ports["coap"]},
        )
        make(
            "datasources",
            name="secure",
            type="coap",
            routingKey="s",
            configuration={**local, "securityMode": "DTLS", "securePort": ports["coaps"]},
        )
        make(
            "datasources", name="lobaro", type="lobaro-udp", configuration={**local, "port": ports["lobaro"]}
        )
        make("datasources", name="web", type="http", routingKey="web", converter="json")
        make("datasources", name="lines", type="tcp", configuration={**local, "port": ports["tcp"]})
        make("datasources", name="dragino", type="dragino", configuration={**local, "port": ports["dragino"]})
        device, attack = WellBehaved(ports["coap"]), None
        device.send()
        if name:
            where = json.dumps({**ports, "port": gateway.port, "url": gateway.url, "token": gateway.token})
            attack = subprocess.Popen([sys.executable, "-m", "tests.attacks.ways", name, where], cwd=ROOT)
        try:
            time.sleep(SETTLES)
            took = []
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                took.append(device.send())
                time.sleep(EVERY)
            assert attack is None or attack.poll() is None, f"{name} ended by itself"
        finally:
            if attack is not None:
                attack.kill()
                attack.wait()
            device.close()
        assert "Traceback" not in gateway.output, gateway.output[-4000:]
        return len(took), sorted(took)[len(took) // 2], max(took)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    names = sys.argv[2:] or ["", *(way.__name__ for way in WAYS)]
    slow = []
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            count, median, longest = measure(name, seconds, Path(folder) / "gateway")
        print(
            f"{name or 'nobody attacks':<20} {count:>4} messages, median {1000 * median:>6.1f} ms, slowest {1000 * longest:>7.1f} ms",
            flush=True,
        )
        if longest >= MOST:
            slow.append(name)
    if slow:
        sys.exit(f"a second or more: {', '.join(slow)}")


if __name__ == "__main__":
    main()
