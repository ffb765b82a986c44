"""The image, as its Dockerfile makes it: built in directories, since there is no container engine, and run as its user with a root file system
that can't be written."""

import os
import subprocess

import pytest

from tests.peers.dockerfile import build, instructions
from tests.peers.gateway import ROOT
from tests.peers.patience import descendants
from tests.peers.process import Process, find

pytestmark = [pytest.mark.soak, pytest.mark.root]  # it installs everything anew
DOCKERFILE = ROOT / "packaging" / "docker" / "Dockerfile"
START = """
mount --make-rprivate /
mount --bind "$1" "$1"
mount --bind "$2" "$1/var/lib/iotgw"
mount -t proc proc "$1/proc"
mount -o remount,bind,ro "$1"
mount --rbind /dev "$1/dev"
mount -t tmpfs tmpfs "$1/tmp"
ip link set lo up
root=$1 user=$3
shift 3
exec chroot --userspec="$user" "$root" "$@"
"""
FIRST_PAGE = (
    "from urllib.request import urlopen; print(urlopen('http://127.0.0.1:8080/console/').read().decode())"
)
REGISTRIES = ("PIP_", "HTTP", "http", "SSL_", "REQUESTS_", "NO_PROXY", "no_proxy")


class Container(Process):
    """The entry point of an image, in namespaces of its own."""

    def __init__(self, image, folder):
        self.image = image
        self.volume = folder / "volume"
        made = (image.root / "var/lib/iotgw").stat()
        self.volume.mkdir(mode=0o700)
        os.chown(self.volume, made.st_uid, made.st_gid)  # as an engine makes a volume of what is there
        words = [f"{name}={value}" for name, value in image.env.items()]
        command = ["env", "-i", "-C", image.directory, *words, *image.entrypoint, *image.command]
        super().__init__(
            [find("unshare"), "--mount", "--pid", "--net", "--ipc", "--fork", "--kill-child", "sh", "-ec", START, "sh",
             image.root, self.volume, image.user, *command],
            folder / "container.log",
        )  # fmt: skip

    def exec(self, *command):
        """Run a program in there, as `docker exec` does."""
        child = descendants(self.pid)[0]
        words = [f"{name}={value}" for name, value in self.image.env.items()]
        return subprocess.run(
            [find("nsenter"), f"--target={child}", "--mount", "--pid", "--net", "--ipc", find("chroot"), f"--userspec={self.image.user}",
             self.image.root, "env", "-i", "-C", self.image.directory, *words, *command],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    def ready(self):
        """What the image's health check says."""
        return bool(descendants(self.pid)) and self.exec(*self.image.health).returncode == 0


@pytest.fixture(scope="module")
def container(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    proxies = {name: value for name, value in os.environ.items() if name.startswith(REGISTRIES)}
    image = build(DOCKERFILE, ROOT, folder, proxies)
    with Container(image, folder).start() as container:
        yield container


def test_the_health_check_and_the_client_reach_it(container):
    done = container.exec("sh", "-c", "IOTGW_TOKEN=$(cat admin-token) iotgwctl status")
    assert done.returncode == 0, done.stderr
    script = "cat > /tmp/d.toml && IOTGW_TOKEN=$(cat admin-token) iotgwctl create datasource /tmp/d.toml"
    made = container.exec(
        "sh",
        "-c",
        f'printf \'name = "d"\\ntype = "http"\\nroutingKey = "d"\\nconverter = "json"\\n\' | ({script})',
    )
    assert made.returncode == 0, made.stderr


def test_the_console_is_in_it(container):
    found = container.exec("python3", "-c", FIRST_PAGE)
    assert found.returncode == 0, found.stderr
    assert '<script type="module"' in found.stdout


def test_it_is_nobody_s_root_and_writes_to_its_volume_only(container):
    assert container.image.user == "10001:10001"
    assert container.exec("id", "-u").stdout == "10001\n"
    assert "Read-only" in container.exec("touch", "/etc/x").stderr
    assert container.exec("touch", "/opt/iotgw/x").returncode != 0
    assert (container.volume / "admin-token").exists() and (container.volume / "journal.db").exists()
    assert container.image.volumes == ["/var/lib/iotgw"] and "8080/tcp" in container.image.ports
    assert "Traceback" not in container.output


def test_what_builds_it_is_not_in_it(container):
    for left in ("opt/iotgw/bin/pip", "src", "usr/lib/python3/dist-packages/pip"):
        assert not (container.image.root / left).exists(), left


def test_everything_that_is_copied_is_in_the_context():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    taken = {line[1:] for line in ignored if line.startswith("!")}
    for name, rest in instructions(DOCKERFILE.read_text()):
        if name == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                assert source.split("/")[0] in taken and (ROOT / source).exists(), source
