"""Every command of the page about nodes runs: from one gateway to three nodes, past a killed primary and a killed node."""

import contextlib
import os
import re
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from tests.peers.gateway import _TWISTD, ROOT
from tests.peers.postgres import NOBODY, programs
from tests.peers.process import Process, find, free_port

from .test_docs_commands import commands

pytestmark = [pytest.mark.interop, pytest.mark.long]
OF_POSTGRES = ("initdb", "pg_ctl", "createdb", "pg_basebackup", "pg_dump", "pg_restore", "psql")
LONG = 900
"""Seconds for the page."""
PORTS = ("5433", "5434", "5435", "8081", "8082", "8083")


@pytest.fixture
def folder():
    """An empty directory of the database's user. Whatever runs in it in the end is ended."""
    folder = Path(tempfile.mkdtemp(prefix="iotgw-docs-nodes-"))
    yield folder
    for file in (*folder.glob("work/*.pid"), *folder.glob("work/*/postmaster.pid")):
        with contextlib.suppress(ProcessLookupError, ValueError, FileNotFoundError):
            os.kill(int(file.read_text().split()[0]), signal.SIGKILL)
    shutil.rmtree(folder)


def program(path, *command):
    path.write_text(f'#!/bin/sh\nexec {" ".join(map(str, command))} "$@"\n')
    path.chmod(0o755)


def as_an_ordinary_user(path, name):
    """PostgreSQL's programs, as a user of their own: the tests may be root's."""
    if os.getuid():
        program(path, programs() / name)
        return
    drop = f"{find('setpriv')} --reuid {NOBODY} --regid {NOBODY} --clear-groups --"
    path.write_text(f'#!/bin/sh\nchown {NOBODY} . password\nexec {drop} {programs() / name} "$@"\n')
    path.chmod(0o755)


def test_every_command_of_the_page_runs(folder):
    folder.chmod(0o755)
    tools, work = folder / "tools", folder / "work"
    tools.mkdir()
    work.mkdir()
    (tools / "twistd.py").write_text(_TWISTD)
    program(tools / "twistd", sys.executable, tools / "twistd.py")
    program(tools / "iotgwctl", sys.executable, "-m", "iotgw.ctl.main")
    for name in OF_POSTGRES:
        as_an_ordinary_user(tools / name, name)
    script = "\n".join(["set -euo pipefail", *commands("nodes.md")])
    script = re.sub(r"^export PATH=.*$", "", script, flags=re.M)
    for port in PORTS:
        script = re.sub(rf"\b{port}\b", str(free_port()), script)
    env = {"PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    page = Process(["bash", "-x", "-c", script], folder / "output", env, work)
    assert page.launch().wait_for_end(LONG) == 0, page.output[-6000:]
    shown = re.findall(r"^\+ iotgwctl \S+ \S+ telemetry meter --keys n$(.*?)^\+", page.output, re.S | re.M)
    numbers = [{int(each) for each in re.findall(r"\b(\d+)$", readings, re.M)} for readings in shown]
    assert numbers == [set(range(1, 9)), set(range(1, 10)), set(range(1, 10))], shown
