"""The lwm2m datasource and a device of npm's coap-node: LwM2M 1.0, by another hand than Leshan's."""

from __future__ import annotations

import subprocess

import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred

from tests.peers.process import HOME, Process, find, missing, whose

from .delivering import until
from .test_lwm2m import TEMPERATURE, Server

pytestmark = pytest.mark.interop


class CoapNode(Process):
    """Its input stays open: a line is a new temperature."""

    def __init__(self, folder, port, endpoint):
        place = HOME / "coapnode"
        if not (place / "node_modules" / "coap-node").exists():
            missing("npm's coap-node is not installed; tests/install-peers large installs it")
        command = [find("node"), "--no-deprecation", place / "device.js", "127.0.0.1", port, endpoint]
        super().__init__(command, folder / "device.log")

    def launch(self):
        """See `Process.launch`."""
        with self.log.open("ab") as out:
            self.child = subprocess.Popen(
                self.args, stdin=subprocess.PIPE, stdout=out, stderr=out, env={**self._env, **whose()}
            )
        return self


@pytest.fixture(scope="module")
def server():
    made = Server()
    pytest_twisted.blockon(made.source.start())
    yield made
    pytest_twisted.blockon(made.source.stop())


@ensureDeferred
async def test_it_registers_is_observed_and_read_and_refuses_what_is_read_only(server, tmp_path):
    with CoapNode(tmp_path, server.port, "npm").launch() as device:
        await until(lambda: server.told("notify", "npm"), what="its temperature")
        (registered,) = server.told("register", "npm")
        assert registered["attributes"]["lwm2mVersion"] == "1.0"
        assert server.told("notify", "npm")[0]["telemetry"] == {"temperature": 21.5}
        device.child.stdin.write(b"25.25\n")
        device.child.stdin.flush()
        await until(lambda: server.told("notify", "npm")[-1]["values"] == {TEMPERATURE: 25.25})
        for form in ("tlv", "json"):
            became, result = await server.ask("npm", "read", {"path": "/3/0", "format": form})
            assert became == "carried out"
            assert (result["values"]["/3/0/0"], result["values"]["/3/0/1"]) == ("sivann", "cnode-01")
        became, result = await server.ask(
            "npm", "write", {"path": TEMPERATURE, "value": 5.5, "format": "tlv"}
        )
        assert (became.partition(":")[0], result["code"]) == ("refused", "4.05")
