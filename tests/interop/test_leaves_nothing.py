"""The tests themselves: what one starts is ended, whatever happens, and waiting follows what is done."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from tests.peers.gateway import ROOT, Gateway
from tests.peers.patience import HANGS, Patience
from tests.peers.process import Process, wait_until

SLEEPER = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)', {folder!r}])"
DAEMON = "subprocess.run('setsid {python} -c \"import time; time.sleep(1000)\" {folder} & :', shell=True)"
INSTANT = "import pytest, subprocess, sys, tests.peers.leftovers as all\nall.GRACE = 0.1\n"
CALLED = INSTANT + "def test_it():\n    {start}\n"
FIXTURE = INSTANT + (
    "@pytest.fixture(scope='module')\ndef it():\n    {start}\n    yield\n"
    "def test_first(it): pass\ndef test_second(it): pass\n"
)


def session(folder, text, *more):
    """Run pytest on a file with this text; what it printed, and its status."""
    (folder / "test_file.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\n")
    ran = subprocess.run(
        command(folder, *more), cwd=folder, env=environment(), capture_output=True, text=True, timeout=HANGS,
        check=False,
    )  # fmt: skip
    return ran.stdout + ran.stderr, ran.returncode


def command(folder, *more):
    return [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", *more, folder]


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def running(word):
    """Processes with a word in their command line, but for those that only look for them."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline") as file:
                text = file.read()
        except OSError:
            continue
        if word in text and "time.sleep(1000)" in text:
            found.append(int(pid))
    return found


@pytest.mark.parametrize(
    "more", [(), pytest.param(("-n", "1"), marks=pytest.mark.interop)], ids=["alone", "xdist"]
)
@pytest.mark.parametrize("start", [SLEEPER, DAEMON], ids=["child", "daemon"])
@pytest.mark.parametrize(
    ("text", "name"), [(CALLED, "test_file.py::test_it"), (FIXTURE, "test_file.py::test_first (setup)")]
)
def test_who_leaves_something_running_fails_by_name_and_it_is_ended(tmp_path, text, name, start, more):
    start = start.format(folder=str(tmp_path), python=sys.executable)
    out, status = session(tmp_path, text.format(start=start), *more)
    assert status == 1, out
    assert "left running" in out and name in out and "time.sleep(1000)" in out
    assert running(str(tmp_path)) == []


def test_a_session_that_is_killed_leaves_nothing(tmp_path):
    start = SLEEPER.format(folder=str(tmp_path))
    wait = "import time; time.sleep(500)"
    (tmp_path / "test_file.py").write_text(CALLED.format(start=f"{start}; {wait}"))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    pytest_ = Process(
        command(tmp_path), tmp_path.parent / f"{tmp_path.name}.log", env=environment(), cwd=tmp_path
    )
    with pytest_:
        wait_until(lambda: running(str(tmp_path)), 60, "the child")
        os.kill(pytest_.pid, signal.SIGKILL)
        wait_until(lambda: running(str(tmp_path)) == [], 60, "the child's end")


def test_a_gateway_that_does_not_come_up_is_ended_and_its_log_is_shown(tmp_path):
    gateway = Gateway(tmp_path / "gateway", settings="[store]\nmax-age = -5\n")
    with pytest.raises(AssertionError, match=r"store\.max-age"):
        gateway.start()
    assert not gateway.alive


class Silent(Process):
    def ready(self):
        return False

    def wait_for(self, condition, seconds=0.2, what=""):
        super().wait_for(condition, 0.2, what)


def test_a_peer_that_is_never_ready_is_ended_and_its_output_is_shown(tmp_path):
    peer = Silent(["sh", "-c", "echo about to sleep; sleep 1000 & sleep 1000"], tmp_path / "log")
    with pytest.raises(AssertionError, match="about to sleep"):
        peer.start()
    assert not peer.alive


def over(patience):
    """Whether patience ends before a hundred looks have shown that something is done."""
    pause = threading.Event()
    for _ in range(100):
        if patience.is_over():
            return True
        pause.wait(0.03)
    return False


def test_waiting_ends_when_nobody_does_anything(tmp_path):
    with Process(["sleep", "1000"], tmp_path / "log"):
        patience = Patience(0.5)
        wait_until(patience.is_over, 60, "patience to end")


def test_waiting_goes_on_while_somebody_works(tmp_path):
    with Process(["sh", "-c", "while :; do :; done"], tmp_path / "log"):
        assert not over(Patience(0.5))
        assert over(Patience(0.5, ceiling=1))
