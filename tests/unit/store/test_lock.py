import os
import subprocess
import sys

import pytest

from iotgw.core.errors import AlreadyRunning
from iotgw.store.lock import DataDirectoryLock


def test_a_second_instance_is_refused_with_the_process_that_runs(tmp_path):
    first = DataDirectoryLock(tmp_path / "data")
    first.acquire()
    with pytest.raises(AlreadyRunning, match=f"in use by another iotgw \\(process {os.getpid()}\\)"):
        DataDirectoryLock(tmp_path / "data").acquire()
    first.release()
    second = DataDirectoryLock(tmp_path / "data")
    second.acquire()
    second.release()


def test_a_fork_takes_the_lock_along_and_notes_itself(tmp_path):
    """As a daemon does: the parent ends, and what it held is the child's."""
    program = (
        "import os, sys; from iotgw.store.lock import DataDirectoryLock as L\n"
        "lock = L(sys.argv[1]); lock.acquire()\n"
        "if os.fork(): os._exit(0)\n"
        "lock.note_process(); print(os.getpid(), flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    daemon = int(child.stdout.readline())
    child.wait()
    assert daemon != child.pid
    with pytest.raises(AlreadyRunning, match=f"process {daemon}\\)"):
        DataDirectoryLock(tmp_path).acquire()
    child.stdin.close()
    assert child.stdout.read() == b""  # the daemon has ended
    child.stdout.close()


def test_a_killed_process_leaves_no_lock(tmp_path):
    program = (
        "import sys; from iotgw.store.lock import DataDirectoryLock as L\n"
        "lock = L(sys.argv[1]); lock.acquire(); print('locked', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout.readline() == b"locked\n"
    with pytest.raises(AlreadyRunning, match=str(child.pid)):
        DataDirectoryLock(tmp_path).acquire()
    child.kill()
    child.wait()
    lock = DataDirectoryLock(tmp_path)
    lock.acquire()
    lock.release()
    child.stdin.close()
    child.stdout.close()
