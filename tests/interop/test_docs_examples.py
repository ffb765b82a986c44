"""The example of each datasource's and integration's page runs, in its order, on a gateway as its user starts it.

A page's code blocks are taken as its reader takes them:

* ``toml``, ``js`` and ``python`` whose first line is a comment with a file's name are that file;
* ``sh`` is run by bash beside those files, with a gateway that has the shipped resources;
* ``text`` is what the ``sh`` before it printed: each line is there, ``…`` being anything;
* ``json`` is what the datasource's newest message became: its first readings, whenever they were.

Of all this only places are changed, by `localized`: a port that stands behind ``port = ``, ``127.0.0.1:``,
``127.0.0.1/``, ``127.0.0.1", `` ``-p `` or ``--port `` becomes the one that the test's peer has, and likewise the paths of `Places.paths`.
"""

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from urllib.parse import quote

import pytest

from tests.peers.aws import Moto
from tests.peers.gateway import ROOT, Gateway
from tests.peers.kafka import Kafka
from tests.peers.mosquitto import Mosquitto
from tests.peers.process import free_port, free_udp_port, wait_until
from tests.peers.pubsub import Pubsub
from tests.peers.rabbitmq import RabbitMq
from tests.peers.sshd import Sshd
from tests.peers.time_series import InfluxDb

DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.S | re.M)
FILE = re.compile(r"(?:#|//) ([\w./-]+)\n")
PORT = re.compile(
    r"""(?<=port = )\d+|(?<=127\.0\.0\.1[:/])\d+|(?<=127\.0\.0\.1", )\d+|(?<=-p )\d+|(?<=--port )\d+"""
)


CLUSTERED = ("kafka", "azure-event-hub", "azure-iot-hub")
"""Pages whose examples need a Kafka cluster."""
AWS = ("aws-sqs", "aws-kinesis")
"""Pages whose examples need AWS."""
LARGE = (*CLUSTERED, *AWS, "rabbitmq", "google-pubsub")
"""Pages whose examples need a peer of `make interop`."""


def pages(folder):
    return sorted(path.stem for path in (DOCS / folder).glob("*.md") if path.stem != "index")


class Places:
    """Where the gateway and its peers are, instead of the ports and paths that the pages name."""

    def __init__(self, folder):
        self.folder = folder
        self.ports = {"9000": str(free_port())}
        for each in ("4840", "5683", "5684", "5688", "5600", "10560", "11560", "1064", "55345"):
            self.ports[each] = str(
                free_udp_port() if each in ("5683", "5684", "5688", "11560", "1064") else free_port()
            )
        self.paths = {}

    def install_ctl(self):
        """`iotgwctl` on the path of the commands, as an installed package has it."""
        ctl = self.folder / "bin" / "iotgwctl"
        ctl.parent.mkdir()
        ctl.write_text(f'#!/bin/sh\nexec {sys.executable} -m iotgw.ctl.main "$@"\n')
        ctl.chmod(0o755)

    def localized(self, text):
        text = PORT.sub(lambda match: self.ports.get(match[0], match[0]), text)
        for before, after in self.paths.items():
            text = text.replace(before, after)
        return text


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    places = Places(folder)
    with contextlib.ExitStack() as stack:
        resources = places.localized((ROOT / "etc" / "resources.toml").read_text())
        gateway = stack.enter_context(Gateway(folder / "gateway", resources).start())
        broker = stack.enter_context(Mosquitto(folder / "mosquitto"))
        places.ports |= {"8080": str(gateway.port), "1883": str(broker.port)}
        places.install_ctl()
        yield gateway, places


class Reader:
    """Reads one page, and does what it says."""

    def __init__(self, gateway, places):
        self._gateway = gateway
        self._places = places
        self._folder = places.folder / "work"
        self._folder.mkdir(exist_ok=True)
        self._printed = ""
        self._datasource = ""

    def read(self, page):
        for language, block in BLOCK.findall(self._places.localized(page)):
            named = FILE.match(block)
            if language in ("toml", "js", "python") and named:
                self._write(self._folder / named[1], block)
                names = re.findall(r'^\[\[datasource\]\]\nname = "(.+)"', block, re.M)
                self._datasource = names[0] if names else self._datasource
            elif language == "sh":
                self._run(block)
            elif language == "text":
                self._printed_is(block)
            elif language == "json":
                self._became(json.loads(block))

    def _write(self, path, text):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def _run(self, script):
        # several pages have the same device: it is handed over to their datasource, as its user would do
        known = self._gateway.api("GET", "/devices").json["items"] if self._datasource else []
        moves = [self._hand_over(each["name"]) for each in known]
        script = re.sub(
            r"^iotgwctl apply .*$", lambda apply: "\n".join([apply[0], *moves]), script, flags=re.M
        )
        environment = {
            "PATH": f"{self._places.folder / 'bin'}:{os.environ['PATH']}:/usr/sbin", "PYTHONPATH": str(ROOT),
            "USER": "root", "IOTGW_URL": self._gateway.url, "IOTGW_TOKEN": self._gateway.token,
        }  # fmt: skip
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            check=False,
            cwd=self._folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
        )
        self._printed = ran.stdout + ran.stderr
        assert ran.returncode == 0, (script, self._printed)

    def _hand_over(self, device):
        """The call of `iotgwctl hand-over` by curl, which starts faster."""
        url = f"{self._gateway.url}/api/v1/devices/{quote(device, safe='')}/owner"
        body = json.dumps({"datasource": self._datasource})
        return (
            f"curl -sSf -o /dev/null -X PUT -H 'Authorization: Bearer {self._gateway.token}' "
            f"-H 'Content-Type: application/json' --data-binary {shlex.quote(body)} {shlex.quote(url)}"
        )

    def _printed_is(self, block):
        for line in block.splitlines():
            wanted = ".*".join(map(re.escape, line.split("…")))
            assert re.search(wanted, self._printed), (line, self._printed)

    def _became(self, wanted):
        """The newest message, once it is what the page says; the times are those of the test."""
        assert wanted, "the page shows no output"

        def output():
            items = self._gateway.messages(datasource=self._datasource, limit=1)
            return like(wanted, (items[0]["output"] or []) if items else [])

        with contextlib.suppress(AssertionError):
            wait_until(lambda: output() == like(wanted, wanted), 15)
        assert output() == like(wanted, wanted), self._gateway.messages(datasource=self._datasource, limit=1)


