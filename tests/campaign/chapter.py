"""One data directory, from its first start to the last of its rounds. A round is one kill."""

import json
import os
import signal
import sqlite3
import sys
import time
from collections import Counter

from msgspec import Struct

from tests.peers.gateway import ROOT, Gateway
from tests.peers.process import Process, free_port, free_udp_port, wait_until

from . import kills, oracle, resources
from .ledger import Ledger, Reader
from .stalls import Stalls, is_stopped

OWN = 0.3
"""Seconds of the gateway's own time before a kill: what was delivered in them may come again."""
MOST = 5.0
"""Seconds before a kill, on any machine."""


class Life(Struct):
    """From a start to a kill; `time.time` each. What was delivered after ``safe`` may come again."""

    launched: float
    killed: float = float("inf")
    safe: float = float("inf")


class Chapter:
    """``report`` holds what was counted, and ``wrong`` what must not be. With ``max_bytes`` the journal is so small."""

    def __init__(
        self,
        folder,
        targets,
        dice,
        *,
        max_bytes=0,
        overflow="dropOldest",
        rate=120,
        devices=2,
        own=OWN,
        env=None,
    ):
        self._own = own
        folder.mkdir()
        self.folder = folder
        self.targets = targets
        self.dice = dice
        self.trims = bool(max_bytes)
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
        self.report = Counter()
        self.wrong = []
        self.lives = []
        self.may_fail = set()
        self.drained = {}
        self.given_up = Counter()
        self.deleting = []
        self.startup = 2.0
        self.ports = {
            "broker": targets.broker.port,
            **{name: free_port() for name in ("tcp", "tekelek", "dragino")},
            **{name: free_udp_port() for name in ("coap", "coaps", "udp", "dragino-udp", "lobaro-udp")},
        }
        targets.begin(folder.name)
        self.kinds = targets.settings()
        self.gateway = Gateway(
            folder / "gateway",
            resources.text(self.ports, self.kinds, overflow),
            f"[store]\nmax-bytes = {max_bytes}\n" if max_bytes else "",
            env=env,
        )
        self.ports["api"] = self.gateway.port
        self._ledger_file = folder / "ledger"
        self.ledger = Ledger(self._ledger_file)
        self.reader = Reader(self._ledger_file)
        plan = {
            "ports": self.ports, "identity": resources.IDENTITY, "secret": resources.SECRET,
            "rate": rate, "devices": devices, "seed": folder.name,
        }  # fmt: skip
        self.senders = Process(
            [sys.executable, "-m", "tests.campaign.senders", json.dumps(plan), self._ledger_file],
            folder / "senders.log", env={"PYTHONPATH": str(ROOT)}, cwd=ROOT,
        )  # fmt: skip
        self._next = 1
        self.stalls = Stalls()
        self.watch = targets.watch()

    def numbers(self, count):
        """The first of so many numbers that nobody else has."""
        first, self._next = self._next, self._next + count
        return first

    @staticmethod
    def now():
        return time.time()

    def launch(self):
        self.lives.append(Life(time.time()))
        self.gateway.launch()
        self.stalls.of = (self.gateway.pid, *self.targets.pids)

    def kill(self):
        """Kill it, and wait until all that it had sent is noted. It is stopped first, so that its last wait is counted."""
        life = self.lives[-1]
        self.gateway.freeze()
        wait_until(lambda: is_stopped(self.gateway.pid), what="the gateway to stand still")
        life.killed = time.time()
        self.stalls.look()
        self.gateway.kill()
        life.safe = life.killed - self.stalls.window(life.killed, self._own, MOST)
        self.stalls.of = ()
        self.report["rounds"] += 1
        self.watch.barrier()

    def start(self):
        """Start it, and look at its accounts at once."""
        self.launch()
        began = time.monotonic()
        self.gateway.wait_for(self.gateway.ready, 60, "the gateway to be ready")
        self.startup = time.monotonic() - began
        self.reader.read()
        self.wrong += oracle.accounts(self)
        self.report["starts"] += 1

    def run(self, moments, first_starts):
        """So many first starts that are killed, then a round for each of the ``moments``; then everything is judged."""
        for _ in range(first_starts):
            self.launch()
            kills.pause(self.dice.uniform(0.0, 1.2) * self.startup)
            self.kill()
            self.report["first start"] += 1
        self.start()
        self.wrong += oracle.resources(self)
        wait_until(self._is_subscribed, 60, "the subscription")
        self.senders.launch()
        for moment in moments:
            moment(self)
            self.report[moment.__name__.replace("_", " ")] += 1
            self.start()
            self._finish_deleting()
        self.end()

    def _is_subscribed(self):
        return self.gateway.api("GET", "/datasources/mqtt").json["status"]["state"] == "connected"

    def _finish_deleting(self):
        """Whoever had no answer to a DELETE asks again."""
        for path in self.deleting:
            where = path.partition("?")[0]

            def gone(path=path, where=where):
                answer = self.gateway.api("GET", where)
                if answer.status == 200 and answer.json["status"].get("state") != "deleting":
                    self.gateway.api("DELETE", path)
                return answer.status == 404

            wait_until(gone, 60, f"{where} to go")
        self.deleting.clear()

    def end(self):
        """The devices finish, everything is delivered, and the ledger is held against journal and targets."""
        assert self.senders.stop(60) == 0, self.senders.output[-2000:]
        wait_until(self._is_delivered, 60, "everything to be delivered")
        self.watch.barrier(is_dead=False)
        self.reader.read()
        self.wrong += oracle.accounts(self)
        self.wrong += oracle.everything(self)
        # otherwise its session would fill at the broker for ever
        self.gateway.api("DELETE", "/datasources/mqtt?backlog=drop")
        status = self.gateway.stop(60)
        if status not in (0, -signal.SIGTERM):
            self.wrong.append(f"it ended with {status}")
        for path in self.gateway.data.glob("*.db"):
            with sqlite3.connect(path) as database:
                found = database.execute("PRAGMA integrity_check").fetchall()
            database.close()
            if found != [("ok",)]:
                self.wrong.append(f"{path.name}: {found[:3]}")

    def _is_delivered(self):
        left = [f"{self.gateway.api('GET', '/status').json['journal']['waiting']} to convert"]
        for name, _, _ in self.kinds:
            stats = self.gateway.api("GET", f"/integrations/{name}/stats").json
            left.append(f"{stats['waiting'] + stats['inflight']} at {name}")
        return all(each.startswith("0 ") for each in left)

    def close(self):
        for process in (self.gateway, self.senders):
            if process.alive:
                process.kill_all()
        self.watch.close()
        self.stalls.close()
        self.ledger.close()
