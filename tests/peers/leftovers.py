"""Nothing that the tests start outlives them; a pytest plugin.

What a test itself has started is ended when the test is over, and what is left at the end of the session then: either
fails the run, and names the test. When the session is killed, a keeper ends what it has started.
"""

import contextlib
import ctypes
import os
import secrets
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from .patience import Patience, descendants

MARK = "IOTGW_TESTS"
"""In the environment of all that a session starts, and so of what that starts."""
CURRENT = "PYTEST_CURRENT_TEST"
"""pytest's own: the test and its phase, as in ``tests/test_x.py::test_y (call)``."""
KEEPER = Path(__file__).with_name("keeper.py")
SHARED = "iotgw.converters"
"""Workers of a converter service that several tests share; it replaces them while one of the tests runs."""
GRACE = 5.0
"""Seconds for a process that is about to end."""
PR_SET_CHILD_SUBREAPER = 36


class Leftovers:
    """The plugin. Of several pytest-xdist workers each looks after its own, and the first process tells."""

    def __init__(self, config):
        self._config = config
        self._failed = set()
        self._found = []
        self._is_controller = bool(getattr(config.option, "tx", None)) and not hasattr(config, "workerinput")
        # a daemon, or a child of a child that was killed, becomes a child of ours, and is found
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        mark = os.environ[MARK] = f"{os.getpid()}.{secrets.token_hex(8)}"
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", KEEPER, str(os.getpid()), f"{MARK}={mark}"],
            stdin=subprocess.PIPE, env={}, start_new_session=True,
        )  # fmt: skip

    def _living(self):
        """``(pid, who started it, command line)`` of our descendants, without those that have ended."""
        for pid in descendants(os.getpid()):
            if pid == self._keeper.pid:
                continue
            command = _read(pid, "cmdline").replace("\0", " ").strip()
            if not command and _is_alive(pid):
                command = _read(pid, "comm").strip()  # it is between two programs (execve)
            if command:
                found = [text for text in _read(pid, "environ").split("\0") if text.startswith(f"{CURRENT}=")]
                yield pid, found[0].partition("=")[2] if found else "", command

    def _left(self, chosen):
        """Those that are ``chosen``. Looks twice before it says none: while one child ends, the kernel's list of children
        may leave another out (proc(5), ``children``)."""
        return [each for each in self._living() if chosen(each)] or [
            each for each in self._living() if chosen(each)
        ]

    def _end(self, chosen):
        """End those processes that are ``chosen`` and don't end by themselves; returns what they were."""
        patience, pause = Patience(GRACE, ceiling=4 * GRACE), threading.Event()
        while (left := self._left(chosen)) and not patience.is_over():
            pause.wait(0.05)
        for pid, _, _ in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return [f"{who or 'some test'}: {command[:300]} (process {pid})" for pid, who, command in left]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        if report.failed:
            self._failed.add(item.nodeid)
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item):
        result = yield
        own = f"{item.nodeid} (call)"
        left = self._end(lambda each: each[1] == own and SHARED not in each[2])
        if left and item.nodeid not in self._failed:
            pytest.fail("left running, and ended now: " + "; ".join(left), pytrace=False)
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session):
        if not self._is_controller:
            self._found += self._end(lambda each: True)
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output["left running"] = self._found
        elif self._found:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node, error):
        self._found += getattr(node, "workeroutput", {}).get("left running", [])

    def pytest_terminal_summary(self, terminalreporter):
        if self._found:
            terminalreporter.section("left running at the end, and ended now", red=True)
            for line in self._found:
                terminalreporter.line(line)

    def pytest_unconfigure(self):
        self._keeper.stdin.close()
        self._keeper.wait()


def _is_alive(pid):
    """Whether a process is neither gone nor a zombie."""
    state = _read(pid, "stat").rpartition(")")[2].split()[:1]
    return bool(state) and state[0] not in ("Z", "X")


def _read(pid, name):
    try:
        return Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    except OSError:
        return ""
