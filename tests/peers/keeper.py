"""Ends what a test session has started when the session is killed: ``python keeper.py PID MARK``.

It reads its input to the end, which comes when the session has ended in whatever way. Meanwhile it notes the session's
descendants, as some programs (sshd, nginx) overwrite their environment, and with it the mark. It needs nothing but
Python: the session that it looks after may run from any folder.
"""

import contextlib
import os
import select
import signal
import sys

EVERY = 2.0
"""Seconds between two looks."""


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def stat(pid):
    """State, parent and time of start; proc(5). None when there is no such process."""
    fields = read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return (fields[0], int(fields[1]), fields[19]) if fields else None


def processes():
    return {int(name): found for name in os.listdir("/proc") if name.isdigit() and (found := stat(name))}


def below(root, table):
    """The descendants of some processes, and when they started."""
    found = set(root)
    while more := {pid for pid, (_, parent, _) in table.items() if parent in found} - found:
        found |= more
    return {pid: table[pid][2] for pid in found - set(root) if pid in table}


def main(session, mark):
    noted = {}
    while not select.select([0], [], [], EVERY)[0]:
        noted |= below([session], processes())
    for _ in range(10):  # what is about to start others may do so while we look
        table = processes()
        found = {pid for pid, began in noted.items() if pid in table and table[pid][2] == began}
        found |= {pid for pid in table if mark in read(f"/proc/{pid}/environ").split(b"\0")}
        found |= set(below(found, table))
        found = {pid for pid in found if table[pid][0] != b"Z"} - {os.getpid(), session}
        if not found:
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        select.select([], [], [], 0.1)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2].encode())
