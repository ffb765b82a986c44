"""A gateway with a broker that hears of every change of a downlink, and simulated devices."""

import json
import random
import subprocess
import sys
from urllib.parse import quote

from iotgw.simulate.runner import KINDS
from tests.peers.patience import HANGS
from tests.peers.process import wait_until

JSON_HANDLER = {"handler": {"type": "JSON"}}


class Field:
    """A gateway, a broker that hears of every change of an item, and simulated devices."""

    def __init__(self, gateway, broker, heard):
        self.gateway = gateway
        self.broker = broker
        self.heard = heard

    def open(self, type_, port, converter="json", key="", **configuration):
        self.gateway.create(
            "datasources", name=f"{type_} {port}", type=type_, routingKey=key, converter=converter,
            configuration={"port": port, **configuration} if port else configuration,
        )  # fmt: skip
        return port

    def push(self, device, **item):
        answer = self.gateway.api("POST", f"/devices/{quote(device)}/downlinks?allowUnknown=true", item)
        assert answer.status == 201, answer.body
        assert answer.json["state"] == "QUEUED"
        return answer.json

    def simulate(self, kind, port, path="", patience=None):
        """One uplink of the device that the seed makes; what came of it."""
        more = [*(["--path", path] if path else []), *(["--patience", str(patience)] if patience else [])]
        ran = subprocess.run(
            [sys.executable, "-m", "iotgw.ctl.main", "--json", "simulate", kind, "--port", str(port),
             "--count", "1", "--devices", "1", "--seed", str(seed(kind)), *more],
            check=False, capture_output=True, text=True, timeout=HANGS,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    def lives(self, item, states):
        """The item takes these states, as the API tells it and as the broker hears it."""
        wait_until(
            lambda: (
                [each["event"] for each in self.heard.documents if each["downlink"]["id"] == item["id"]]
                == [f"downlink.{state}" for state in states]
            ),
            20,
            f"{states} at the broker, it heard {self.heard.documents}",
        )
        shown = self.gateway.api("GET", f"/devices/{quote(item['device'])}/downlinks/{item['id']}").json
        assert shown["state"] == states[-1].upper()


def seed(kind):
    """Each kind has a device of its own: one that was seen elsewhere could be reached there."""
    return sum(kind.encode())


def device(kind):
    """The name of the simulated device that the seed makes."""
    return KINDS[kind].make(random.Random(seed(kind))).identity
