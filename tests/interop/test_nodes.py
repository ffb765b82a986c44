"""Several gateways on one database: what a node was told is stored and arrives, also when that node is killed."""

import json
import shutil
import signal

import pytest

from tests.interop.test_postgres import Posting, body, more
from tests.peers.coap import Device
from tests.peers.gateway import Gateway
from tests.peers.http_sink import HttpSink
from tests.peers.postgres import Postgres
from tests.peers.process import free_udp_port, wait_until

pytestmark = pytest.mark.interop
LEASE = 8
"""Seconds. A node that gets no turn on a busy machine for so long is taken for dead."""
CONVERTER = "json"


class Cluster:
    """Nodes on one database. ``a`` has the port of the CoAP devices; messages over HTTP may go to each."""

    def __init__(self, postgres, folder):
        self.postgres, self.folder = postgres, folder
        self.database = postgres.new_database()
        self.sink = HttpSink(folder / "sink")
        self.coap_port = free_udp_port()
        self.nodes = {name: self.node(name) for name in "ab"}

    def node(self, name):
        file = self.postgres.password_file(self.folder)
        url = self.postgres.dsn(self.database)
        settings = f'[store]\nurl = "{url}"\npassword-file = "{file}"\nlease = {LEASE}\n'
        return Gateway(self.folder / name, settings=settings, options=["--node", name])

    def __enter__(self):
        self.sink.__enter__()
        a, b = self.nodes.values()
        a.start()
        a.create("datasources", name="http", type="http", routingKey="key", converter=CONVERTER)
        a.create("datasources", name="coap", type="coap", routingKey="dev",
                 configuration={"port": self.coap_port}, converter=CONVERTER)  # fmt: skip
        a.create("integrations", name="out", type="http", configuration={"url": self.sink.url})
        b.data.mkdir(exist_ok=True)
        for file in ("secret.key", "admin-token"):
            shutil.copy(a.data / file, b.data / file)
        b.start()
        wait_until(lambda: b.post("key", body("http")(-1)).status == 204)
        return self

    def __exit__(self, *exc):
        for node in self.nodes.values():
            if node.alive:
                node.kill()
        self.sink.__exit__(*exc)

    def asked(self, query):
        with self.postgres.connect(self.database) as connection:
            return connection.execute(query).fetchall()

    def owner(self, part):
        return self.asked(f"SELECT owner FROM iotgw.partition WHERE id = {part}")[0][0]

    def stored(self):
        """The numbers in the journal, by device."""
        found = {}
        for (payload,) in self.asked("SELECT payload FROM iotgw.uplink"):
            document = json.loads(payload)
            found.setdefault(document["deviceName"], set()).add(document["n"])
        return found

    def delivered(self):
        """The numbers that have arrived at the target, by device."""
        found = {}
        for document in self.sink.documents:
            for entry in document["telemetry"]:
                found.setdefault(document["deviceName"], []).append(entry["values"]["n"])
        return found

    def arrived(self):
        return {device: set(numbers) for device, numbers in self.delivered().items()}


@pytest.fixture(scope="module")
def server():
    with Postgres() as postgres:
        yield postgres


def test_a_killed_nodes_messages_arrive_by_another_one_and_it_takes_its_partition_back(server, tmp_path):
    with Cluster(server, tmp_path) as cluster:
        a, b = cluster.nodes.values()
        device = Device(cluster.coap_port, "i/dev", body("coap"), window=8)
        device.start()
        with Posting(a) as to_a, Posting(b, "other") as to_b:
            more(to_a, to_b, device)
            cluster.sink.always({"status": 503})
            more(to_a, device)
            a.kill()
            wait_until(lambda: cluster.owner(1) == "b", 60, what="the dead node's partition to be adopted")
            more(to_b)
        device.stop()
        stored = cluster.stored()
        assert cluster.arrived() != stored
        cluster.sink.always(None)
        assert to_a.answered - stored["http"] == set()
        assert to_b.answered - stored["other"] == set()
        assert device.answered - stored["coap"] == set()
        wait_until(lambda: cluster.arrived() == cluster.stored(), what="all to arrive")
        a.start()
        wait_until(lambda: cluster.owner(1) == "a", 60, what="the partition to be handed back")
        with Posting(a, "third") as again:
            more(again)
        wait_until(lambda: cluster.arrived() == cluster.stored(), what="all to arrive")
        all_of_them = sum(len(each) for each in cluster.stored().values())

        def sums():
            return b.api("GET", "/integrations/out/stats").json["everywhere"]

        wait_until(
            lambda: sums()["queued"] == sums()["delivered"] == all_of_them, what="the sums of both partitions"
        )
        assert sums()["partitions"] == 2
        for node in (a, b):
            assert node.stop() in (0, -signal.SIGTERM)


def test_a_node_that_stands_still_beyond_its_lease_writes_nothing_more_and_ends(server, tmp_path):
    with Cluster(server, tmp_path) as cluster:
        a, b = cluster.nodes.values()
        with Posting(a) as to_a, Posting(b, "other") as to_b:
            more(to_a, to_b)
            a.child.send_signal(signal.SIGSTOP)
            wait_until(
                lambda: cluster.owner(1) == "b", 60, what="the standing node's partition to be adopted"
            )
            stored = cluster.asked("SELECT max(seq) FROM iotgw.uplink WHERE part = 1")
            more(to_b)
            a.child.send_signal(signal.SIGCONT)
            wait_until(lambda: not a.alive, what="the node that lost its partition to end")
        assert cluster.asked("SELECT max(seq) FROM iotgw.uplink WHERE part = 1") == stored
        assert to_a.answered - cluster.stored()["http"] == set()
        twice = "SELECT count(*) - count(DISTINCT (part, uplink)) FROM iotgw.telemetry WHERE uplink <> 0"
        wait_until(lambda: cluster.arrived() == cluster.stored(), what="all to arrive")
        assert cluster.asked(twice) == [(0,)]


def test_what_is_saved_on_one_node_counts_on_the_other_one(server, tmp_path):
    with Cluster(server, tmp_path) as cluster:
        a, b = cluster.nodes.values()
        wait_until(lambda: a.api("GET", "/devices/http").status == 200)
        for device, text in (("one", "first"), ("two", "second")):
            assert a.api("PUT", f"/devices/{device}", {"label": text}).status in (200, 201)
            wait_until(lambda d=device, t=text: b.api("GET", f"/devices/{d}").json.get("label") == t)
        assert b.api("PUT", "/devices/one", {"label": "changed"}).status == 200
        wait_until(lambda: a.api("GET", "/devices/one").json["label"] == "changed")
        assert {each["name"]: each["state"] for each in a.api("GET", "/nodes").json["items"]} == {
            "a": "up",
            "b": "up",
        }
        assert a.api("POST", "/nodes/b/drain").status == 200
        wait_until(lambda: not b.ready())
        assert b.post("key", body("http")(1)).status == 503
        wait_until(lambda: a.api("GET", "/nodes/b").json["state"] == "drained")
        assert a.api("POST", "/nodes/b/resume").status == 200
        wait_until(b.ready)
        assert b.api("DELETE", "/datasources/http").status in (200, 202)
        wait_until(lambda: a.post("key", body("http")(2)).status == 404)
        wait_until(lambda: a.api("GET", "/datasources/http").status == 404)
