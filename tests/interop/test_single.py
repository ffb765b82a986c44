"""An integration of which one node delivers the messages of all: whatever becomes of that node, another one goes on."""

import json
import shutil
import signal

import pytest

from tests.campaign.cable import Cable
from tests.interop.one_database import OneDatabase
from tests.interop.test_postgres import Posting, body, more
from tests.peers.gateway import Gateway
from tests.peers.http_sink import HttpSink
from tests.peers.postgres import Postgres
from tests.peers.process import wait_until
from tests.peers.sshd import Sshd

pytestmark = [pytest.mark.interop, pytest.mark.long]
LEASE = 6
"""Seconds."""


class Nodes(OneDatabase):
    """Three nodes on one database, of which each reaches it over a cable of its own. The integrations ``out`` and ``files`` are single."""

    def __init__(self, postgres, folder):
        self.postgres, self.folder = postgres, folder
        self.database = postgres.new_database()
        self.sink = HttpSink(folder / "sink")
        self.sshd = Sshd(folder / "sshd")
        self.cables = {name: Cable((postgres.port,), "127.0.0.1") for name in "abc"}
        self.nodes = {name: self.node(name) for name in "abc"}

    def node(self, name):
        url = self.postgres.dsn(self.database).replace(
            f":{self.postgres.port}", f":{self.cables[name].ports[0]}"
        )
        file = self.postgres.password_file(self.folder)
        settings = f'[store]\nurl = "{url}"\npassword-file = "{file}"\nlease = {LEASE}\n'
        return Gateway(self.folder / name, settings=settings, options=["--node", name])

    def __enter__(self):
        self.sink.__enter__()
        self.sshd.__enter__()
        first, *others = self.nodes.values()
        first.start()
        first.create("datasources", name="http", type="http", routingKey="key", converter="json")
        first.create(
            "integrations", name="out", type="http", single=True, configuration={"url": self.sink.url}
        )
        first.create("integrations", name="files", type="sftp", single=True, configuration={
            "host": "127.0.0.1", "port": self.sshd.port, "username": "root", "hostKeys": [self.sshd.host_public_key],
            "privateKey": self.sshd.user_key.read_text(), "files": "batch", "content": "ndjson", "append": True,
            "path": f"{self.sshd.root}/{{{{date}}}}.jsonl",
        })  # fmt: skip
        for node in others:
            node.data.mkdir(exist_ok=True)
            for file in ("secret.key", "admin-token"):
                shutil.copy(first.data / file, node.data / file)
            node.start()
            wait_until(lambda node=node: node.post("key", body("http")(-1)).status == 204)
        return self

    def __exit__(self, *exc):
        for node in self.nodes.values():
            if node.alive:
                node.kill()
        self.sshd.__exit__(*exc)
        self.sink.__exit__(*exc)
        for cable in self.cables.values():
            cable.close()

    def holder(self, name="out"):
        """The node that delivers; None for nobody."""
        query = f"""SELECT l.node FROM iotgw.lease l JOIN iotgw.resource r ON l.what = 'integration/' || r.id
        WHERE r.name = '{name}' AND l.alive_at > now() - interval '{LEASE} s'"""
        found = self.asked(query)
        return found[0][0] if found else None

    def has_adopted(self, lost):
        """Whether another node works on the partition of one."""
        other = next(node for name, node in self.nodes.items() if name != lost)
        (found,) = [each for each in other.api("GET", "/nodes").json["items"] if each["name"] == lost]
        return found["heldBy"] not in ("", lost)

    def files(self):
        return sorted(file.name for file in self.sshd.root.iterdir())

    def filed(self):
        found = {}
        for file in self.sshd.root.iterdir():
            for line in file.read_text().splitlines():
                try:
                    document = json.loads(line)
                except (
                    ValueError
                ):  # of a node that was stopped while it wrote: another one has written all of it
                    continue
                for entry in document["telemetry"]:
                    found.setdefault(document["deviceName"], set()).add(entry["values"]["n"])
        return found

    def wait_for_all(self):
        wait_until(lambda: self.arrived() == self.stored(), 120, what="all to arrive at the one target")
        wait_until(lambda: self.filed() == self.stored(), 120, what="all to be filed")

    def stats(self, node):
        return self.nodes[node].api("GET", "/integrations/out/stats").json

    def wait_for_balance(self, node):
        def balances():
            sums, count = self.stats(node)["everywhere"], sum(len(each) for each in self.stored().values())
            return sums["queued"] == sums["delivered"] and sums["partitions"] == 3 and sums["queued"] >= count

        wait_until(balances, 60, what="the accounts of all partitions to balance")


@pytest.fixture(scope="module")
def server():
    with Postgres() as postgres:
        yield postgres


def test_the_node_that_delivers_for_all_is_killed_and_another_one_goes_on(server, tmp_path):
    with Nodes(server, tmp_path) as nodes:
        with (
            Posting(nodes.nodes["a"]) as a,
            Posting(nodes.nodes["b"], "b") as b,
            Posting(nodes.nodes["c"], "c") as c,
        ):
            more(a, b, c)
            wait_until(lambda: nodes.arrived().keys() >= {"http", "b", "c"}, 60, what="messages of all nodes")
            first = nodes.holder()
            others = [name for name in "abc" if name != first]
            assert [nodes.stats(name)["state"] for name in others] == ["elsewhere", "elsewhere"]
            assert {nodes.stats(name)["runsOn"] for name in "abc"} == {first}
            nodes.nodes[first].kill()
            wait_until(lambda: nodes.holder() in others, 60, what="another node to take over")
            more(*(each for each, name in ((a, "a"), (b, "b"), (c, "c")) if name != first))
        nodes.wait_for_all()
        nodes.wait_for_balance(nodes.holder())
        nodes.nodes[first].start()
        with Posting(nodes.nodes[first], "again") as again:
            more(again)
        nodes.wait_for_all()
        assert len(nodes.files()) <= 2, "one file a day, whoever writes it"


def test_a_node_that_stands_still_or_is_cut_off_delivers_for_nobody_meanwhile(server, tmp_path):
    with Nodes(server, tmp_path) as nodes:
        with (
            Posting(nodes.nodes["a"]) as a,
            Posting(nodes.nodes["b"], "b") as b,
            Posting(nodes.nodes["c"], "c") as c,
        ):
            all_three = {"a": a, "b": b, "c": c}
            more(*all_three.values())
            first = nodes.holder()
            nodes.nodes[first].child.send_signal(signal.SIGSTOP)
            wait_until(lambda: nodes.holder() not in (None, first), 60, what="another node to take over")
            wait_until(lambda: nodes.has_adopted(first), 60, what="another node to adopt its partition")
            more(*(each for name, each in all_three.items() if name != first))
            moved = "SELECT part, cursor, loan FROM iotgw.integration WHERE loan <> 0"
            loans = {loan for *_, loan in nodes.asked(moved)}
            nodes.nodes[first].child.send_signal(signal.SIGCONT)
            wait_until(
                lambda: not nodes.nodes[first].alive, 60, what="the node that lost its partition to end"
            )
            nodes.nodes[first].start()
            assert loans
        nodes.wait_for_all()
        second = nodes.holder()
        with Posting(nodes.nodes[next(name for name in "abc" if name != second)], "cut") as posting:
            nodes.cables[second].is_cut = True
            wait_until(lambda: nodes.holder() not in (None, second), 60, what="another node to take over")
            more(posting)
            nodes.cables[second].is_cut = False
        nodes.wait_for_all()
