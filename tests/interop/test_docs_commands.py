"""Every command of these pages runs, in its order, on a gateway as its user starts it."""

import os
import re
import subprocess
import sys

import pytest

from tests.peers.gateway import ROOT, Gateway
from tests.peers.patience import HANGS
from tests.peers.process import free_udp_port


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    resources = (ROOT / "etc" / "resources.toml").read_text().replace("5683", str(free_udp_port()))
    resources = re.sub(r"\bport = (55345|5600)\b", "port = 0", resources)
    with Gateway(tmp_path_factory.mktemp("gateway"), resources).start() as gateway:
        yield gateway


def commands(name):
    return re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs" / name).read_text(), re.S | re.M)


@pytest.mark.parametrize(
    "name",
    ["api.md", "operations.md", "configuration.md", "limits.md", "monitoring.md", "troubleshooting.md"],
)
def test_every_command_of_a_page_runs(gateway, name, tmp_path):
    blocks = commands(name)
    if name == "limits.md":  # it says `api` as the page of the API explains it
        blocks = [next(block for block in commands("api.md") if "api()" in block), *blocks]
    script = "\n".join(["set -euo pipefail", *blocks])
    script = script.replace("http://127.0.0.1:8080", gateway.url).replace("var/iotgw", str(gateway.data))
    script = script.replace("iotgwctl ", f"{sys.executable} -m iotgw.ctl.main ")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "IOTGW_URL": gateway.url,
        "IOTGW_TOKEN": gateway.token,
    }
    (tmp_path / "etc").symlink_to(ROOT / "etc")
    ran = subprocess.run(
        ["bash", "-x", "-c", script],
        check=False,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANGS,
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-2000:]
