"""What a worker gives up before it runs a user's script: files, sockets, processes, and outliving its parent.

The seccomp filter (`iotgw.converters.syscalls`) is the wall that counts: without it no script runs, unless the operator
has said otherwise. Landlock stands behind it where the kernel has it, and resource limits everywhere. None of them needs
a privilege.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import traceback

import msgspec
from msgspec import Struct

from iotgw.converters import cputime, landlock, syscalls

_PR_SET_PDEATHSIG = 1
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2


class Confinement(Struct, frozen=True):
    """What holds a worker: whether the seccomp filter is in place, Landlock's ABI (0 without), and why there is no
    filter."""

    seccomp: bool
    landlock: int
    why: str = ""

    def __str__(self) -> str:
        walls = ["a seccomp filter"] if self.seccomp else []
        walls += [f"Landlock (ABI {self.landlock})"] if self.landlock else []
        return ", ".join([*walls, "resource limits"])


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Be killed when the process that made this one ends."""
    _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def lock_down(memory_limit: int) -> Confinement:
    """Give up everything but computing and the open streams. ``memory_limit`` is bytes of address space.

    Returns what is in place; whether that is enough is the caller's to judge.
    """
    token = syscalls.machine()
    floor = address_space() + (64 << 20)  # what Python and the engines have mapped already, and room to work
    _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    abi = landlock.restrict()
    for limit, value in (
        (resource.RLIMIT_AS, max(memory_limit, floor)),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 0),
    ):
        hard = resource.getrlimit(limit)[1]
        least = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (least, least))
    signal.signal(cputime.OVER, signal.SIG_DFL)  # only the kernel can end a call inside C
    why = _filter(token)
    return Confinement(not why, abi, why)


def probe(memory_limit: int) -> Confinement:
    """What `lock_down` comes to here, found out in a child process."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(write, msgspec.msgpack.encode(lock_down(memory_limit)))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(write)
    try:
        return msgspec.msgpack.decode(os.read(read, 4096), type=Confinement)
    except msgspec.DecodeError:
        return Confinement(False, 0, "a process that was to be confined ended instead")
    finally:
        os.close(read)
        os.waitpid(pid, 0)


def address_space() -> int:
    """Bytes of address space in use."""
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _filter(token: int) -> str:
    """Put the filter in place; returns why it isn't, or nothing."""
    if token not in syscalls.ALLOWED:
        return f"iotgw has no seccomp filter for this machine ({platform.machine()})"
    code = syscalls.program(token)
    buffer = ctypes.create_string_buffer(code, len(code))
    done = _libc().prctl(
        _PR_SET_SECCOMP,
        _SECCOMP_MODE_FILTER,
        ctypes.byref(_Program(len(code) // 8, ctypes.addressof(buffer))),
        0,
        0,
    )
    if done != 0:
        return f"the kernel or its container refuses a seccomp filter ({os.strerror(ctypes.get_errno())})"
    try:
        os.getpgid(0)  # not listed, and harmless
    except PermissionError:
        return ""
    return "the kernel has taken the seccomp filter, and does not apply it"
