"""The seccomp filter: which system calls a worker may make, and the program that lets nothing else through.

A machine is told by its audit token (``linux/audit.h``): its ELF number, and whether it has 64 bits. The numbers are
those of the kernel's tables (``arch/x86/entry/syscalls/syscall_64.tbl``, ``asm-generic/unistd.h``,
``arch/arm/tools/syscall.tbl``). On 32 bits the C library may use either form of a call that tells times.
"""

from __future__ import annotations

import struct

X86_64 = 0xC000003E
AARCH64 = 0xC00000B7
RISCV64 = 0xC00000F3
ARM = 0x40000028

_64_BITS, _LITTLE_ENDIAN = 0x80000000, 0x40000000
_EPERM = 1
_LOAD, _EQUAL, _ANSWER = 0x20, 0x15, 0x06
_REFUSE, _ALLOW = 0x00050000 | _EPERM, 0x7FFF0000


def _table(text: str) -> dict[str, int]:
    words = text.split()
    return dict(zip(words[::2], map(int, words[1::2]), strict=True))


_GENERIC = _table("""
    read 63 write 64 close 57 fstat 80 lseek 62 pread64 67 ppoll 73
    mmap 222 mprotect 226 munmap 215 brk 214 mremap 216 madvise 233
    rt_sigaction 134 rt_sigprocmask 135 rt_sigreturn 139 sigaltstack 132
    sched_yield 124 setitimer 103 timer_settime 110 getpid 172 gettid 178 futex 98 restart_syscall 128
    clock_gettime 113 clock_getres 114 gettimeofday 169 getrusage 165 times 153 getrandom 278
    rseq 293 membarrier 283 exit 93 exit_group 94
""")
ALLOWED: dict[int, dict[str, int]] = {
    X86_64: _table("""
        read 0 write 1 close 3 fstat 5 lseek 8 pread64 17 poll 7
        mmap 9 mprotect 10 munmap 11 brk 12 mremap 25 madvise 28
        rt_sigaction 13 rt_sigprocmask 14 rt_sigreturn 15 sigaltstack 131
        sched_yield 24 setitimer 38 timer_settime 223 getpid 39 gettid 186 futex 202 restart_syscall 219
        clock_gettime 228 clock_getres 229 gettimeofday 96 getrusage 98 times 100 getrandom 318
        rseq 334 membarrier 324 exit 60 exit_group 231
    """),
    AARCH64: _GENERIC,
    RISCV64: _GENERIC,
    ARM: _table("""
        read 3 write 4 close 6 fstat64 197 lseek 19 _llseek 140 pread64 180 poll 168 ppoll 336 ppoll_time64 414
        mmap2 192 mprotect 125 munmap 91 brk 45 mremap 163 madvise 220
        rt_sigaction 174 rt_sigprocmask 175 rt_sigreturn 173 sigreturn 119 sigaltstack 186
        sched_yield 158 setitimer 104 timer_settime 258 timer_settime64 409 getpid 20 gettid 224
        futex 240 futex_time64 422 restart_syscall 0
        clock_gettime 263 clock_gettime64 403 clock_getres 264 clock_getres_time64 406 gettimeofday 78
        getrusage 77 times 43 getrandom 384 rseq 398 membarrier 389 exit 1 exit_group 248
    """),
}
"""By audit token: names and numbers."""


def machine() -> int:
    """The audit token of this process's own system calls; 0 if it can't be told.

    It is what the interpreter was built for: a Python of 32 bits calls a kernel of 64 by the numbers of 32.
    """
    try:
        with open("/proc/self/exe", "rb") as program:
            head = program.read(20)
    except OSError:
        return 0
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return 0
    is_little = head[5] == 1
    (number,) = struct.unpack("<H" if is_little else ">H", head[18:20])
    return int(number) | (_64_BITS if head[4] == 2 else 0) | (_LITTLE_ENDIAN if is_little else 0)


def program(token: int) -> bytes:
    """The filter for a machine, as instructions of classic BPF (``struct sock_filter``, 8 bytes each).

    Calls of another machine, and calls that are not listed, fail with EPERM. KeyError for an unknown machine.
    """
    numbers = sorted(set(ALLOWED[token].values()))
    lines = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, token), (_ANSWER, 0, 0, _REFUSE), (_LOAD, 0, 0, 0)]
    lines += [(_EQUAL, len(numbers) - index, 0, number) for index, number in enumerate(numbers)]
    lines += [(_ANSWER, 0, 0, _REFUSE), (_ANSWER, 0, 0, _ALLOW)]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
