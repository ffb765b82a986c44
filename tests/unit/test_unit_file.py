"""The files for systemd: what they allow, and what they make."""

import os
import stat
import subprocess

import pytest

from iotgw.converters.syscalls import ALLOWED, X86_64
from tests.peers import unit
from tests.peers.process import find

ETC = unit.UNIT.parent
MOST = 2.0
"""Of 10, of what `systemd-analyze security` calls exposure."""


def test_systemd_finds_little_exposed():
    done = subprocess.run(
        [find("systemd-analyze"), "--no-pager", "security", "--offline=yes", f"--threshold={MOST * 10:.0f}", unit.UNIT],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if "Overall exposure level" in line]
    assert float(line.split(":")[1].split()[0]) <= MOST


def test_systemd_knows_every_setting():
    done = subprocess.run(
        [find("systemd-analyze"), "--no-pager", "verify", "--recursive-errors=no", unit.UNIT],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    problems = [line for line in done.stderr.splitlines() if "is not executable" not in line]
    assert problems == []


def test_the_unit_leaves_the_workers_what_their_own_filter_needs():
    needed = {
        "prctl",
        "landlock_create_ruleset",
        "landlock_restrict_self",
        "prlimit64",
        "memfd_create",
        "execve",
    }
    assert needed | ALLOWED[X86_64].keys() <= unit.allowed()


def test_the_unit_lets_nobody_mount_trace_reboot_or_become_another():
    assert (
        not {"mount", "ptrace", "reboot", "setuid", "init_module", "bpf", "chroot", "kexec_load"}
        & unit.allowed()
    )


def test_the_unit_s_data_directory_and_files_are_private():
    settings = unit.settings()
    assert (settings["UMask"], settings["StateDirectoryMode"]) == (["0077"], ["0700"])
    assert "--data-dir /var/lib/iotgw" in settings["ExecStart"][0]


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="makes users and directories of theirs, in a folder")
def test_the_user_and_the_directories_are_made(tmp_path):
    root = f"--root={tmp_path}"
    for file in ("passwd", "group"):
        (tmp_path / "etc").mkdir(exist_ok=True)
        (tmp_path / "etc" / file).touch()
    subprocess.run([find("systemd-sysusers"), root, ETC / "sysusers.d" / "iotgw.conf"], check=True)
    (user,) = [
        line for line in (tmp_path / "etc" / "passwd").read_text().splitlines() if line.startswith("iotgw:")
    ]
    assert user.endswith(":/var/lib/iotgw:/usr/sbin/nologin")
    subprocess.run(
        [find("systemd-tmpfiles"), root, "--create", ETC / "tmpfiles.d" / "iotgw.conf"], check=True
    )
    number = int(user.split(":")[2])
    settings, data = ((tmp_path / name).stat() for name in ("etc/iotgw", "var/lib/iotgw"))
    assert (stat.S_IMODE(settings.st_mode), settings.st_uid, settings.st_gid != 0) == (0o750, 0, True)
    assert (stat.S_IMODE(data.st_mode), data.st_uid) == (0o700, number)
