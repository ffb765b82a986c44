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
LEASE = 3
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
            wait_until(lambda: cluster.owner(1) == "b", what="the dead node's partition to be adopted")
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
        wait_until(lambda: cluster.owner(1) == "a", what="the partition to be handed back")
        with Posting(a, "third") as again:
            more(again)
        wait_until(lambda: cluster.arrived() == cluster.stored(), what="all to arrive")
        for node in (a, b):
            assert node.stop() in (0, -signal.SIGTERM)
