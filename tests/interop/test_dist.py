"""What `make dist` makes: an sdist, a wheel, a lock file that installs, and an SBOM of it; and the same without GPL code."""

import importlib.util
import json
import re
import signal
import subprocess
import sys
import tarfile
import venv
import zipfile

import pytest
from packaging.requirements import Requirement

from tests.peers.gateway import ROOT, Gateway
from tests.peers.process import find, missing

pytestmark = [pytest.mark.interop, pytest.mark.long]
WAIT = 900
KEY = "Throw-away <releases@example.invalid>"
LOCKS = {"requirements.lock": "*[0-9].cdx.json", "requirements-extras.lock": "*-extras.cdx.json"}
"""The lock files and their SBOMs."""


@pytest.fixture(scope="module", params=["", "--without-gpl"], ids=["all", "without-gpl"])
def dist(request, tmp_path_factory):
    if importlib.util.find_spec("cyclonedx_py") is None:
        missing("cyclonedx-bom is not installed; `make interop` installs it")
    out = tmp_path_factory.mktemp("dist")
    keys = tmp_path_factory.mktemp("keys")
    keys.chmod(0o700)
    monkey = pytest.MonkeyPatch()
    monkey.setenv("GNUPGHOME", str(keys))
    try:
        gpg("--quick-gen-key", "--passphrase", "", KEY, "ed25519", "sign", "never")
        subprocess.run(
            [sys.executable, ROOT / "tools" / "dist.py", "--out", out, *request.param.split(), "--sign", KEY],
            check=True,
            timeout=WAIT,
        )
        yield out, bool(request.param)
    finally:
        subprocess.run([find("gpgconf"), "--kill", "all"], check=True)
        monkey.undo()


def gpg(*words):
    return subprocess.run([find("gpg"), "--batch", *words], check=False, capture_output=True, text=True)


def commands(section):
    """The shell commands of a section of the page about installing."""
    page = (ROOT / "docs" / "install.md").read_text()
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", page, re.S | re.M)
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.S | re.M))


def bash(script, folder):
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=WAIT,
    )


def test_every_file_is_signed_and_a_changed_one_is_found(dist):
    out, _ = dist
    files = {path.name for path in out.iterdir() if path.suffix != ".asc"}
    assert {path.stem for path in out.glob("*.asc")} == files
    for name in files:
        assert gpg("--verify", str(out / f"{name}.asc"), str(out / name)).returncode == 0
    done = bash(commands("What is released"), out)
    assert done.returncode == 0, done.stderr
    lock = out / "requirements.lock"
    text = lock.read_text()
    lock.write_text(f"{text}#")
    assert bash(commands("What is released"), out).returncode != 0
    assert gpg("--verify", f"{lock}.asc", str(lock)).returncode != 0
    lock.write_text(text)


def only(folder, pattern):
    (found,) = folder.glob(pattern)
    return found


def test_the_wheel_says_what_it_needs(dist):
    out, is_free = dist
    with zipfile.ZipFile(only(out, "*.whl")) as wheel:
        (name,) = [each for each in wheel.namelist() if each.endswith(".dist-info/METADATA")]
        metadata = wheel.read(name).decode()
    assert "Requires-Dist: cbor2>=5.9" in metadata
    assert ("Requires-Dist: pyduktape2" in metadata) is not is_free
    for lock in LOCKS:
        assert ("pyduktape2" in (out / lock).read_text()) is not is_free


def test_the_wheel_has_the_console_with_the_licences_of_what_is_in_it(dist):
    with zipfile.ZipFile(only(dist[0], "*.whl")) as wheel:
        names = {
            name.removeprefix("iotgw/web/static/")
            for name in wheel.namelist()
            if name.startswith("iotgw/web/static/")
        }
        licences = wheel.read("iotgw/web/static/THIRD-PARTY.txt").decode()
    assert {"index.html", "icon.svg", "SOURCE"} < names
    assert all(f"{name}.gz" in names for name in names if name.endswith((".js", ".css")))
    assert "preact" in licences and "@codemirror/view" in licences and "uplot" in licences


