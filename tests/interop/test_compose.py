"""The compose file: read by Debian's docker-compose, which checks it against the schema, and each program's settings by the program."""

import json
import re
import subprocess

import pytest

from tests.peers.gateway import ROOT
from tests.peers.process import Process, accepts, find, free_port

pytestmark = pytest.mark.interop
FOLDER = ROOT / "packaging" / "compose"
MADE_BY_ITS_USER = {"metrics-token", "secret.key", "database-password"}


def services(name="compose.yaml"):
    done = subprocess.run(
        [find("docker-compose"), "-f", FOLDER / name, "config"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    script = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)"
    told = subprocess.run(
        ["/usr/bin/python3", "-c", script], input=done.stdout, capture_output=True, text=True, check=True
    )
    return json.loads(told.stdout)["services"]


def test_it_is_as_the_schema_says_and_a_misspelt_setting_would_be_found(tmp_path):
    assert {"gateway", "mosquitto", "grafana"} <= services().keys()
    wrong = tmp_path / "compose.yaml"
    wrong.write_text((FOLDER / "compose.yaml").read_text().replace("read_only", "reed_only"))
    done = subprocess.run(
        [find("docker-compose"), "-f", wrong, "config", "-q"], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0 and "reed_only" in done.stderr


def test_the_nodes_are_as_the_schema_says_and_each_has_its_own_name_and_volume():
    nodes = services("nodes.yaml")
    for name in "abc":
        assert nodes[name]["command"][-2:] == ["--node", name]
        assert nodes[name]["read_only"] is True and nodes[name]["cap_drop"] == ["ALL"]
        assert f"{name}:/var/lib/iotgw:rw" in nodes[name]["volumes"]


def test_haproxy_takes_the_settings_of_the_nodes():
    done = subprocess.run(
        [find("haproxy"), "-c", "-f", FOLDER / "nodes-haproxy.cfg"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_gateway_may_do_no_more_than_it_needs():
    gateway = services()["gateway"]
    assert gateway["read_only"] is True and gateway["cap_drop"] == ["ALL"]
    assert gateway["security_opt"] == ["no-new-privileges:true"]
    assert (ROOT / gateway["build"]["dockerfile"]).exists()


def test_every_file_that_is_mounted_is_there():
    texts = [(FOLDER / name).read_text() for name in ("compose.yaml", "nodes.yaml")]
    mounted = re.findall(r"- \./([^:]+):", "".join(texts))
    assert {"mosquitto.conf", "nodes.toml"} <= set(mounted)
    for name in set(mounted) - MADE_BY_ITS_USER:
        assert (FOLDER / name).is_file(), name


def test_mosquitto_takes_its_settings(tmp_path):
    port = free_port()
    text = (FOLDER / "mosquitto.conf").read_text().replace("listener 1883", f"listener {port} 127.0.0.1")
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o777)
    (tmp_path / "mosquitto.conf").write_text(text.replace("/mosquitto/data/", f"{tmp_path}/data/"))
    broker = Process([find("mosquitto"), "-c", tmp_path / "mosquitto.conf"], tmp_path / "mosquitto.log")
    broker.ready = lambda: accepts(port)
    with broker.start():
        assert "Error" not in broker.output


def test_prometheus_takes_its_settings(tmp_path):
    token = tmp_path / "metrics-token"
    token.write_text("token")
    text = (FOLDER / "prometheus.yml").read_text().replace("/etc/prometheus/metrics-token", str(token))
    (tmp_path / "prometheus.yml").write_text(text)
    done = subprocess.run(
        [find("promtool"), "check", "config", tmp_path / "prometheus.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
