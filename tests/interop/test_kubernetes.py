"""The example for Kubernetes, by the schemas of Kubernetes, and its settings by the gateway. Nothing runs it."""

import json
import re
import subprocess

import pytest

from iotgw.config.settings import load
from iotgw.store.postgres.connection import Address
from tests.peers.gateway import ROOT
from tests.peers.process import missing

pytestmark = pytest.mark.interop
EXAMPLE = ROOT / "packaging" / "kubernetes" / "iotgw.yaml"
VENV = ROOT / "tests" / "peers" / "kubernetes" / "venv" / "bin"


def checked(path):
    if not (VENV / "kubernetes-validate").exists():
        missing("kubernetes-validate is not installed; tests/install-peers large installs it")
    return subprocess.run(
        [VENV / "kubernetes-validate", "--strict", path], capture_output=True, text=True, check=False
    )


def documents():
    script = "import json, sys, yaml; json.dump(list(yaml.safe_load_all(sys.stdin)), sys.stdout)"
    done = subprocess.run(
        [VENV / "python", "-c", script], input=EXAMPLE.read_text(), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_it_is_as_the_schemas_say_and_a_misspelt_setting_would_be_found(tmp_path):
    done = checked(EXAMPLE)
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = tmp_path / "iotgw.yaml"
    wrong.write_text(EXAMPLE.read_text().replace("readinessProbe", "redinessProbe"))
    assert checked(wrong).returncode != 0


def test_a_node_takes_the_settings_of_the_example(tmp_path):
    settings = next(each for each in documents() if each["kind"] == "ConfigMap")["data"]["iotgw.toml"]
    (tmp_path / "iotgw.toml").write_text(settings)
    Address(load(tmp_path / "iotgw.toml").store.url).check()


def test_what_is_selected_mounted_and_named_is_there():
    found = documents()
    (pods,) = (each["spec"]["template"] for each in found if each["kind"] == "StatefulSet")
    labels = pods["metadata"]["labels"].items()
    ports = {each["name"] for each in pods["spec"]["containers"][0]["ports"]}
    for service in (each["spec"] for each in found if each["kind"] == "Service"):
        assert service["selector"].items() <= labels
        assert {each["targetPort"] for each in service["ports"] if "targetPort" in each} <= ports
    volumes = {each["name"] for each in pods["spec"]["volumes"]} | {"data"}
    for container in (*pods["spec"]["containers"], *pods["spec"]["initContainers"]):
        assert {each["name"] for each in container["volumeMounts"]} <= volumes
    mentioned = set(re.findall(r"/run/secrets/iotgw/([a-z.-]+)", EXAMPLE.read_text()))
    page = (ROOT / "docs" / "nodes.md").read_text()
    assert all(f"--from-file={name}" in page for name in mentioned), mentioned
