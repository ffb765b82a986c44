"""What a worker gives up before it runs a user's script: files, sockets, processes, and outliving
its parent.

Resource limits and ``no_new_privs`` need no privilege. The seccomp filter is a second wall behind them,
where kernel and machine are known; what it does not list fails with EPERM.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import struct

from iotgw.converters import cputime

_PR_SET_PDEATHSIG = 1
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2

# read write close fstat lseek pread64 poll | mmap mprotect munmap brk mremap madvise | rt_sigaction rt_sigprocmask
# rt_sigreturn sigaltstack | sched_yield setitimer timer_settime getpid gettid futex restart_syscall | clock_gettime
# clock_getres gettimeofday getrusage times getrandom | rseq membarrier exit exit_group
_ALLOWED = {
    "x86_64": (
        0xC000003E,
        (0, 1, 3, 5, 8, 17, 7, 9, 10, 11, 12, 25, 28, 13, 14, 15, 131, 24, 38, 223, 39, 186, 202, 219, 228,
         229, 96, 98, 100, 318, 334, 324, 60, 231),
    ),
    "aarch64": (
        0xC00000B7,
        (63, 64, 57, 80, 62, 67, 73, 222, 226, 215, 214, 216, 233, 134, 135, 139, 132, 124, 103, 110, 172, 178, 98,
         128, 113, 114, 169, 165, 153, 278, 293, 283, 93, 94),
    ),
}  # fmt: skip


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Be killed when the process that made this one ends."""
    _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def lock_down(memory_limit: int) -> bool:
    """Give up everything but computing and the open streams. ``memory_limit`` is bytes of address space.

    Returns whether the seccomp filter is in place.
    """
    floor = address_space() + (64 << 20)  # what Python and the engines have mapped already, and room to work
    for limit, value in (
        (resource.RLIMIT_AS, max(memory_limit, floor)),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    signal.signal(cputime.OVER, signal.SIG_DFL)  # only the kernel can end a call inside C
    _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return _seccomp()


def address_space() -> int:
    """Bytes of address space in use."""
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _seccomp() -> bool:
    known = _ALLOWED.get(platform.machine())
    if known is None:
        return False
    architecture, allowed = known
    # BPF: load the architecture, refuse another; load the number, allow what is listed, else EPERM
    load, equal, answer = 0x20, 0x15, 0x06
    program = [
        (load, 0, 0, 4),
        (equal, 1, 0, architecture),
        (answer, 0, 0, 0x00050000 | 1),
        (load, 0, 0, 0),
    ]
    program += [(equal, len(allowed) - index, 0, number) for index, number in enumerate(allowed)]
    program += [(answer, 0, 0, 0x00050000 | 1), (answer, 0, 0, 0x7FFF0000)]
    code = b"".join(struct.pack("HBBI", *line) for line in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    done = _libc().prctl(
        _PR_SET_SECCOMP,
        _SECCOMP_MODE_FILTER,
        ctypes.byref(_Program(len(program), ctypes.addressof(buffer))),
        0,
        0,
    )
    return bool(done == 0)
