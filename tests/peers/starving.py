"""A program that the machine has little time for: its share of a processor is cut by a quota, or it is outranked."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from .patience import descendants
from .process import whose

PERIOD = 100_000
"""Microseconds in which a quota is used up."""
CGROUPS = Path("/sys/fs/cgroup")


@contextlib.contextmanager
def starved(pid, share, by_rank=False):
    """Let a program, with what it has started and will start, have so much of one processor (0.05 is a twentieth).

    ``by_rank``, or where no control group can be made, it has the lowest rank beside a busy program for each processor:
    that leaves it a seventieth. Yields how it was done.
    """
    with contextlib.ExitStack() as stack:
        way = None
        if not by_rank:
            with contextlib.suppress(_NoQuota):
                way = stack.enter_context(_quota(pid, share))
        yield way or stack.enter_context(_outranked(pid))


class _NoQuota(Exception):
    pass


@contextlib.contextmanager
def _quota(pid, share):
    one = (CGROUPS / "cgroup.controllers").exists()
    parent = CGROUPS if one else CGROUPS / "cpu"
    group = parent / f"iotgw-starved-{pid}"
    try:
        group.mkdir()
    except OSError as error:
        raise _NoQuota from error
    try:
        quota = int(share * PERIOD)
        try:
            if one:
                (group / "cpu.max").write_text(f"{quota} {PERIOD}")
            else:
                (group / "cpu.cfs_period_us").write_text(str(PERIOD))
                (group / "cpu.cfs_quota_us").write_text(str(quota))
            _move(pid, group)
        except OSError as error:
            raise _NoQuota from error
        yield f"a quota of {share:.0%} of a processor"
    finally:
        for each in (group / "cgroup.procs").read_text().split():
            _put(each, parent)
        group.rmdir()


def _move(pid, group):
    moved = set()
    while left := {pid, *descendants(pid)} - moved:
        for each in left:
            _put(each, group)
        moved |= left


def _put(pid, group):
    with contextlib.suppress(ProcessLookupError):
        (group / "cgroup.procs").write_text(str(pid))


@contextlib.contextmanager
def _outranked(pid):
    for each in (pid, *descendants(pid)):
        for task in Path(f"/proc/{each}/task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(task.name), 19)
    busy = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"], env={**os.environ, **whose()})
        for _ in range(os.cpu_count() or 1)
    ]
    try:
        yield "the lowest rank beside busy programs"
    finally:
        for each in busy:
            each.kill()
            each.wait()
