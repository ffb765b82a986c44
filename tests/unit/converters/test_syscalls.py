"""The filter of each machine, tried by its numbers: an interpreter of BPF stands for a kernel that isn't there."""

import errno
import struct

import pytest

from iotgw.converters import syscalls
from iotgw.converters.syscalls import AARCH64, ALLOWED, ARM, RISCV64, X86_64
from tests.peers import filtered
from tests.peers.process import missing

ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
NAMES = {X86_64: "x86_64", AARCH64: "aarch64", RISCV64: "riscv64", ARM: "armv7"}
OUT_OF_REACH = {
    ARM: {"fork": 2, "open": 5, "execve": 11, "unlink": 10, "kill": 37, "ptrace": 26, "prctl": 172, "socket": 281,
          "connect": 283, "clone": 120, "openat": 322, "memfd_create": 385, "execveat": 387, "io_uring_setup": 425,
          "clone3": 435, "process_vm_writev": 377, "ioctl": 54},
    X86_64: {"open": 2, "socket": 41, "clone": 56, "fork": 57, "execve": 59, "kill": 62, "ptrace": 101, "prctl": 157,
             "openat": 257, "memfd_create": 319, "io_uring_setup": 425, "clone3": 435, "ioctl": 16},
    AARCH64: {"openat": 56, "socket": 198, "clone": 220, "execve": 221, "kill": 129, "ptrace": 117, "prctl": 167,
              "memfd_create": 279, "io_uring_setup": 425, "clone3": 435, "ioctl": 29},
}  # fmt: skip
OUT_OF_REACH[RISCV64] = OUT_OF_REACH[AARCH64]
NEEDED_ON_ARM = {
    "restart_syscall": 0, "exit": 1, "read": 3, "write": 4, "close": 6, "lseek": 19, "getpid": 20, "times": 43, "brk": 45,
    "getrusage": 77, "gettimeofday": 78, "munmap": 91, "setitimer": 104, "sigreturn": 119, "mprotect": 125, "_llseek": 140,
    "sched_yield": 158, "mremap": 163, "poll": 168, "rt_sigreturn": 173, "rt_sigaction": 174, "rt_sigprocmask": 175,
    "pread64": 180, "sigaltstack": 186, "mmap2": 192, "fstat64": 197, "madvise": 220, "gettid": 224, "futex": 240,
    "exit_group": 248, "timer_settime": 258, "clock_gettime": 263, "clock_getres": 264, "ppoll": 336, "getrandom": 384,
    "membarrier": 389, "rseq": 398, "clock_gettime64": 403, "clock_getres_time64": 406, "timer_settime64": 409,
    "ppoll_time64": 414, "futex_time64": 422,
}  # fmt: skip
"""As arch/arm/tools/syscall.tbl has them."""


def judged(program: bytes, token: int, number: int) -> int:
    """What a kernel answers to a call, by ``struct seccomp_data``: the number, the machine."""
    data = struct.pack("=II", number & 0xFFFFFFFF, token)
    lines = list(struct.iter_unpack("=HBBI", program))
    at = accumulator = 0
    while True:
        code, if_true, if_false, value = lines[at]
        at += 1
        if code == 0x20:  # BPF_LD | BPF_W | BPF_ABS
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif code == 0x15:  # BPF_JMP | BPF_JEQ | BPF_K
            at += if_true if accumulator == value else if_false
        else:  # BPF_RET | BPF_K
            assert code == 0x06
            return value


@pytest.mark.parametrize("token", ALLOWED, ids=NAMES.get)
def test_a_machine_s_filter_lets_through_what_is_listed_and_nothing_else(token):
    program = syscalls.program(token)
    listed = {*ALLOWED[token].values()}
    allowed = {number for number in range(-2, 600) if judged(program, token, number) == ALLOW}
    assert allowed == listed
    assert {judged(program, token, number) for number in range(600) if number not in listed} == {REFUSE}
    assert not listed & {*OUT_OF_REACH[token].values()}


@pytest.mark.parametrize("token", ALLOWED, ids=NAMES.get)
def test_calls_by_another_machine_s_numbers_are_refused(token):
    program = syscalls.program(token)
    for other in {*ALLOWED, 0x40000003} - {token}:  # i386 too, which a process of x86-64 can call
        assert {judged(program, other, number) for number in range(600)} == {REFUSE}
    assert judged(program, token, 0x40000000 | ALLOWED[token]["read"]) == REFUSE  # x32


def test_arm_s_numbers_are_those_of_the_kernel_s_table():
    assert ALLOWED[ARM] == NEEDED_ON_ARM


@pytest.mark.parametrize("token", ALLOWED, ids=NAMES.get)
def test_the_numbers_are_those_that_libseccomp_knows(token):
    if filtered.library() is None:
        missing("libseccomp2 is not installed; tests/install-peers installs it")
    for table in (ALLOWED[token], OUT_OF_REACH[token]):
        assert {name: filtered.number(name, token) for name in table} == table


@pytest.mark.parametrize(
    ("head", "token"),
    [
        (b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\x3e\x00", X86_64),
        (b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\xb7\x00", AARCH64),
        (b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\xf3\x00", RISCV64),
        (b"\x7fELF\x01\x01\x01" + bytes(9) + b"\x03\x00\x28\x00", ARM),
        (b"\x7fELF\x01\x01\x01" + bytes(9) + b"\x03\x00\x3e\x00", 0x4000003E),  # x32, which has no table
        (b"\x7fELF\x02\x02\x01" + bytes(9) + b"\x00\x03\x00\x16", 0x80000016),  # s390x, big-endian
        (b"#!/bin/sh\n", 0),
    ],
)
def test_the_machine_is_that_of_the_interpreter_not_of_the_kernel(monkeypatch, tmp_path, head, token):
    (tmp_path / "exe").write_bytes(head)
    monkeypatch.setattr("builtins.open", lambda path, mode, real=open: real(tmp_path / "exe", mode))
    assert syscalls.machine() == token
