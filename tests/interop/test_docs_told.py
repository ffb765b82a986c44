"""Every command of the pages that speak of devices, downlinks and single messages runs, on a gateway in which there is what they speak of."""

import os
import re
import subprocess
import sys

import pytest

from tests.peers.gateway import ROOT, Gateway
from tests.peers.http_sink import HttpSink
from tests.peers.patience import HANGS
from tests.peers.process import free_udp_port

from .test_docs_commands import commands

SCRIPT = """function Decoder(payload, metadata) {
  var text = String.fromCharCode.apply(null, payload);
  if (text === "bad") throw new Error("a bad one");
  return JSON.parse(text);
}"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """The devices, failures, dead letters and jobs of the pages."""
    folder = tmp_path_factory.mktemp("told")
    resources = (ROOT / "etc" / "resources.toml").read_text().replace("5683", str(free_udp_port()))
    resources = re.sub(r"\bport = (55345|5600)\b", "port = 0", resources)
    with Gateway(folder / "gateway", resources).start() as gateway, HttpSink(folder / "sink") as sink:
        sink.always({"status": 400})
        gateway.create("converters", name="reader", script=SCRIPT)
        gateway.create("datasources", name="web", type="http", converter="reader", routingKey="demo-web")
        gateway.create(
            "integrations",
            name="cloud",
            type="http",
            configuration={"url": sink.url},
            retry={"maxAttempts": 1},
        )
        for name, group in (("SN-001", "meters"), ("boiler-9", "cellar")):
            gateway.create("devices", name=name, groups=[group])
        gateway.post("demo-web", b'{"deviceName": "SN-001", "temperature": 21.5, "humidity": 60}')
        gateway.post("demo-web", b"bad")
        gateway.message_when("failed", datasource="web")
        yield gateway


def there(gateway, block):
    """A block with the ids of what is there, where the page has one of its own or says ID."""
    group = gateway.api("GET", "/failures").json["items"][0]["id"]
    message = gateway.messages(datasource="web", limit=1)[0]["id"]
    jobs = gateway.api("GET", "/jobs").json["items"]
    if "job cancel" in block or "job downlinks ID" in block:
        later = {"downlink": {"msg": {}}, "group": "cellar", "at": 2_000_000_000_000}
        jobs = [gateway.api("POST", "/downlinks", later).json]
    block = block.replace("21b75a35e024", group).replace("message ID", f"message {message}")
    if jobs:
        block = block.replace("job cancel ID", f"job cancel {jobs[0]['id']}").replace(
            "downlinks ID", f"downlinks {jobs[0]['id']}"
        )
    block = re.sub(r"^iotgwctl tail (.*)$", r"timeout 3 iotgwctl tail \1 || [ $? = 124 ]", block, flags=re.M)
    block = block.replace("http://localhost:8080/i/KEY", f"{gateway.url}/i/demo-web").replace(
        "hono-ttd: 30", "hono-ttd: 1"
    )
    return block.replace("iotgwctl ", f"{sys.executable} -m iotgw.ctl.main ")


@pytest.mark.parametrize(
    "name", ["devices.md", "downlinks.md", "history.md", "platforms/index.md", "datasources/index.md"]
)
def test_every_command_of_a_page_runs(gateway, name, tmp_path):
    api = next(block for block in commands("api.md") if "api()" in block)
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "IOTGW_URL": gateway.url, "IOTGW_TOKEN": gateway.token,
    }  # fmt: skip
    for block in commands(name):
        script = "\n".join(
            ["set -euo pipefail", api.replace("http://127.0.0.1:8080", gateway.url), there(gateway, block)]
        )
        ran = subprocess.run(
            ["bash", "-x", "-c", script.replace("var/iotgw", str(gateway.data))],
            check=False, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=HANGS,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-2000:]
