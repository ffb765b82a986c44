"""What a locked-down process can't do, tried in one."""

import os
import signal
import socket
import sys
import traceback

import pytest

from iotgw.converters import sandbox, syscalls
from iotgw.converters.cputime import OVER, CpuTimer


def tried(action, lock_down=True) -> str:
    """What ``action`` comes to in a locked-down child: ``done``, or the name of what it raised."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(write, 1)
            if lock_down:
                sandbox.lock_down(256 << 20)
            try:
                action()
                said = "done"
            except OSError as error:
                said = f"OSError {error.errno}"
            except BaseException as error:
                said = type(error).__name__
            os.write(1, said.encode())
        except BaseException:
            traceback.print_exc(file=sys.stderr)
        finally:
            os._exit(0)
    os.close(write)
    said = os.read(read, 1000).decode()
    os.close(read)
    os.waitpid(pid, 0)
    return said


def grow():
    hoard = []
    while True:
        hoard.append(bytearray(8 << 20))


@pytest.mark.parametrize(
    "action",
    [
        lambda: os.open("/etc/hostname", os.O_RDONLY),
        socket.socket,
        os.fork,
        lambda: os.execv("/bin/true", ["true"]),
        lambda: os.kill(os.getppid(), 0),
        lambda: os.unlink("/nowhere"),
        lambda: os.memfd_create("x"),
    ],
    ids=["open", "socket", "fork", "exec", "kill", "unlink", "memfd"],
)
def test_files_sockets_and_processes_are_out_of_reach(action):
    if syscalls.machine() not in syscalls.ALLOWED:
        pytest.skip("no filter is known for this machine")
    assert tried(action).startswith("OSError")


def test_memory_ends_at_the_limit():
    assert tried(grow) == "MemoryError"


def test_computing_and_writing_still_work():
    assert tried(lambda: sum(range(1000))) == "done"


def test_the_timer_ends_a_process_whatever_it_does():
    pid = os.fork()
    if pid == 0:
        try:
            signal.signal(OVER, lambda *_: None)  # as a program might have had it
            timer = CpuTimer()
            sandbox.lock_down(256 << 20)
            timer.set(0.05)
            while True:
                pass
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == OVER
