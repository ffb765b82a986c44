"""A Debian of its own that systemd runs: a root file system in a folder, in namespaces, without a way to the network."""

import os
import shutil
import subprocess
from pathlib import Path

from .patience import HANGS, descendants
from .process import HOME, Process, find, missing, wait_until

BASE = HOME / "debianroot" / "base.tar"
BOOT = """
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount --bind "$1/proc/sys" "$1/proc/sys"
mount -o remount,bind,ro "$1/proc/sys"
mount -t sysfs -o ro sysfs "$1/sys"
mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup"
for at in run tmp dev; do mount -t tmpfs tmpfs "$1/$at"; done
mkdir -p "$1/dev/shm" "$1/dev/pts"
for device in null zero full random urandom tty; do touch "$1/dev/$device"; mount --bind "/dev/$device" "$1/dev/$device"; done
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$1/dev/pts"
ln -s pts/ptmx "$1/dev/ptmx"
ip link set lo up
cd "$1"
pivot_root . mnt
umount -l /mnt
exec /usr/bin/env -i container=iotgw PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd
"""
NAMESPACES = ("--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup")


def unpacked(folder):
    """A root file system in a folder. Without one, or without root, the test is skipped, and fails in CI."""
    if os.geteuid() != 0 or not BASE.exists():
        missing("tests/peers/debianroot/base.tar is not there; `make large-peers` makes it, as root")
    folder.mkdir(mode=0o755)
    subprocess.run(["tar", "--exclude=./dev/*", "-xf", BASE, "-C", folder], check=True, timeout=HANGS)
    return folder


class DebianMachine(Process):
    """A booted system, with ``run`` for commands of its administrator."""

    def __init__(self, folder):
        self.root = unpacked(Path(folder) / "root")
        for unit in (
            "getty.target",
            "apt-daily.timer",
            "apt-daily-upgrade.timer",
            "systemd-udevd.service",
            "systemd-networkd.service",
        ):
            (self.root / "etc/systemd/system" / unit).symlink_to("/dev/null")
        (self.root / "etc/hosts").write_text("127.0.0.1 localhost\n")
        (self.root / "etc/dpkg/dpkg.cfg.d/fast").write_text("force-unsafe-io\n")  # it won't outlive its test
        super().__init__(
            [find("unshare"), *NAMESPACES, "--fork", "--kill-child", "sh", "-c", BOOT, "sh", self.root],
            Path(folder) / "machine.log",
        )

    @property
    def init(self):
        """The process that is the first one in there."""
        return descendants(self.pid)[0]

    def ready(self):
        if not descendants(self.pid) or b"systemd" not in Path(f"/proc/{self.init}/cmdline").read_bytes():
            return False
        return self.run("systemctl", "is-system-running", check=False).stdout.strip() in (
            "running",
            "degraded",
        )

    def run(self, *command, check=True, env=None):
        """Run a program in there, as root; returns what it wrote."""
        entered = [
            find("nsenter"),
            f"--target={self.init}",
            "--mount",
            "--pid",
            "--net",
            "--uts",
            "--ipc",
            "--cgroup",
        ]
        words = [
            "env",
            "-i",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/root",
            "LANG=C.UTF-8",
            "DEBIAN_FRONTEND=noninteractive",
        ]
        words += [f"{name}={value}" for name, value in (env or {}).items()]
        done = subprocess.run(
            [*entered, *words, *map(str, command)],
            capture_output=True, text=True, check=False, timeout=2 * HANGS,
        )  # fmt: skip
        assert not check or done.returncode == 0, (command, done.stdout[-4000:], done.stderr[-4000:])
        return done

    def sh(self, script, **more):
        """Run a script, which ends at its first error."""
        return self.run("bash", "-euo", "pipefail", "-c", script, **more)

    def when(self, script, what):
        """Wait until a script succeeds."""
        return wait_until(lambda: self.sh(script, check=False).returncode == 0, 60, what)

    def put(self, file, place):
        """Copy a file into it."""
        target = self.root / place.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
