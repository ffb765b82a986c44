"""Several gateways on one database: what a node was told is stored and arrives, also when that node is killed."""

import contextlib
import http.client
import json
import shutil
import signal
import socket
import threading
from itertools import pairwise

import pytest

from tests.campaign.cable import Cable
from tests.interop.one_database import OneDatabase
from tests.interop.test_postgres import Posting, body, more
from tests.peers.coap import Device
from tests.peers.gateway import Gateway
from tests.peers.http_sink import HttpSink
from tests.peers.network import Network
from tests.peers.postgres import Postgres
from tests.peers.process import free_udp_port, wait_until

pytestmark = [pytest.mark.interop, pytest.mark.long]
LEASE = 8
"""Seconds. A node that gets no turn on a busy machine for so long is taken for dead."""
CONVERTER = "json"


class Cluster(OneDatabase):
    """Nodes on one database. ``a`` has the port of the CoAP devices; messages over HTTP may go to each. With a ``network``, ``b`` lives in it,
    and reaches the database over its cable that can be cut, and no target."""

    def __init__(self, postgres, folder, network=None):
        self.postgres, self.folder = postgres, folder
        self.database = postgres.new_database()
        self.sink = HttpSink(folder / "sink")
        self.coap_port = free_udp_port()
        self.network = network
        self.cable = Cable((postgres.port,), network.far) if network is not None else None
        self.nodes = {name: self.node(name) for name in "ab"}

    def node(self, name):
        file = self.postgres.password_file(self.folder)
        url, network = self.postgres.dsn(self.database), None
        if self.cable is not None and name == "b":
            network = self.network
            url = url.replace(f"127.0.0.1:{self.postgres.port}", f"{network.far}:{self.cable.ports[0]}")
        settings = f'[store]\nurl = "{url}"\npassword-file = "{file}"\nlease = {LEASE}\n'
        return Gateway(self.folder / name, settings=settings, options=["--node", name], network=network)

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
        if self.cable is not None:
            self.cable.close()

    def owner(self, part):
        return self.asked(f"SELECT owner FROM iotgw.partition WHERE id = {part}")[0][0]


class Stream:
    """Reads `GET /stream` of a node."""

    def __init__(self, node):
        self._connection = http.client.HTTPConnection("127.0.0.1", node.port)
        self._connection.request(
            "GET", "/api/v1/stream?topics=messages,events", headers={"Authorization": f"Bearer {node.token}"}
        )
        self._answer = self._connection.getresponse()
        self._lines = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError, AttributeError):
            while line := self._answer.readline():
                self._lines.append(line.decode())

    def of(self, kind):
        """What has come of one kind."""
        pairs = pairwise(list(self._lines))
        return [
            json.loads(line.removeprefix("data: "))
            for before, line in pairs
            if before.strip() == f"event: {kind}"
        ]

    def close(self):
        self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._connection.close()


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


def test_a_node_whose_network_is_gone_is_taken_for_dead_and_ends_when_it_is_back(server, tmp_path):
    with Network() as network, Cluster(server, tmp_path, network) as cluster:
        a, b = cluster.nodes.values()
        with Posting(b, "far") as to_b:
            more(to_b)
            network.cut()
            wait_until(lambda: cluster.owner(2) == "a", 60, what="its partition to be adopted")
        stored = cluster.asked("SELECT max(seq) FROM iotgw.uplink WHERE part = 2")
        assert to_b.answered - cluster.stored()["far"] == set()
        wait_until(lambda: cluster.arrived() == cluster.stored(), what="all to arrive over the other one")
        assert a.post("key", body("http")(1)).status == 204
        network.heal()
        wait_until(lambda: not b.alive, 60, what="the node that lost its partition to end")
        assert cluster.asked("SELECT max(seq) FROM iotgw.uplink WHERE part = 2") == stored
        assert to_b.answered - cluster.stored()["far"] == set()
        wait_until(lambda: cluster.arrived() == cluster.stored(), what="all to arrive")


FAILING = "function Decoder(request) { throw new Error('no field ' + request.payload.length); }"


def test_whichever_node_is_asked_shows_the_messages_of_all(server, tmp_path):
    with Cluster(server, tmp_path) as cluster:
        a, b = cluster.nodes.values()
        a.create("converters", name="fails", type="UPLINK", script=FAILING)
        a.create("datasources", name="failing", type="http", routingKey="failing", converter="fails")
        wait_until(lambda: b.post("failing", b"{}").status == 204)
        assert a.post("failing", b"{}").status == 204
        for n in range(5):
            for node, name in ((a, "one"), (b, "two")):
                assert node.post("key", body(name)(n)).status == 204
        wait_until(lambda: cluster.arrived().keys() >= {"one", "two"}, what="messages of both at the target")

        def listed(node, query=""):
            return node.api("GET", f"/messages?limit=100{query}").json["items"]

        def ended(node):
            return all(
                each["state"] != "received"
                and {sent["state"] for sent in each["deliveries"]} <= {"delivered"}
                for each in listed(node)
            )

        for node in (a, b):
            wait_until(lambda node=node: ended(node), what="all to be delivered, and both to know it")
        assert listed(a) == listed(b)
        ids = {each["id"] for each in listed(a)}
        paged, query = [], ""
        for node in (a, b) * len(ids):  # as a load balancer sends whoever leafs through it
            page = node.api("GET", f"/messages?limit=2{query}").json
            paged += [each["id"] for each in page["items"]]
            if page["next"] is None:
                break
            query = f"&before={page['next']}"
        assert sorted(paged) == sorted(ids)
        of_b = listed(a, "&device=two")[0]
        assert of_b["deliveries"][0]["state"] == "delivered"
        assert a.api("GET", f"/messages/{of_b['id']}").json == b.api("GET", f"/messages/{of_b['id']}").json
        assert "'b'" in a.api("POST", f"/messages/{of_b['id']}/reprocess").json["detail"]
        both = [each["id"] for each in listed(a, "&datasource=failing")]
        again = [node.api("POST", "/messages/reprocess", {"ids": both}).json["elsewhere"] for node in (a, b)]
        assert sum(again) == len(both)
        (group,) = a.api("GET", "/failures?kind=conversion").json["items"]
        assert (group["count"], group["where"]) == (len(both), "fails")
        mended = "function Decoder(request) { return []; }"
        assert (
            a.api("PUT", "/converters/fails", {"name": "fails", "type": "UPLINK", "script": mended}).status
            == 200
        )
        wait_until(lambda: b.api("GET", "/converters/fails").json["script"] == mended)
        job = a.api("POST", "/jobs", {"reprocess": {"datasource": "failing"}}).json["id"]
        for node in (b, a):
            wait_until(lambda n=node: n.api("GET", f"/jobs/{job}").json["state"] == "done", what="both parts")
            assert sum(node.api("GET", f"/jobs/{job}").json["counts"].values()) == len(both)
        assert [each["state"] for each in listed(b, "&datasource=failing")] == ["filtered"] * len(both)
        seen = a.api("GET", "/devices/two/telemetry").json["readings"]["n"]
        assert sorted(each["value"] for each in seen)[-5:] == [0, 1, 2, 3, 4]


