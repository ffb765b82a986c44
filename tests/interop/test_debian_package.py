"""The Debian package in a Debian that systemd runs: installed, started, given a certificate and a low port, upgraded, rolled back and
purged, by the commands of docs/install.md in their order."""

import re
import subprocess
import sys

import pytest

from tests.certificates import Authority
from tests.peers.debian_machine import DebianMachine
from tests.peers.gateway import ROOT
from tests.peers.process import find

pytestmark = [pytest.mark.interop, pytest.mark.root, pytest.mark.long]
PAGE = (ROOT / "docs" / "install.md").read_text()


def commands(section):
    """The commands of a section, in their order."""
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE, re.S | re.M)
    found = re.findall(r"^```sh\n(.*?)^```", text, re.S | re.M)
    assert found
    return found


def with_revision(package, folder, revision):
    """The same package of another Debian revision."""
    folder.mkdir()
    subprocess.run(["dpkg-deb", "-e", package, folder / "control"], check=True)
    control = folder / "control" / "control"
    control.write_text(re.sub(r"^(Version: .*)-\d+$", rf"\1-{revision}", control.read_text(), flags=re.M))
    subprocess.run([find("ar"), "x", package], check=True, cwd=folder)
    subprocess.run(["tar", "-czf", folder / "control.tar.gz", "-C", folder / "control", "."], check=True)
    made = folder / "made.deb"
    parts = ["debian-binary", "control.tar.gz", "data.tar.zst"]
    subprocess.run([find("ar"), "rc", made, *parts], check=True, cwd=folder)
    return made


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "deb.py", "--out", folder],
        check=True,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    return done.stdout.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def machine(package, tmp_path_factory):
    folder = tmp_path_factory.mktemp("machine")
    with DebianMachine(folder).start() as machine:
        machine.put(package, "/root/iotgw_0.1.0-1_amd64.deb")
        machine.put(with_revision(package, folder / "new", 2), "/root/iotgw_0.1.0-2_amd64.deb")
        yield machine


def test_the_commands_of_the_page_install_secure_upgrade_and_remove_it(machine):
    def follow(section, part=slice(None), **more):
        return machine.sh("\n".join(["cd /root", *commands(section)[part]]), **more)

    def healthy(url="http://127.0.0.1:8080"):
        machine.when(f"curl -sf --cacert /root/ca.pem -o /dev/null {url}/health/ready", f"{url} to be ready")
        assert machine.run("systemctl", "is-active", "iotgw").stdout == "active\n"

    def tell(what, url="http://127.0.0.1:8080"):
        token = "export SSL_CERT_FILE=/root/ca.pem IOTGW_TOKEN=$(cat /var/lib/iotgw/admin-token)"
        return machine.sh(f"{token}\niotgwctl --url {url} {what}").stdout

    follow("Debian package", slice(1))
    healthy()
    assert "gateway" in follow("Debian package", slice(1, None)).stdout
    who = machine.sh("ps -o user=,args= -C twistd").stdout
    assert who.startswith("iotgw ") and "/etc/iotgw/iotgw.toml" in who
    assert machine.sh("stat -c '%a %U %G' /var/lib/iotgw /etc/iotgw/iotgw.toml").stdout.split("\n")[:2] == [
        "700 iotgw iotgw",
        "640 root iotgw",
    ]
    assert "enabled" in machine.run("systemctl", "is-enabled", "iotgw").stdout
    assert machine.run("dpkg", "--verify", "iotgw").stdout == ""
    mine = 'name = "mine"\ntype = "http"\nroutingKey = "mine"\nconverter = "json"\n'
    (machine.root / "root" / "mine.toml").write_text(mine)
    tell("create datasource /root/mine.toml")
    machine.sh('curl -sf http://127.0.0.1:8080/i/mine -d \'{"deviceName": "d", "t": 1}\'')

    # logrotate gives it a new file, which it goes on in
    machine.sh("logrotate --force /etc/logrotate.d/iotgw")
    machine.when("ls /var/lib/iotgw/iotgw.log-* && test -e /var/lib/iotgw/iotgw.log", "a log file made anew")

    # HTTPS, and a renewal
    authority = Authority()
    live = machine.root / "etc/letsencrypt/live/gateway.example"
    live.mkdir(parents=True)

    def certify():
        issued = authority.issue("localhost", hosts=["localhost"])
        (live / "fullchain.pem").write_bytes(issued.pem())
        (live / "privkey.pem").write_bytes(issued.key_pem())
        return f"{issued.certificate.serial_number:X}"

    certify()
    (machine.root / "root" / "ca.pem").write_bytes(authority.pem())
    follow("HTTPS")
    healthy("https://localhost:8443")
    renewed = certify()
    machine.sh(commands("HTTPS")[1].splitlines()[0])
    machine.when(
        f"openssl s_client -connect localhost:8443 </dev/null 2>/dev/null | openssl x509 -noout -serial | grep -i {renewed}",
        "the renewed certificate",
    )

    follow("Ports below 1024")
    healthy("https://localhost")
    capabilities = machine.sh("grep CapBnd /proc/$(systemctl show -P MainPID iotgw)/status").stdout
    assert int(capabilities.split()[1], 16) == 1 << 10, "CAP_NET_BIND_SERVICE"

    here = {"IOTGW_URL": "https://localhost", "SSL_CERT_FILE": "/root/ca.pem"}
    token = machine.sh("cat /var/lib/iotgw/admin-token").stdout.strip()
    follow("Upgrade and rollback", slice(1), env={**here, "IOTGW_TOKEN": token})
    healthy("https://localhost")
    assert machine.sh("dpkg-query -W -f '${Version}' iotgw").stdout.endswith("-2")
    assert "mine" in tell("datasources", "https://localhost"), "the data is still there"
    assert "443" in machine.sh("cat /etc/iotgw/iotgw.toml").stdout, "and so are the settings"
    follow("Upgrade and rollback", slice(1, None))
    healthy("https://localhost")
    assert machine.sh("dpkg-query -W -f '${Version}' iotgw").stdout.endswith("-1")
    assert "mine" in tell("datasources", "https://localhost")

    assert "iotgw.toml" in follow("Uninstalling").stdout
    left = machine.sh(
        "ls -d /opt/iotgw /etc/iotgw /var/lib/iotgw /lib/systemd/system/iotgw.service /usr/bin/iotgwctl 2>/dev/null || true"
    )
    assert left.stdout == ""
    assert machine.sh("dpkg-query -W iotgw 2>/dev/null || true").stdout == ""
    assert "iotgw" not in machine.sh(
        "systemctl list-units --all --no-legend --no-pager; ls /etc/logrotate.d"
    ).stdout.replace("iotgwctl", "")