def like(shown, items):
    """As much of an output as a page shows, without what differs from run to run: the times."""
    return [
        {**item, "telemetry": [{**entry, "ts": 0} for entry in item["telemetry"][: len(part["telemetry"])]]}
        for part, item in zip(shown, items, strict=False)
    ]


def without_integrations(gateway):
    for each in gateway.api("GET", "/integrations").json["items"]:
        assert gateway.api("DELETE", f"/integrations/{each['name']}?backlog=drop").status in (200, 202)


@pytest.mark.parametrize("name", pages("platforms"))
def test_a_platform_s_page_runs(world, name):
    Reader(*world).read((DOCS / "platforms" / f"{name}.md").read_text())


@pytest.mark.parametrize("name", [name for name in pages("datasources") if name not in LARGE])
def test_the_example_of_a_datasource_runs(world, name):
    Reader(*world).read((DOCS / "datasources" / f"{name}.md").read_text())


@pytest.mark.parametrize("name", [name for name in pages("integrations") if name not in (*LARGE, "sftp")])
def test_the_example_of_an_integration_runs(world, name):
    without_integrations(world[0])  # else those of other pages send what waits to this page's server
    Reader(*world).read((DOCS / "integrations" / f"{name}.md").read_text())


def test_the_tutorial_runs(world, tmp_path):
    gateway, places = world
    with InfluxDb(tmp_path / "influx") as database:
        places.ports["8086"] = str(database.port)
        Reader(gateway, places).read((DOCS / "tutorial.md").read_text())


def test_the_page_of_a_remote_integration_runs(world):
    Reader(*world).read((DOCS / "thingsboard-remote.md").read_text())


@pytest.mark.interop
def test_the_examples_with_a_kafka_cluster_run(world, tmp_path):
    gateway, places = world
    with Kafka(tmp_path / "kafka") as broker:
        places.ports["9092"] = str(broker.port)
        broker.install_tools(places.folder / "bin")
        places.paths = {"sb://localhost": f"sb://127.0.0.1:{broker.emulator}"}
        for folder in ("datasources", "integrations"):
            for name in CLUSTERED:
                if (page := DOCS / folder / f"{name}.md").exists():
                    Reader(gateway, places).read(page.read_text())


@pytest.mark.interop
def test_the_examples_with_rabbitmq_run(world, tmp_path):
    gateway, places = world
    with RabbitMq(tmp_path / "rabbitmq") as broker:
        places.ports["5672"] = str(broker.port)
        for folder in ("datasources", "integrations"):
            Reader(gateway, places).read((DOCS / folder / "rabbitmq.md").read_text())


@pytest.mark.interop
def test_the_examples_with_aws_run(world, tmp_path):
    gateway, places = world
    with Moto(tmp_path / "moto") as moto:
        places.ports["5000"] = str(moto.port)
        moto.install_tools(places.folder / "bin")
        for folder in ("datasources", "integrations"):
            for name in AWS:
                Reader(gateway, places).read((DOCS / folder / f"{name}.md").read_text())


@pytest.mark.interop
def test_the_examples_with_google_pubsub_run(world, tmp_path):
    gateway, places = world
    with Pubsub(tmp_path / "pubsub") as peer:
        places.ports["8085"] = str(peer.port)
        for folder in ("datasources", "integrations"):
            Reader(gateway, places).read((DOCS / folder / "google-pubsub.md").read_text())


@pytest.mark.root
def test_the_example_of_files_over_sftp_runs(world, tmp_path):
    gateway, places = world
    with Sshd(tmp_path / "sshd") as server:
        places.ports["22"] = str(server.port)
        places.paths = {
            "~/.ssh/authorized_keys": str(tmp_path / "sshd" / "authorized_keys"),
            "/etc/ssh/ssh_host_ed25519_key.pub": str(server.host_key.with_suffix(".pub")),
            "/tmp/iotgw-files": str(tmp_path / "files"),
        }
        Reader(gateway, places).read((DOCS / "integrations" / "sftp.md").read_text())


def test_the_package_of_the_page_on_extending_runs(tmp_path):
    """Installed as pip does it: its modules, and its entry points in a ``dist-info`` beside them."""
    page = (DOCS / "extending.md").read_text()
    places = Places(tmp_path)
    places.ports["4711"] = str(free_udp_port())
    places.paths = {"/tmp/iotgw-lines": str(tmp_path / "lines")}
    installed = tmp_path / "work"
    project = tomllib.loads(next(block for language, block in BLOCK.findall(page) if "[project]" in block))[
        "project"
    ]
    info = installed / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = "".join(
        f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in entries.items())
        for group, entries in project["entry-points"].items()
    )
    (info / "entry_points.txt").write_text(points)
    for language, block in BLOCK.findall(page):
        if language == "python":
            path = installed / FILE.match(block)[1]
            path.parent.mkdir(exist_ok=True)
            path.write_text(block)
    places.install_ctl()
    with Gateway(tmp_path / "gateway", env={"PYTHONPATH": f"{ROOT}:{installed}"}).start() as gateway:
        Reader(gateway, places).read(page)
