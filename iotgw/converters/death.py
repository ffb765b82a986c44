"""How a worker ended, and whether that is the doing of the script that it ran."""

from __future__ import annotations

import os
import signal

from msgspec import Struct

from iotgw.converters import cputime
from iotgw.converters.protocol import NOT_CONFINED, OUT_OF_MEMORY, RECYCLE

TIME = "time"
MEMORY = "memory"
_FAULTS = {
    signal.SIGSEGV,
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGSYS,
    signal.SIGTRAP,
}


class Death(Struct, frozen=True):
    """``cause`` is `TIME`, `MEMORY` or a text for a person.

    ``is_own`` is False where nothing shows that the script did it: somebody sent a signal, the machine was out of
    memory, the watchdog found the worker asleep, or the template went and took its workers with it.
    """

    cause: str
    is_own: bool
    is_peaceful: bool = False
    """Whether the worker asked to be replaced."""


def explain(status: int | None, is_overrun: bool = False) -> Death:
    """The death that a status of `os.waitpid` tells of; None is for a worker whose template is gone.

    ``is_overrun`` says that the gateway's watchdog ended it, because it had used too much CPU time.
    """
    if status is None:
        return Death("the worker went away", is_own=False)
    if os.WIFSIGNALED(status):
        number = signal.Signals(os.WTERMSIG(status))
        if number == cputime.OVER or (is_overrun and number == signal.SIGKILL):
            return Death(TIME, is_own=True)
        return Death(f"the worker was ended by {number.name}", is_own=number in _FAULTS)
    code = os.WEXITSTATUS(status)
    if code == OUT_OF_MEMORY:
        return Death(MEMORY, is_own=True)
    if code == NOT_CONFINED:
        return Death("the worker could not be confined", is_own=False)
    return Death(
        f"the worker ended with code {code}", is_own=code not in (0, RECYCLE), is_peaceful=code == RECYCLE
    )
