"""A built wheel, installed into an empty environment elsewhere, gives a working ``twistd iotgw``."""

import shutil
import signal
import subprocess
import sys
import venv

import pytest

from tests.peers.gateway import ROOT, Gateway

LEFT_OUT = (
    ".*",
    "var",
    "build",
    "dist",
    "*.egg-info",
    "node_modules",
    "results",
    "target",
    "root",
    "__pycache__",
)


@pytest.mark.interop
def test_a_wheel_in_an_empty_environment_runs(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*LEFT_OUT))
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path / "wheel"), str(source)],
        check=True, timeout=600,
    )  # fmt: skip
    (wheel,) = (tmp_path / "wheel").glob("iotgw-*.whl")
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    subprocess.run([home / "bin" / "pip", "install", "-q", str(wheel)], check=True, timeout=600)
    with Gateway(tmp_path / "gateway", twistd=home / "bin" / "twistd").start() as gateway:
        gateway.create("datasources", name="http", type="http", routingKey="key", converter="json")
        assert gateway.post("key", b'{"deviceName": "d", "t": 1}').status == 204
        assert gateway.message_when("converted")["output"][0]["deviceName"] == "d"
        assert gateway.stop() in (0, -signal.SIGTERM)
    assert (home / "bin" / "iotgwctl").exists()