def test_the_sdist_has_what_an_installation_needs(dist):
    with tarfile.open(only(dist[0], "*.tar.gz")) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    needed = {*LOCKS, "SECURITY.md", "LICENSE", "docs/security.md", "etc/iotgw.service"}
    assert needed | {"etc/sysusers.d/iotgw.conf", "etc/tmpfiles.d/iotgw.conf", "etc/iotgw.toml"} <= names
    assert {"console/package-lock.json", "console/src/main.tsx", "buildtools/backend.py"} <= names
    assert not any("node_modules" in name for name in names)


@pytest.mark.parametrize(("lock", "sbom"), LOCKS.items())
def test_an_sbom_lists_exactly_what_its_lock_file_installs(dist, lock, sbom):
    out, is_free = dist
    text = only(out, sbom).read_text()
    sbom = json.loads(text)
    assert sbom["bomFormat"] == "CycloneDX"
    parts = {each["name"].lower().replace("_", "-").replace(".", "-"): each for each in sbom["components"]}
    lines = [
        line.removesuffix(" \\")
        for line in (out / lock).read_text().splitlines()
        if "==" in line and line[0] != "#"
    ]
    wanted = [Requirement(line) for line in lines if line[0] != " "]
    here = {each.name for each in wanted if each.marker is None or each.marker.evaluate()}
    assert set(parts) - {"iotgw"} == here
    assert parts["cbor2"]["purl"].startswith("pkg:pypi/cbor2@") and parts["cbor2"]["licenses"]
    licences = {name: json.dumps(each.get("licenses", "")) for name, each in parts.items()}
    gpl = {
        name for name, text in licences.items() if "GPL-2" in text or "GPLv2" in text or "GNU General" in text
    }
    assert gpl == (set() if is_free else {"pyduktape2"})
    assert str(out) not in text and "file:" not in text


def test_a_gateway_from_the_wheel_and_the_lock_file_converts(dist, tmp_path):
    out, is_free = dist
    home = tmp_path / "venv"
    script = commands("Wheel and lock file").replace("/opt/iotgw", str(home))
    script = re.sub(r"iotgw-\S+\.whl", only(out, "*.whl").name, script)
    done = bash(script, out)  # by --no-index, so nothing is missing
    assert done.returncode == 0, done.stdout + done.stderr
    with Gateway(tmp_path / "gateway", twistd=home / "bin" / "twistd").start() as gateway:
        for name in ("json", "tekelek/logger"):
            gateway.create("datasources", name=name[:4], type="http", routingKey=name[:4], converter=name)
        script = {"name": "mine", "script": "return {deviceName: 'm', telemetry: {n: payload[0]}};"}
        gateway.create("converters", **script)
        gateway.create("datasources", name="mine", type="http", routingKey="mine", converter="mine")
        assert gateway.post("json", b'{"deviceName": "d", "t": 1}').status == 204
        assert gateway.message_when("converted", datasource="json")["output"][0]["deviceName"] == "d"
        assert gateway.post("mine", b"\x07").status == 204
        assert gateway.message_when("converted", datasource="mine")["output"][0]["deviceName"] == "m"
        engine = "quickjs" if is_free else "duktape"
        assert gateway.api("GET", "/converters/mine").json["engine"] in (engine, "auto")
        assert gateway.stop() in (0, -signal.SIGTERM)


@pytest.mark.parametrize("dist", [""], indirect=True, ids=["all"])
def test_the_wheel_alone_runs_in_an_empty_environment(dist, tmp_path):
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    install = [home / "bin" / "pip", "install", "--quiet", "--no-compile", only(dist[0], "*.whl")]
    subprocess.run(install, check=True, timeout=WAIT)
    with Gateway(tmp_path / "gateway", twistd=home / "bin" / "twistd").start() as gateway:
        gateway.create("datasources", name="http", type="http", routingKey="key", converter="json")
        assert gateway.post("key", b'{"deviceName": "d", "t": 1}').status == 204
        assert gateway.message_when("converted")["output"][0]["deviceName"] == "d"
        assert gateway.stop() in (0, -signal.SIGTERM)
    assert (home / "bin" / "iotgwctl").exists()
