"""Three nodes on a primary with a synchronous standby, with devices of all kinds and targets of several. A round is one fault."""

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections import Counter, defaultdict

import psycopg

from tests.peers.gateway import ROOT, Gateway
from tests.peers.patience import descendants
from tests.peers.postgres import Postgres
from tests.peers.process import Process, free_port, free_udp_port, wait_until

from . import oracle, resources
from .cable import Cable
from .ledger import Ledger, Reader
from .sources import SOURCES
from .targets import BATCH, BATCHES, BOARD, PLAIN, QUEUE

NAMES = ("a", "b", "c")
SINGLE = (BATCH, QUEUE, BATCHES)
"""The integrations to which one node delivers the messages of all."""
LEASE = 4.0
"""Seconds."""
STARVED = ("the partition is lost", "can't start: the database doesn't answer")
"""What a node says that ends, as another one has taken it for dead, or as it got no answer."""
DISK = 1 << 30
"""Bytes for each server's files, where the tests may mount a disk."""
SMALL = ("max_wal_size = 64MB", "min_wal_size = 32MB")
LONG = 120
"""Seconds to wait for what a busy machine takes its time for."""


class Databases:
    """A primary with a synchronous standby; they change places."""

    def __init__(self):
        self.disk = DISK if os.geteuid() == 0 else 0
        self.primary = Postgres(*SMALL, disk=self.disk).start()
        self.standby = self._standby()
        self.ports = (self.primary.port, self.standby.port)
        self.name = self.primary.new_database()

    def _standby(self, port=None):
        standby = Postgres(*SMALL, primary=self.primary, port=port, disk=self.disk).start()
        self.primary.wait_for_standbys()
        wait_until(self._is_replicated, LONG, "the standby to be synchronous")
        return standby

    def _is_replicated(self):
        return _done(self._expect_replication)

    def _expect_replication(self):
        with self.primary.connect("postgres") as connection:
            states = connection.execute("SELECT sync_state FROM pg_stat_replication").fetchall()
        if states != [("sync",)]:
            raise psycopg.OperationalError(f"expected a synchronous standby, got {states}")

    def url(self, ports=None):
        """Where a node finds the one that takes writes."""
        first, second = ports or self.ports
        return f"postgresql://iotgw@127.0.0.1:{first},127.0.0.1:{second}/{self.name}?connect_timeout=3"

    def fail_over(self, pause):
        """The primary is killed, and after a while the standby promoted; then a new standby takes its place."""
        lost, promoted = self.primary, self.standby
        _signal(lost.server.pid, signal.SIGKILL)
        lost.server.wait_for_end()
        pause()
        wait_until(lambda: _done(lambda: _without_standbys(promoted)), LONG, "the standby to answer")
        wait_until(lambda: _done(lambda: _promote(promoted)), LONG, "the standby to be promoted")
        self.primary = promoted
        lost.__exit__()
        self.standby = self._standby(lost.port)

    def fill_disk(self, pause):
        """The primary has no room."""
        self.primary.fill_disk()
        try:
            pause()
        finally:
            self.primary.clear_disk()

    def freeze_standby(self, pause):
        """The standby answers nothing, so that no commit ends."""
        pids = [self.standby.server.pid, *descendants(self.standby.server.pid)]
        _signal_all(pids, signal.SIGSTOP)
        try:
            pause()
        finally:
            _signal_all(pids, signal.SIGCONT)

    def asked(self, query, *values):
        found = []

        def ask():
            with self.primary.connect(self.name) as connection:
                found[:] = connection.execute(query, values).fetchall()

        wait_until(lambda: _done(ask), LONG, "the primary to answer")
        return found

    def close(self):
        for each in (self.standby, self.primary):
            each.__exit__()


