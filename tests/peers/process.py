"""Programs that the tests talk to: started on loopback ports of the tests' own choosing, ended by pid."""

import contextlib
import fcntl
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from .leftovers import CURRENT, MARK
from .patience import Patience, descendants

SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
HOME = Path(__file__).parent


def free_port(kind=socket.SOCK_STREAM):
    """A port that nobody has now: of a range of this worker's own, below those that connections leave from. It stays this
    process's, so that no other test session takes it before somebody listens there."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 8
    while True:
        port = 16000 + 2000 * worker + next(_ports) % 2000
        with socket.socket(socket.AF_INET, kind) as probe, contextlib.suppress(OSError):
            fcntl.lockf(_taken, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)  # one byte per port
            probe.bind(("127.0.0.1", port))
            return port


_ports = itertools.count(os.getpid() * 37)
_taken = (Path(tempfile.gettempdir()) / f"iotgw-tests-ports-{os.getuid()}").open("ab")


def free_udp_port():
    return free_port(socket.SOCK_DGRAM)


def find(command):
    """The path of a peer's program; without it the test is skipped, and fails in CI."""
    path = shutil.which(command, path=SEARCH_PATH)
    if path is None:
        missing(f"{command} is not installed; tests/install-peers installs it")
    return path


def missing(reason):
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def node_module(name):
    """The folder of an npm peer."""
    path = HOME / "node_modules" / name
    if not path.exists():
        missing(f"npm's {name} is not installed; tests/install-peers installs it")
    return path


def wait_until(condition, seconds=20.0, what="the condition"):
    """Look again and again until ``condition()`` is true; returns what it returned. ``seconds``: see `Patience`."""
    patience = Patience(seconds)
    pause = threading.Event()
    while True:
        result = condition()
        if result:
            return result
        if patience.is_over():
            raise AssertionError(f"waited {patience} in vain for {what}")
        pause.wait(0.02)


def accepts(port, host="127.0.0.1"):
    """Whether somebody listens on a TCP port."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


class Process:
    """A child process with its output in a file; also a context manager.

    `start` returns when the process is `ready`. One that doesn't come up is ended, and its output is told.
    """

    def __init__(self, args, log, env=None, cwd=None):
        self.args = [str(arg) for arg in args]
        self.log = Path(log)
        self._env = {**os.environ, **(env or {})}
        self._cwd = cwd
        self.child = None

    def launch(self):
        """Start it without waiting."""
        with self.log.open("ab") as out:
            self.child = subprocess.Popen(
                self.args,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**self._env, **whose()},
                cwd=self._cwd,
            )
        return self

    def start(self):
        """Start it, and wait until it is ready."""
        self.launch()
        try:
            self.wait_for(self.ready, what=f"{Path(self.args[0]).name} to be ready")
        except BaseException:
            self.kill_all()
            raise
        return self

    def ready(self):
        """Whether it does what it was started for."""
        return True

    @property
    def pid(self):
        return self.child.pid

    @property
    def output(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    @property
    def alive(self):
        return self.child is not None and self.child.poll() is None

    def wait_for(self, condition, seconds=20.0, what="it to start"):
        def met():
            assert self.alive, f"{self.args[0]} ended with {self.child.returncode}"
            return condition()

        try:
            return wait_until(met, seconds, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output[-4000:]}") from None

    def wait_for_end(self, seconds=20.0):
        """Its exit status, once it has ended by itself."""
        try:
            wait_until(lambda: not self.alive, seconds, f"{self.args[0]} to end")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output[-4000:]}") from None
        return self.child.returncode

    def kill(self):
        """As a power cut would: SIGKILL."""
        self.child.kill()
        self.child.wait()

    def kill_all(self):
        """SIGKILL for it and the processes that it started. They are stopped first: nginx replaces its workers."""
        stopped, found = set(), {self.pid}
        while found - stopped:
            for pid in found - stopped:
                _signal(pid, signal.SIGSTOP)
            stopped |= found
            found = {self.pid, *descendants(self.pid)}
        for pid in stopped - {self.pid}:
            _signal(pid, signal.SIGKILL)
        self.kill()

    def freeze(self):
        self.child.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.child.send_signal(signal.SIGCONT)

    def stop(self, seconds=15):
        """SIGTERM, and its exit status."""
        if self.alive:
            self.child.terminate()
            try:
                self.wait_for_end(seconds)
            except BaseException:
                self.kill_all()
                raise
        return self.child.returncode if self.child else None

    def __enter__(self):
        return self if self.alive else self.start()

    def __exit__(self, *exc):
        if self.alive:
            self.kill_all()


def _signal(pid, number):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def whose():
    """What tells a process whose it is: `Leftovers` looks for it. A process object may be older than its test."""
    return {name: os.environ[name] for name in (MARK, CURRENT) if name in os.environ}
