"""Handshakes, converters, delivery and backups under the filters and mounts of etc/iotgw.service."""

import subprocess

import pytest

from tests.peers import unit
from tests.peers.gateway import Gateway
from tests.peers.patience import HANGS, descendants
from tests.peers.process import find, free_udp_port, wait_until

SECRET = "correct horse battery staple"
RESOURCES = """
[[credential]]
name = "meter-7"
identity = "sim-4711"
secrets = [{{ value = "correct horse battery staple" }}]
device = "meter-7"

[[converter]]
name = "modern"
engine = "quickjs"
script = "const decode = (bytes) => ({{temperature: bytes[0]}}); function Decoder(payload) {{ return {{deviceName: 'm', telemetry: decode(payload)}}; }}"

[[datasource]]
name = "meters"
type = "coap"
routingKey = "meters"
converter = "json"
[datasource.configuration]
interface = "127.0.0.1"
securityMode = "DTLS"
securePort = {port}

[[datasource]]
name = "http"
type = "http"
routingKey = "http"
converter = "modern"

[[integration]]
name = "sink"
type = "http"
[integration.configuration]
url = "{sink}"
"""


class AsTheUnit(Gateway):
    def __init__(self, folder, resources):
        super().__init__(folder, resources)
        self.data.mkdir(mode=0o700)
        self.args = unit.confined(self.args, self.data)


@pytest.fixture(scope="module")
def port():
    return free_udp_port()


@pytest.fixture
def gateway(tmp_path, http_sink, port):
    resources = RESOURCES.format(port=port, sink=http_sink.url)
    with AsTheUnit(tmp_path / "gateway", resources).start() as gateway:
        yield gateway


def status_of(pid):
    with open(f"/proc/{pid}/status") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def test_devices_are_proved_converted_and_delivered(gateway, port, http_sink):
    done = subprocess.run(
        [find("coap-client-openssl"), "-m", "post", "-t", "json", "-e", '{"temperature": 21.5}', "-B", "10", "-v", "6",
         "-u", "sim-4711", "-k", SECRET, f"coaps://127.0.0.1:{port}/i/meters"],
        capture_output=True, text=True, timeout=HANGS, check=False,
    )  # fmt: skip
    assert "2.04" in done.stdout + done.stderr
    assert gateway.post("http", bytes([7])).status == 204
    documents = wait_until(
        lambda: len(http_sink.documents) == 2 and http_sink.documents, what="both deliveries"
    )
    assert {each["deviceName"] for each in documents} == {"meter-7", "m"}
    assert gateway.api("POST", "/backups", {"name": "copy"}).status in (200, 201)

    held = gateway.api("GET", "/status").json["confinement"]
    assert held["seccomp"] and not held["refusal"]
    status = status_of(gateway.pid)
    assert (int(status["CapEff"], 16), status["NoNewPrivs"].strip(), status["Seccomp"].strip()) == (
        0,
        "1",
        "2",
    )
    # the workers have the unit's filter and their own
    filters = [int(status_of(pid)["Seccomp_filters"]) for pid in descendants(gateway.pid)]
    assert filters and max(filters) > int(status["Seccomp_filters"])


def test_nothing_but_the_data_directory_can_be_written(gateway):
    with open(f"/proc/{gateway.pid}/mountinfo") as file:
        mounts = {line.split()[4]: line.split()[5].split(",")[0] for line in file}
    assert (mounts["/"], mounts[str(gateway.data)]) == ("ro", "rw")