class Cluster:
    """``report`` holds what was counted, and ``wrong`` what must not be. ``env`` is that of the nodes."""

    def __init__(self, folder, targets, dice, *, rate=60, devices=1, env=None):
        folder.mkdir()
        self.folder, self.targets, self.dice = folder, targets, dice
        self.report, self.wrong = Counter(), []
        self.adopted_after = []
        """Seconds from a node's end to its partition's adoption."""
        self.may_fail, self.drained, self.given_up, self.trims = set(), {}, Counter(), False
        targets.begin(folder.name)
        self.kinds = targets.settings()
        self.watch = targets.watch()
        self.databases = Databases()
        self.cable = Cable(self.databases.ports)
        self.ports = {
            "broker": targets.broker.port,
            **{name: free_port() for name in ("tcp", "tekelek", "dragino")},
            **{name: free_udp_port() for name in ("coap", "coaps", "udp", "dragino-udp", "lobaro-udp")},
        }
        self.nodes = {name: self._node(name, env) for name in NAMES}
        self.ledger = Ledger(folder / "ledger")
        self.reader = Reader(folder / "ledger")
        self.senders = [self._senders(at, name, rate, devices) for at, name in enumerate(NAMES)]

    def _node(self, name, env):
        password = self.databases.primary.password_file(self.folder)
        url = self.databases.url(self.cable.ports if name == "c" else None)
        return Gateway(
            self.folder / name,
            resources.text(self.ports, self.kinds, "dropOldest", when_away="spill", single=SINGLE),
            f'[store]\nurl = "{url}"\npassword-file = "{password}"\nlease = {LEASE}\n',
            env=env, options=["--node", name],
        )  # fmt: skip

    def _senders(self, at, name, rate, devices):
        """The devices of a node. Those of protocols with a port of their own are the first node's, as only one can open that."""
        plan = {
            "ports": {**self.ports, "api": self.nodes[name].port}, "identity": resources.IDENTITY, "secret": resources.SECRET,
            "rate": rate, "devices": devices, "seed": f"{self.folder.name}-{name}", "first": 1 + at * 10_000_000,
            "sources": list(SOURCES) if at == 0 else ["http"],
        }  # fmt: skip
        return Process(
            [sys.executable, "-m", "tests.campaign.senders", json.dumps(plan), self.folder / "ledger"],
            self.folder / f"senders-{name}.log", env={"PYTHONPATH": str(ROOT)}, cwd=ROOT,
        )  # fmt: skip

    @property
    def gateway(self):
        """Any node: what is asked for is shared."""
        return self.nodes["a"]

    # --- nodes

    def start(self, name):
        """One that ends meanwhile as the machine stood still, for longer than the lease or than anybody waits for the database, is started again."""
        node = self.nodes[name]
        while True:
            node.launch()
            wait_until(lambda: not node.alive or node.ready(), LONG, f"node {name} to be ready")
            if node.alive:
                return
            if not any(each in node.output[-4000:] for each in STARVED):
                raise AssertionError(f"node {name} ended with {node.child.returncode}\n{node.output[-4000:]}")
            self.report["starts that were starved"] += 1

    def pause(self, shortest, longest):
        threading.Event().wait(self.dice.uniform(shortest, longest))

    def part(self, name):
        return NAMES.index(name) + 1

    def owner(self, name):
        return self.databases.asked("SELECT owner FROM iotgw.partition WHERE id = %s", self.part(name))[0][0]

    def until_adopted(self, name, since):
        """Wait until another node has the partition of one that ended at ``since`` (monotonic)."""
        wait_until(lambda: self.owner(name) != name, LONG, f"the partition of {name} to be adopted")
        self.adopted_after.append(time.monotonic() - since)

    def come_back(self):
        """All nodes run, each with its own partition."""

        def are_home():
            for name, node in self.nodes.items():
                if not node.alive:
                    self.start(name)
            return all(node.ready() and self.owner(name) == name for name, node in self.nodes.items())

        wait_until(are_home, LONG, "all nodes to have their partitions")

    # --- a chapter

    def run(self, faults):
        """A fault after another, while devices send; then everything is judged."""
        self.start("a")
        for name in NAMES[1:]:
            data = self.nodes[name].data
            data.mkdir(exist_ok=True)
            for file in ("secret.key", "admin-token"):
                shutil.copy(self.nodes["a"].data / file, data / file)
            self.start(name)
        self.wrong += oracle.resources(self)
        wait_until(self._is_subscribed, LONG, "the subscription")
        for each in self.senders:
            each.launch()
        for fault in faults:
            self.pause(0.5, 3.0)
            fault(self)
            self.report[fault.__name__.replace("_", " ")] += 1
            self.report["rounds"] += 1
            self.come_back()
        self.end()

    def _is_subscribed(self):
        states = [
            node.api("GET", "/datasources/mqtt").json["status"]["state"] for node in self.nodes.values()
        ]
        return "connected" in states

    def end(self):
        for each in self.senders:
            assert each.stop(LONG) == 0, each.output[-2000:]
        wait_until(self._is_delivered, LONG, "everything to be delivered")
        self.watch.barrier(is_dead=False)
        self.reader.read()
        self.wrong += self.judged()
        for node in self.nodes.values():
            status = node.stop(60)
            if status not in (0, -signal.SIGTERM):
                self.wrong.append(f"it ended with {status}")

    def _sums(self, name):
        return self.gateway.api("GET", f"/integrations/{name}/stats").json["everywhere"]

    def _is_delivered(self):
        left = "SELECT count(*) FROM iotgw.uplink u WHERE NOT EXISTS (SELECT 1 FROM iotgw.outcome o WHERE o.part = u.part AND o.seq = u.seq)"
        if self.databases.asked(left) != [(0,)]:
            return False
        ((records,),) = self.databases.asked("SELECT count(*) FROM iotgw.telemetry")
        sums = [self._sums(name) for name, _, _ in self.kinds]
        return all(each["waiting"] == 0 and each["queued"] == records for each in sums)

    # --- what must hold

    def judged(self):
        """No acknowledged message is missing, nothing was made twice, the order is kept, and the accounts balance."""
        ask = self.databases.asked
        rows = ask(
            "SELECT u.part, u.seq, convert_from(n.text, 'UTF8'), u.payload, o.state FROM iotgw.uplink u JOIN iotgw.name n ON n.part = u.part AND n.id = u.datasource "
            "LEFT JOIN iotgw.outcome o ON o.part = u.part AND o.seq = u.seq ORDER BY u.part, u.seq"
        )
        stored = [self._stored(*row) for row in rows]
        arrived = self.watch.arrivals()
        self.report["acknowledged"] += len(self.reader.acknowledged)
        self.report["stored"] += len(stored)
        yield from oracle._stored(self, stored)
        yield from oracle._delivered(self, stored, arrived)
        twice = ask(
            "SELECT part, uplink, count(*) FROM iotgw.telemetry WHERE uplink <> 0 GROUP BY part, uplink HAVING count(*) > 1"
        )
        if twice:
            self.report["made twice"] += len(twice)
            yield f"telemetry was made twice of {oracle.some(twice)}"
        yield from self._named_alike(arrived.get(PLAIN, []))
        for name, _, _ in self.kinds:
            if name != BOARD:
                yield from self._ordered(stored, name, arrived.get(name, []))
            sums = self._sums(name)
            if sums["queued"] != sums["delivered"] or sums["partitions"] != len(NAMES):
                yield f"{name}: the accounts don't balance: {sums}"

    def _named_alike(self, arrivals):
        """No two messages have one key: a target that knows it would take the second for the first."""
        payloads = defaultdict(set)
        for each in arrivals:
            payloads[each.key].add(each.payload)
        alike = {key: sorted(some) for key, some in payloads.items() if len(some) > 1}
        if alike:
            self.report["named alike"] += len(alike)
            rows = self.databases.asked(
                "SELECT part, name, uplink, telemetry FROM iotgw.epoch ORDER BY part, uplink"
            )
            yield f"different messages have one key: {oracle.some(alike.items())}; the epochs are {rows}"

    def _stored(self, part, seq, datasource, payload, state):
        states = {1: "converted", 2: "filtered", 3: "failed"}
        name = self._names().get(datasource, datasource)
        return oracle.Stored(part << 40 | seq, name, payload.strip().hex(), states.get(state, "received"))

    def _names(self):
        if not hasattr(self, "_known"):
            items = self.gateway.api("GET", "/datasources").json["items"]
            self._known = {item["id"]: item["name"] for item in items}
        return self._known

    def _ordered(self, stored, name, arrivals):
        """First arrivals are in order for each device, of what is in one partition."""
        places = defaultdict(list)
        for each in stored:
            places[each.payload].append(each.position)
        last, seen = {}, set()
        for each in arrivals:
            message = self.reader.messages.get(each.payload)
            if message is None or each.payload in seen or len(places[each.payload]) != 1:
                continue
            seen.add(each.payload)
            (position,) = places[each.payload]
            device = (message.source, message.device, position >> 40)
            if position < last.get(device, position):
                self.report["out of order"] += 1
                yield f"{name}: {position} of {device} came after {last[device]}"
            last[device] = max(position, last.get(device, position))

    def close(self):
        for process in (*self.nodes.values(), *self.senders):
            if process.alive:
                process.kill_all()
        self.cable.close()
        self.watch.close()
        self.ledger.close()
        self.databases.close()


def _done(work):
    """Whether it can be done now: a server has a lot to do on a busy machine."""
    try:
        work()
    except psycopg.OperationalError:
        return False
    return True


def _promote(server):
    """An attempt whose answer was lost may have done it."""
    with server.connect("postgres") as connection:
        if connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,):
            connection.execute("SELECT pg_promote()")


def _without_standbys(server):
    with server.connect("postgres") as connection:
        connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
        connection.execute("SELECT pg_reload_conf()")


def _signal(pid, number):
    _signal_all([pid], number)


def _signal_all(pids, number):
    for pid in pids:
        os.kill(pid, number)
