"""The commands of the page about LwM2M, as its reader types them, with a device of Eclipse Leshan."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.peers.gateway import ROOT, Gateway
from tests.peers.leshan import LeshanDevice
from tests.peers.process import free_udp_port, wait_until

pytestmark = pytest.mark.interop
PAGE = (ROOT / "docs" / "datasources" / "lwm2m.md").read_text()
COMMANDS = re.findall(r"^\$ (iotgwctl .*?)(?: +#.*)?$", PAGE, re.M)
ENDPOINT = "urn:imei:866430000123456"


def test_a_device_of_leshan_does_what_the_page_says(tmp_path):
    port = free_udp_port()
    toml = re.search(r"^```toml\n# lwm2m.toml\n(.*?)^```", PAGE, re.M | re.S)[1]
    resources = toml.replace("port = 5683", f'port = {port}\ninterface = "127.0.0.1"')
    (tmp_path / "app-2.0.bin").write_bytes(bytes(range(256)) * 40)
    ctl = tmp_path / "iotgwctl"
    ctl.write_text(f'#!/bin/sh\nexec {sys.executable} -m iotgw.ctl.main "$@"\n')
    ctl.chmod(0o755)
    with Gateway(tmp_path / "gateway", resources).start() as gateway:
        environment = {
            **os.environ,
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "IOTGW_URL": gateway.url,
            "IOTGW_TOKEN": gateway.token,
        }

        def run(command):
            ran = subprocess.run(
                ["bash", "-c", command],
                env=environment,
                capture_output=True,
                text=True,
                timeout=120,
                cwd=tmp_path,
                check=False,
            )
            assert ran.returncode == 0, (command, ran.stdout, ran.stderr)
            return ran.stdout

        with LeshanDevice(tmp_path, f"coap://127.0.0.1:{port}", ENDPOINT).launch() as device:

            def telemetry():
                known = gateway.api("GET", f"/devices/{ENDPOINT}")
                return known.status == 200 and known.json.get("telemetry", {}).get("temperature")

            wait_until(telemetry, what="the temperature of the device")
            printed = {command: run(command) for command in COMMANDS}
            tree = printed[f"iotgwctl lwm2m {ENDPOINT}"]
            assert "9 Battery Level: 87 /100" in tree and "5700 Sensor Value: 21.5" in tree
            assert "SUCCESSFUL 2.04" in printed[f"iotgwctl lwm2m {ENDPOINT} write /3/0/14 +02"]
            wait_until(lambda: "executed 3/0/4" in device.output, what="the execute")
            assert "updated successfully" in printed[f"iotgwctl lwm2m {ENDPOINT} firmware app-2.0.bin"]
            assert "image of 10240 bytes" in device.output
            assert "app-2.0.bin" in printed["iotgwctl files"]
            assert "1 updated" in printed["iotgwctl jobs"]

            def is_read():
                return "SUCCESSFUL" in run(f"iotgwctl downlinks {ENDPOINT}")

            wait_until(is_read, what="the read to be successful")
