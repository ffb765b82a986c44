"""An owner that stands still for longer than its lease commits nothing any more, in whichever moment of a commit it was stopped."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading

import pytest

from iotgw.store.postgres import schema
from iotgw.store.postgres.partition import adopt, begin
from iotgw.store.postgres.statements import BEAT
from tests.peers.gateway import ROOT
from tests.peers.process import wait_until

from .owner import LEASE, UNFENCED

pytestmark = pytest.mark.interop


class Owner:
    """Another process that owns partitions."""

    def __init__(self, address, *options):
        command = [sys.executable, "-m", "tests.unit.store.postgres.owner", address.url, str(address.password_file), *options]  # fmt: skip
        self.child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )  # fmt: skip

    def own(self, part):
        self.child.stdin.write(f"{part}\n")
        self.child.stdin.flush()
        assert self.child.stdout.readline() == "owns\n"

    def until_fenced(self):
        assert self.child.stdout.readline() == "fenced\n"

    @contextlib.contextmanager
    def stopped(self):
        self.child.send_signal(signal.SIGSTOP)
        try:
            wait_until(lambda: _is_stopped(self.child.pid), what="the owner to stand still")
            yield
        finally:
            self.child.send_signal(signal.SIGCONT)

    def close(self):
        self.child.kill()
        self.child.wait()
        self.child.stdin.close()
        self.child.stdout.close()


def _is_stopped(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "T"


def numbers(connection, part):
    """How many groups were committed in a partition."""
    return connection.execute("SELECT group_no FROM partition WHERE id = %s", (part,)).fetchone()[0]


def adopted(connection, part, gently):
    """The number of groups at the moment of the adoption. ``gently``: without ending the owner's session, so that nothing but the fence keeps it out."""
    if gently:
        (epoch,) = connection.execute("SELECT owner_epoch FROM partition WHERE id = %s", (part,)).fetchone()
        return begin(connection, part, "heir", epoch).group_no
    found = []
    wait_until(lambda: found.append(adopt(connection, part, "heir", lease=LEASE)) or found[-1], what="the partition to be adopted")  # fmt: skip
    return found[-1].group_no


def played(address, rounds, *options, gently=None):
    """In how many rounds the owner committed after the adoption."""
    dice, late = random.Random(rounds), 0
    with address.connect() as connection, contextlib.closing(Owner(address, *options)) as owner:
        schema.upgrade(connection)
        for part in range(1, rounds + 1):
            owner.own(part)
            threading.Event().wait(dice.uniform(0, 0.02))
            with owner.stopped():
                before = adopted(connection, part, dice.random() < 0.5 if gently is None else gently)
            if options:
                wait_until(lambda part=part, before=before: numbers(connection, part) > before)
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
                )
            owner.until_fenced()
            late += numbers(connection, part) > before
    return late


def test_a_paused_owner_commits_nothing_after_its_lease(address):
    assert played(address, 12) == 0


@pytest.mark.soak
def test_a_paused_owner_commits_nothing_after_its_lease_a_thousand_times(address):
    assert played(address, 1000) == 0


def test_an_owner_whose_commits_were_not_fenced_is_seen(address):
    """The control: without it, the tests above could pass for the wrong reason."""
    assert UNFENCED != BEAT
    assert played(address, 5, "unfenced", gently=True) == 5
