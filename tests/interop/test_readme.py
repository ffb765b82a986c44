"""Every command of the README runs, in its order, on a gateway as ``make run`` starts it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers.gateway import ROOT, Gateway
from tests.peers.patience import HANGS
from tests.peers.process import free_udp_port

BLOCKS = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.S | re.M)
IN_THE_MAKEFILE = {"make run", "make test"}


@pytest.fixture
def newcomer(tmp_path, mosquitto):
    """A gateway on the shipped settings and resources, and the README's blocks with its ports and paths."""
    coap = free_udp_port()
    resources = (ROOT / "etc" / "resources.toml").read_text().replace("5683", str(coap))
    resources = re.sub(r"\bport = (55345|5600)\b", "port = 0", resources)
    with Gateway(tmp_path / "gateway", resources).start() as gateway:
        places = {
            "5683": str(coap), "8080": str(gateway.port), "1883": str(mosquitto.port),
            "var/iotgw": str(gateway.data), ".venv/bin/iotgwctl": f"{sys.executable} -m iotgw.ctl.main",
        }  # fmt: skip

        def localized(block):
            for before, after in places.items():
                block = block.replace(before, after)
            return block

        env = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "PYTHONPATH": str(ROOT),
               "IOTGW_URL": gateway.url, "IOTGW_TOKEN": gateway.token}  # fmt: skip
        yield gateway, localized, env


def test_every_command_of_the_readme_runs(newcomer):
    gateway, localized, env = newcomer
    outputs = []
    for block in BLOCKS:
        if block.strip() in IN_THE_MAKEFILE:
            continue
        ran = subprocess.run(
            ["bash", "-e", "-c", localized(block)],
            capture_output=True,
            text=True,
            timeout=HANGS,
            env=env,
            check=False,
        )
        assert ran.returncode == 0, (block, ran.stdout, ran.stderr)
        outputs.append(ran.stdout + ran.stderr)
    assert "204" in outputs[0]
    assert "SN-001" in outputs[2]
    assert "SN-002" in outputs[3]
    assert '"broker"' in outputs[4]
    assert "21.4" in outputs[5]
    assert "Event endpoint URL(s)" in outputs[6]
    assert {each["state"] for each in gateway.messages()} == {"converted"}


def test_the_readme_names_two_make_commands_that_exist():
    makefile = (ROOT / "Makefile").read_text()
    assert "make run" in BLOCKS[0]
    for target in ("run", "test", "lint", "bench", "conformance"):
        assert re.search(rf"^{target}:", makefile, re.M)
