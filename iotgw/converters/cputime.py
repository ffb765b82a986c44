"""CPU time: what a call of a script may use, and what the gateway sees of it.

The clock on the wall says nothing about a script: on a busy machine a worker waits for its turn a hundred times as
long as it works. So a limit counts the time that the worker's process has had a processor for.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from functools import cache

OVER = signal.SIGPROF
"""What ends a process that has used up its time; the kernel's own action, for the engines can't stop every loop."""


class _Event(ctypes.Structure):  # struct sigevent of 64-bit Linux
    _fields_ = [
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("rest", ctypes.c_char * 48),
    ]


class _Time(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


class _Timer(ctypes.Structure):
    _fields_ = [("interval", _Time), ("first", _Time)]


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


class CpuTimer:
    """Has the kernel send `OVER` to this process when it has used so much CPU time.

    Made by the process that it is for: a timer is not inherited. POSIX's timer is exact and never early. Where there is
    none, that of setitimer(2) counts ticks, and may be a third early for a process that runs in short pieces.
    """

    def __init__(self) -> None:
        self._id = ctypes.c_void_p()
        self._timer = _Timer()
        self._reference = ctypes.byref(self._timer)
        self.is_exact = self._create()

    def _create(self) -> bool:
        if ctypes.sizeof(ctypes.c_void_p) != 8 or not hasattr(_libc(), "timer_create"):
            return False
        event = _Event(None, OVER, 0, b"")
        clock = time.CLOCK_PROCESS_CPUTIME_ID
        return bool(_libc().timer_create(clock, ctypes.byref(event), ctypes.byref(self._id)) == 0)

    def set(self, seconds: float) -> None:
        """Let the process have so many seconds from now; 0 lets it have as many as it likes."""
        if not self.is_exact:
            signal.setitimer(signal.ITIMER_PROF, seconds)
            return
        whole = int(seconds)
        self._timer.first.seconds = whole
        self._timer.first.nanoseconds = int((seconds - whole) * 1e9)
        if _libc().timer_settime(self._id, 0, self._reference, None):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def used_by(pid: int) -> float | None:
    """CPU seconds that a process has used so far; None when there is no such process."""
    clock = ctypes.c_int()
    if pid <= 0 or _libc().clock_getcpuclockid(pid, ctypes.byref(clock)):
        return None
    try:
        return time.clock_gettime(clock.value)
    except OSError:
        return None
