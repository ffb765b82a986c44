"""A small house with its gateway, for the console's tests and pictures: real devices' bytes in, two targets that work, one that is down,
one that refuses. ``python -m tests.console.scene [PORT]`` keeps it running and goes on sending."""

import json
import math
import socket
import sys
import tempfile
import time
from pathlib import Path

from tests.peers.gateway import Gateway
from tests.peers.http_sink import HttpSink
from tests.peers.process import free_port, wait_until

HOSTILE = "<img src=x onerror=alert(1)>"
"""A name that a page which pastes text into its markup would run."""

THERMO = """// Temperature (int16, tenths of a degree), humidity (uint8, %), battery (uint16, mV)
function Decoder(payload, metadata) {
  var view = new DataView(new Uint8Array(payload).buffer);
  var temperature = view.getInt16(0) / 10;
  var humidity = view.getUint8(2);
  var battery = view.getUint16(3);
  return {
    deviceName: metadata["Header:X-Device"],
    deviceType: "thermometer",
    telemetry: {temperature: temperature, humidity: humidity, battery: battery}
  };
}
"""
TANK = """function Decoder(payload, metadata) {
  var level = payload[0] * 256 + payload[1];
  return {deviceName: "tank-" + payload[2], deviceType: "oil tank", telemetry: {level: level, litres: level * 12}};
}
"""
PLACES = ("kitchen", "cellar", "attic", "greenhouse", "garage", "stable")
STANDS = {
    "kitchen": (47.3769, 8.5417), "cellar": (47.3769, 8.5417), "greenhouse": (47.3821, 8.5302), "stable": (47.2043, 7.5412),
    "tank-1": (48.1372, 11.5755), "tank-2": (50.1109, 8.6821), "tank-3": (45.4643, 9.1895),
}  # fmt: skip
"""Where some devices are: latitude and longitude."""


class Scene:
    """Gateway and targets; also a context manager."""

    def __init__(self, folder, settings=""):
        self.gateway = Gateway(folder / "gateway", settings=settings)
        self.sink = HttpSink(folder / "sink")
        self.refusing = HttpSink(folder / "refusing")
        self.down = free_port()

    def __enter__(self):
        self.sink.start()
        self.refusing.start()
        self.gateway.start()
        return self

    def __exit__(self, *exc):
        for process in (self.gateway, self.sink, self.refusing):
            if process.alive:
                process.kill_all()

    def furnish(self):
        """Datasources, converters, targets, a token for a viewer."""
        make = self.gateway.create
        make("converters", name="thermometer", script=THERMO)
        make("converters", name="oil-tank", script=TANK)
        make(
            "datasources", name="thermo", type="http", converter="thermometer", routingKey="thermo-3f9a",
            description="Radio thermometers in the house",
        )  # fmt: skip
        make(
            "datasources", name="tanks", type="http", converter="oil-tank", routingKey="tanks-77c1",
            description="Level probes of the oil tanks",
        )  # fmt: skip
        make("integrations", name="cloud", type="http", configuration={"url": f"{self.sink.url}/in"})
        make(
            "integrations",
            name="archive",
            type="http",
            configuration={"url": f"http://127.0.0.1:{self.down}/in"},
        )
        self.refusing.always({"status": 422, "body": "unknown meter"})
        make(
            "integrations", name="billing", type="http", route={"datasources": ["tanks"]}, retry={"initial": 0.1, "maxAttempts": 2},
            configuration={"url": f"{self.refusing.url}/bill"},
        )  # fmt: skip
        self.viewer = make("tokens", name="dashboard", role="viewer")["token"]

    def thermo(self, device, temperature, humidity=45, battery=3600, short=False):
        """One uplink of a thermometer; a ``short`` one lacks its battery, which the script doesn't expect."""
        payload = round(temperature * 10).to_bytes(2, "big", signed=True) + bytes([humidity])
        payload += b"" if short else battery.to_bytes(2, "big")
        return self.gateway.post(
            "thermo-3f9a", payload, {"Content-Type": "application/octet-stream", "X-Device": device}
        )

    def tank(self, number, level):
        return self.gateway.post(
            "tanks-77c1",
            level.to_bytes(2, "big") + bytes([number]),
            {"Content-Type": "application/octet-stream"},
        )

    def flood(self, count):
        """So many messages, a line each over one TCP connection."""
        port = free_port()
        self.gateway.create(
            "datasources", name="lines", type="tcp", configuration={"port": port, "interface": "127.0.0.1"}
        )
        with socket.create_connection(("127.0.0.1", port)) as device:
            device.sendall(b"".join(b"line %d\n" % number for number in range(count)))
            device.shutdown(socket.SHUT_WR)
            device.recv(1)  # closed by the gateway, which has read all

    def live(self, rounds=12):
        """What happens on a day: values, some failures, some refusals."""
        for turn in range(rounds):
            for number, place in enumerate(PLACES):
                self.thermo(place, 18 + 4 * math.sin(turn / 4 + number), 40 + number + turn % 7, 3600 - turn)
            self.tank(1 + turn % 3, 900 - turn * 7)
            if turn % 4 == 1:
                self.thermo("stable", 12.5, short=True)
        self.thermo(HOSTILE, 21)
        self.gateway.post(
            "thermo-3f9a",
            b"<script>alert(2)</script>",
            {"Content-Type": "application/octet-stream", "X-Device": HOSTILE},
        )
        for name, (latitude, longitude) in STANDS.items():
            self.gateway.api("PATCH", f"/devices/{name}", {"latitude": latitude, "longitude": longitude})
        self.gateway.api("PATCH", "/devices/kitchen", {"label": "Kitchen, north wall", "place": "1st floor"})
        self.gateway.api("POST", "/devices/kitchen/downlinks", {"data": "AQI=", "ttl": 86400})
        self.gateway.api(
            "POST", "/devices/cellar/credentials",
            {"identity": "urn:imei:868326028586451", "secrets": [{"value": "0123456789abcdef", "encoding": "hex"}]},
        )  # fmt: skip

    def settled(self):
        """Wait until what was sent has been converted, and what is refused is given up."""
        wait_until(lambda: not self.gateway.messages(state="received"), 20, "all messages to be converted")
        wait_until(
            lambda: self.gateway.api("GET", "/integrations/billing/dead-letters").json["items"],
            20,
            "a dead letter",
        )


def main():
    with tempfile.TemporaryDirectory() as folder, Scene(Path(folder)) as scene:
        if len(sys.argv) > 1:
            scene.gateway.stop()
            config = scene.gateway.config
            config.write_text(config.read_text().replace(f"tcp:{scene.gateway.port}:", f"tcp:{sys.argv[1]}:"))
            scene.gateway.port = int(sys.argv[1])
            scene.gateway.start()
        scene.furnish()
        scene.live()
        print(json.dumps({"url": scene.gateway.url, "token": scene.gateway.token}), flush=True)
        turn = 0
        while True:
            time.sleep(1)
            turn += 1
            scene.thermo(PLACES[turn % len(PLACES)], 18 + 4 * math.sin(turn / 9), short=turn % 37 == 0)


if __name__ == "__main__":
    main()
