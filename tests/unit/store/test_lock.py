import os
import subprocess
import sys

import pytest

from iotgw.errors import AlreadyRunning
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
