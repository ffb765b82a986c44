"""The warm process that workers are forked from: everything is imported, so a worker is there in 2 ms.

It runs nothing of a user's. The gateway holds its stdin, a `SOCK_SEQPACKET` socket of one MessagePack array
per packet: ``["fork", number]`` with two file descriptors (the worker's stream, the shared memory) and
``["kill", number]`` come in; ``["ready", engines, confinement]``, ``["forked", number, pid]`` and
``["died", number, status]`` go out. ``status`` is as of `os.waitpid`. It ends when the socket does.
"""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import select
import signal
import socket
import sys
import traceback

import msgspec

from iotgw.converters import sandbox
from iotgw.converters.engines import available
from iotgw.converters.loading import HEAP
from iotgw.converters.protocol import PROGRESS_SIZE
from iotgw.converters.worker import ScriptWorker, serve_confined

_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.decode


class WorkerTemplate:
    """Forks workers and tells how they ended. ``memory_limit`` is bytes of a worker's address space.

    ``is_unconfined`` is whether scripts run where there is no seccomp filter.
    """

    def __init__(self, control: socket.socket, memory_limit: int, is_unconfined: bool = False) -> None:
        self._control = control
        self._memory_limit = memory_limit
        self._is_unconfined = is_unconfined
        self._workers: dict[int, int] = {}  # pid → number
        self._wake, wake = os.pipe()
        for end in (self._wake, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda signum, frame: None)

    def serve(self, engines: list[str]) -> None:
        """Work until the gateway closes the socket, or goes away."""
        self._say("ready", engines, sandbox.probe(self._memory_limit))
        while True:
            readable, _, _ = select.select([self._control.fileno(), self._wake], [], [])
            if self._wake in readable:
                os.read(self._wake, 4096)
                self._reap()
            if self._control.fileno() in readable:
                packet, descriptors, _, _ = socket.recv_fds(self._control, 4096, 2)
                if not packet:
                    return
                order, number = _decode(packet)
                if order == "fork":
                    self._fork(number, *descriptors)
                else:
                    self._kill(number)

    def _say(self, *message: object) -> None:
        self._control.send(_encode(message))

    def _fork(self, number: int, stream: int, memory: int) -> None:
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                code = self._become_worker(stream, memory)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)  # never back into the template's loop
        self._workers[pid] = number
        os.close(stream)
        os.close(memory)
        self._say("forked", number, pid)

    def _become_worker(self, stream: int, memory: int) -> int:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        sandbox.die_with_parent()
        progress = mmap.mmap(memory, PROGRESS_SIZE)
        os.dup2(stream, 0)
        os.dup2(stream, 1)
        # stderr stays for a last word; everything else of the template's is closed
        os.closerange(3, 256)
        worker = ScriptWorker(0, 1, progress, self._memory_limit)
        return serve_confined(worker, self._memory_limit, self._is_unconfined)

    def _kill(self, number: int) -> None:
        for pid, known in self._workers.items():
            if known == number:
                os.kill(pid, signal.SIGKILL)  # not reaped yet, so the pid is still its

    def _reap(self) -> None:
        while self._workers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._say("died", self._workers.pop(pid), status)


def main(arguments: list[str]) -> None:
    """Serve on stdin; the arguments are the memory limit in bytes, and ``unconfined`` or nothing."""
    sandbox.die_with_parent()
    # a terminal's Ctrl-C and systemd's SIGTERM reach the whole group, but the gateway still drains then:
    # we end when it lets go of us
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    control = socket.socket(fileno=os.dup(0))
    engines = available()
    for make in engines.values():
        make(0.25, HEAP, "Buffer Parse")  # whatever is lazy is done before the first fork
    gc.collect()
    gc.freeze()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        WorkerTemplate(control, int(arguments[0]), "unconfined" in arguments).serve(list(engines))


if __name__ == "__main__":
    main(sys.argv[1:])
