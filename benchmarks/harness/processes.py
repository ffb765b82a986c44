"""A program under test: started in a folder of its own, weighed with its children through /proc."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port on loopback that nobody has now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(
    ready: Callable[[], object], seconds: float, what: str, alive: Callable[[], bool] = lambda: True
) -> None:
    """Look every 50 ms until ``ready()`` is true; raises TimeoutError naming ``what``."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end or not alive():
            raise TimeoutError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.05)


def end_on_sigterm() -> None:
    """Have SIGTERM end this program as an exception does, so that what it has started is ended."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


class Program:
    """A running program; a context manager that ends it and its children."""

    def __init__(self, argv: list[str], folder: Path, env: dict[str, str] | None = None) -> None:
        self.log = folder / "output.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                argv,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )
        self.pid = self._process.pid

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def alive(self) -> bool:
        """Whether it runs still."""
        return self._process.poll() is None

    def stop(self, patience: float = 10.0) -> None:
        """Ask it to end; make it, when it doesn't."""
        if self.alive:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
        self.kill()

    def kill(self) -> None:
        """End the whole session at once, as a power cut would."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def tree(self) -> list[int]:
        """Its pid and those of its descendants."""
        return list(_tree(self.pid))

    def cpu(self) -> float:
        """CPU seconds of the tree so far, children that have ended included."""
        return sum(_cpu(pid) for pid in self.tree())

    def rss(self) -> float:
        """Resident MiB of the tree."""
        return sum(_rss(pid) for pid in self.tree())

    def pss(self) -> float:
        """MiB of the tree, pages that several share divided among them."""
        return sum(_pss(pid) for pid in self.tree())

    def tail(self, lines: int = 12) -> str:
        """The end of what it printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def _tree(pid: int) -> Iterator[int]:
    yield pid
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _tree(int(child))


def _cpu(pid: int) -> float:
    """What its threads ran, to the nanosecond, and what its dead children did, to the tick."""
    spent = 0.0
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                spent += int((task / "schedstat").read_text().split()[0]) / 1e9
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        spent += sum(map(int, fields[13:15])) / _TICK  # cutime, cstime: proc(5)
    return spent


def _rss(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 2**20
    except OSError:
        return 0.0


def _pss(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    except OSError:
        return 0.0
