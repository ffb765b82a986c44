"""How many files and connections the process has open, of those that it may. The last ones are kept back from devices
(`iotgw.core.descriptors`), so this says it before their connections are refused, or when they are."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from iotgw.core.descriptors import kept, limit
from iotgw.core.model import DEFAULT_TENANT
from iotgw.core.ports.intake import Severity
from iotgw.core.recorder import Recorder

EVERY = 5.0
"""Seconds between two looks."""
FEW = 0.1
"""Said when less than this part is left, or no more than is kept; and again when twice as much is."""


def open_files() -> int:
    """Files and sockets that are open; 0 where the system doesn't tell."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except FileNotFoundError:
        return 0
    except OSError:  # not even one is left to look with
        return limit()


class OpenFiles:
    """Says when few are left, and when there are enough again."""

    _log = Logger()

    def __init__(
        self,
        recorder: Recorder,
        clock: IReactorTime,
        count: Callable[[], int] = open_files,
        most: Callable[[], int] = limit,
    ) -> None:
        self._recorder = recorder
        self._count = count
        self._most = most
        self._are_few = False
        self._loop = LoopingCall(self.look)
        self._loop.clock = clock

    def start(self) -> None:
        """Have as many as the system lets us, and look now and then."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and soft < hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self._loop.start(EVERY, now=False).addErrback(
            lambda failure: self._log.failure("nobody looks for open files any more", failure)
        )

    def stop(self) -> None:
        """Look no more."""
        if self._loop.running:
            self._loop.stop()

    def look(self) -> None:
        """Say what has changed."""
        used, most = self._count(), self._most()
        if most == 0:
            return
        left, few = most - used, max(most * FEW, kept(most) + 1)
        if not self._are_few and left < few:
            self._are_few = True
            text = (
                f"{used} of {most} files and connections are open; the last {kept(most)} are kept for the API, and new "
                "connections of devices are refused then. Raise the limit (LimitNOFILE of the unit, ulimit -n), or lower "
                "the datasources' limits of connections"
            )
            self._note("files-few", text, used, most)
        elif self._are_few and left > 2 * few:
            self._are_few = False
            self._note("files-enough", f"{used} of {most} files and connections are open", used, most)

    def _note(self, type: str, text: str, used: int, most: int) -> None:
        severity: Severity = "error" if self._are_few else "info"
        self._recorder.note(type, "gateway", "files", text, DEFAULT_TENANT, severity, used=used, most=most)
