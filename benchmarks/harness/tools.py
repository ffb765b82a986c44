"""The load generators and the sink (../tools), built here and talked to by JSON lines."""

from __future__ import annotations

import atexit
import json
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

TOOLS = Path(__file__).resolve().parents[1] / "tools"
BIN = TOOLS.parent / "bin"

Report = dict[str, Any]


def build() -> None:
    """Compile what is out of date. Raises CalledProcessError with the compiler's words on stderr."""
    subprocess.run(["make", "-s", "-C", str(TOOLS), f"OUT={BIN}"], check=True)


def has(tool: str) -> bool:
    """Whether a tool could be built here."""
    return (BIN / tool).exists()


_loads: set[subprocess.Popen[str]] = set()


@atexit.register
def _end_loads() -> None:
    """A run that is interrupted leaves no load behind."""
    for process in _loads:
        if process.poll() is None:
            process.kill()


class Load:
    """A load generator under way: ``Load("coapload", "-p", 5683, ...)``."""

    def __init__(self, tool: str, *arguments: object) -> None:
        self._process = subprocess.Popen(
            [str(BIN / tool), *map(str, arguments)], stdout=subprocess.PIPE, text=True
        )
        _loads.add(self._process)

    def line(self) -> Report:
        """The next JSON line."""
        assert self._process.stdout is not None
        text = self._process.stdout.readline()
        if not text:
            raise RuntimeError(f"{self._process.args[0]} ended with {self._process.wait()} and no report")  # type: ignore[index]
        return dict(json.loads(text))

    def wait(self, seconds: float = 4000) -> Report:
        """The report at the end."""
        out, _ = self._process.communicate(timeout=seconds)
        _loads.discard(self._process)
        if self._process.returncode:
            raise RuntimeError(f"{self._process.args[0]} ended with {self._process.returncode}")  # type: ignore[index]
        return dict(json.loads(out.splitlines()[-1]))

    def end(self) -> Report:
        """Have it stop sending, and report."""
        self._process.send_signal(signal.SIGINT)
        return self.wait(120)

    @property
    def running(self) -> bool:
        """Whether it is not done yet."""
        return self._process.poll() is None


def load(tool: str, *arguments: object) -> Report:
    """Run a load generator to its end."""
    return Load(tool, *arguments).wait()


class Sink:
    """`iotsink` as broker and HTTP server; a context manager."""

    def __init__(self, devices: int, sequences: int, **options: object) -> None:
        extra = [text for key, value in options.items() for text in (f"--{key}", str(value))]
        self._process = subprocess.Popen(
            [
                str(BIN / "iotsink"),
                "--mqtt",
                "0",
                "--http",
                "0",
                "--devices",
                str(devices),
                "--sequences",
                str(sequences),
                *extra,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lock = threading.Lock()
        ports = self._line()
        self.http: int = ports["http"]
        self.mqtt: int = ports["mqtt"]

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def _line(self) -> Report:
        assert self._process.stdout is not None
        return dict(json.loads(self._process.stdout.readline()))

    def _ask(self, command: str) -> Report:
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(command + "\n")
            self._process.stdin.flush()
            return self._line()

    def stats(self) -> Report:
        """The counts so far."""
        return self._ask("stats")

    def away(self) -> None:
        """Hang up, and refuse connections."""
        self._ask("away")

    def back(self) -> None:
        """Listen again."""
        self._ask("back")

    def drained(
        self, expected: int, key: str = "unique", silence: float = 6.0, limit: float = 600.0
    ) -> Report:
        """Wait until ``expected`` have arrived, or nothing came for ``silence`` seconds."""
        end = time.monotonic() + limit
        last, moved = -1, time.monotonic()
        while True:
            stats = self.stats()
            now = time.monotonic()
            if stats[key] != last:
                last, moved = stats[key], now
            if stats[key] >= expected or now - moved > silence or now > end:
                return stats
            time.sleep(0.02)

    def missing(self, acknowledged: Path) -> int:
        """How many messages of a loader's ``--acked`` file never came."""
        seen = acknowledged.with_suffix(".seen")
        self._ask(f"ledger {seen}")
        acked = int.from_bytes(acknowledged.read_bytes(), "little")
        return (acked & ~int.from_bytes(seen.read_bytes(), "little")).bit_count()
