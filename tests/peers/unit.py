"""The systemd unit's confinement without a systemd that runs: its filters by libseccomp, its mounts by unshare(1).

What is left out of it: PrivateTmp, PrivateDevices, PrivateUsers and ProtectProc.
"""

import functools
import os
import subprocess
from pathlib import Path

from .kernels import under
from .process import find

UNIT = Path(__file__).parents[2] / "etc" / "iotgw.service"
NAMESPACES = 0x7E020080
"""CLONE_NEW*, as RestrictNamespaces= knows them."""
WRITE, EXECUTE = 2, 4
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}
SETS_ID = 0o6000
MODES = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "mkdir": 1, "mkdirat": 2, "mknod": 1, "mknodat": 2}
"""Calls with a mode, and its place."""

READ_ONLY = """
set -e
mount --bind "$1" "$1"
while read -r _ _ _ _ at _; do
  case "$at" in "$1"*|/dev*|/proc*|/sys*) ;; *) mount -o remount,bind,ro "$at" 2>/dev/null || [ "$at" != / ] ;; esac
done < /proc/self/mountinfo
shift
exec "$@"
"""


def settings():
    """The unit's settings, each with its values in order."""
    found = {}
    for line in UNIT.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith(("#", ";")):
            found.setdefault(name, []).append(value)
    return found


@functools.cache
def group(name):
    """The calls of one of systemd's groups."""
    text = subprocess.run(
        [find("systemd-analyze"), "--no-pager", "syscall-filter", name],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    members = [word for word in text.split("\n") if word.startswith("    ")]
    return _calls(word.strip() for word in members if not word.strip().startswith("#"))


def _calls(words):
    return frozenset().union(*(group(word) if word.startswith("@") else {word} for word in words))


def allowed():
    """The calls that SystemCallFilter= allows."""
    calls = set()
    for line in settings()["SystemCallFilter"]:
        named = _calls(line.lstrip("~").split())
        calls = calls - named if line.startswith("~") else calls | named
    return calls


def rules():
    """Rules for `tests.peers.filtered`: what isn't among them is refused."""
    unit = settings()
    made = []
    for name in sorted(allowed() - {"clone3"}):
        made += [[name, "allow", arguments] for arguments in _limits(name, unit)]
    return [*made, ["clone3", "ENOSYS", []]]


def _limits(name, unit):
    """The arguments with which a call is allowed: one list for each way."""
    if name == "socket":
        (families,) = unit["RestrictAddressFamilies"]
        return [[[0, FAMILIES[family]]] for family in families.split()]
    if name == "clone" and unit["RestrictNamespaces"] == ["yes"]:
        return [[[0, NAMESPACES, 0]]]
    if name in MODES and unit["RestrictSUIDSGID"] == ["yes"]:
        return [[[MODES[name], SETS_ID, 0]]]
    if unit.get("MemoryDenyWriteExecute") == ["yes"]:
        if name == "mmap":
            return [[[2, WRITE | EXECUTE, bits]] for bits in (0, WRITE, EXECUTE)]
        if name in ("mprotect", "pkey_mprotect"):
            return [[[2, EXECUTE, 0]]]
    if name in ("unshare", "setns", "personality"):
        return []  # RestrictNamespaces=, LockPersonality=
    return [[]]


def confined(command, writable):
    """The arguments that run a command as the unit would: only the directory ``writable`` can be written to."""
    unit = settings()
    assert unit["ProtectSystem"] == ["strict"] and unit["NoNewPrivileges"] == ["yes"]
    assert unit["CapabilityBoundingSet"] == [""]
    return [
        find("unshare"), *([] if os.geteuid() == 0 else ["--map-root-user"]), "--mount",
        "sh", "-c", READ_ONLY, "sh", str(writable),
        find("setpriv"), "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs",
        *under(rules(), allow=False), *map(str, command),
    ]  # fmt: skip