def test_a_stream_of_one_node_has_what_happens_on_the_other(server, tmp_path):
    with Cluster(server, tmp_path) as cluster, contextlib.closing(Stream(cluster.nodes["a"])) as stream:
        b = cluster.nodes["b"]

        def seen():
            b.post("key", body("far")(1))
            return [each for each in stream.of("message") if "far" in each["devices"]]

        wait_until(seen, what="a message of the other node")
        message = seen()[-1]
        assert b.api("GET", f"/messages/{message['id']}").json["datasource"] == message["datasource"]


def test_a_tenant_that_is_erased_on_one_node_is_forgotten_by_all(server, tmp_path):
    left = """SELECT count(*) FROM iotgw.uplink u JOIN iotgw.name n ON n.part = u.part AND n.id = u.tenant WHERE n.text = 'north'"""
    with Cluster(server, tmp_path) as cluster:
        a, b = cluster.nodes.values()
        token = a.api("POST", "/tokens", {"name": "north", "tenant": "north", "role": "admin"}).json["token"]
        mine = {"Authorization": f"Bearer {token}"}
        wanted = {"name": "far", "type": "http", "routingKey": "north", "converter": CONVERTER}
        assert a.api("POST", "/datasources", wanted, headers=mine).status == 201
        wait_until(lambda: b.post("north", body("far")(1)).status == 204)
        assert a.post("north", body("near")(1)).status == 204
        assert cluster.asked(left) != [(0,)]
        assert a.api("POST", "/tenants/north/erase", {"confirm": "north"}).status == 201
        wait_until(lambda: cluster.asked("SELECT count(*) FROM iotgw.erasure WHERE done") == [(2,)], 60)
        assert cluster.asked(left) == [(0,)]
        assert cluster.asked("SELECT count(*) FROM iotgw.uplink") != [(0,)], "those of others stay"


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
        assert a.api("POST", "/debug", {"name": "http", "kind": "datasource"}).status == 201
        wait_until(lambda: b.api("GET", "/debug").json["items"], what="the other node to debug it")
        assert b.post("key", body("http")(1)).status == 204
        kept = wait_until(lambda: b.messages(datasource="http", limit=1, state="converted"))[0]["id"]
        for node in (a, b):
            assert wait_until(lambda n=node: n.api("GET", f"/messages/{kept}/debug").json["items"])
        assert a.api("POST", "/nodes/b/drain").status == 200
        wait_until(lambda: not b.ready())
        assert b.post("key", body("http")(1)).status == 503
        wait_until(lambda: a.api("GET", "/nodes/b").json["state"] == "drained")
        assert a.api("POST", "/nodes/b/resume").status == 200
        wait_until(b.ready)
        assert b.api("DELETE", "/datasources/http").status in (200, 202)
        wait_until(lambda: a.post("key", body("http")(2)).status == 404)
        wait_until(lambda: a.api("GET", "/datasources/http").status == 404)


def test_what_an_integration_is_told_on_one_node_holds_on_all(server, tmp_path):
    with Cluster(server, tmp_path) as cluster:
        a, b = cluster.nodes.values()

        def at_b():
            return b.api("GET", "/integrations/out/stats").json

        assert "partitionsLeft" in a.api("POST", "/integrations/out/pause").json
        wait_until(lambda: at_b()["state"] == "paused", what="the other node to pause it")
        assert b.post("key", body("held")(1)).status == 204
        wait_until(lambda: at_b()["waiting"], what="a message to wait")
        assert "held" not in cluster.arrived()
        assert b.api("POST", "/integrations/out/resume").status == 200
        wait_until(lambda: "held" in cluster.arrived(), what="what waited")
        wait_until(lambda: a.api("GET", "/integrations/out/stats").json["state"] != "paused")

        cluster.sink.always({"status": 503})
        assert b.post("key", body("purged")(1)).status == 204
        wait_until(lambda: at_b()["waiting"], what="a message to wait")
        assert a.api("POST", "/integrations/out/purge").status == 200
        wait_until(lambda: at_b()["waiting"] == 0, what="the other node to drop it")
        cluster.sink.always(None)
        assert b.post("key", body("last")(1)).status == 204
        assert a.api("POST", "/integrations/out/drain").status == 200
        wait_until(lambda: "last" in cluster.arrived(), what="the next one")
        assert "purged" not in cluster.arrived()
