"""A gateway whose data is in PostgreSQL: what was acknowledged is there, and arrives, whoever is killed."""

import itertools
import json
import signal
import threading

import pytest

from tests.peers.coap import Device
from tests.peers.gateway import Gateway
from tests.peers.http_sink import HttpSink
from tests.peers.postgres import Postgres
from tests.peers.process import free_udp_port, wait_until

pytestmark = pytest.mark.interop
CONVERTER = "json"


class Node:
    """A gateway on a database, with a device over HTTP and one over CoAP, and a target."""

    def __init__(self, postgres, folder, standby=None):
        self.postgres, self.folder, self.standby = postgres, folder, standby
        self.database = postgres.new_database()
        self.sink = HttpSink(folder / "sink")
        self.coap_port = free_udp_port()
        self.gateway = Gateway(folder / "gateway", settings=self.settings())

    def settings(self):
        file = self.postgres.password_file(self.folder)
        url = self.postgres.dsn(self.database)
        if self.standby is not None:
            url = url.replace(
                f":{self.postgres.port}/", f":{self.postgres.port},127.0.0.1:{self.standby.port}/"
            )
        return f'[store]\nurl = "{url}"\npassword-file = "{file}"\n'

    def configure(self):
        gateway = self.gateway
        gateway.create("datasources", name="http", type="http", routingKey="key", converter=CONVERTER)
        gateway.create("datasources", name="coap", type="coap", routingKey="dev",
                       configuration={"port": self.coap_port}, converter=CONVERTER)  # fmt: skip
        gateway.create("integrations", name="out", type="http", configuration={"url": self.sink.url})

    def stored(self):
        """The numbers in the journal, by device."""
        found = {"http": set(), "coap": set()}
        server = self.postgres if self.postgres.server.alive else self.standby
        with server.connect(self.database) as connection:
            for (payload,) in connection.execute("SELECT payload FROM iotgw.uplink"):
                document = json.loads(payload)
                found[document["deviceName"]].add(document["n"])
        return found

    def delivered(self):
        """The numbers that have arrived at the target, by device."""
        found = {"http": [], "coap": []}
        for document in self.sink.documents:
            for entry in document["telemetry"]:
                found[document["deviceName"]].append(entry["values"]["n"])
        return found


def body(device):
    return lambda n: json.dumps({"deviceName": device, "n": n}).encode()


class Posting:
    """Posts numbered messages over HTTP until it is told to stop, and knows which were acknowledged."""

    def __init__(self, gateway, device="http"):
        self.gateway, self.answered = gateway, set()
        self._body = body(device)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._over.set()
        self._thread.join()

    def _run(self):
        for n in itertools.count():
            if self._over.is_set():
                return
            try:
                if self.gateway.post("key", self._body(n)).status == 204:
                    self.answered.add(n)
            except OSError:
                self._over.wait(0.05)


def more(*senders):
    """Wait until each has some more messages acknowledged."""
    seen = [len(sender.answered) for sender in senders]
    wait_until(
        lambda: all(len(sender.answered) > some + 10 for sender, some in zip(senders, seen, strict=True)),
        what="more to be acknowledged",
    )


def test_nothing_acknowledged_is_lost_by_kills_of_the_gateway_and_a_crash_of_the_server(tmp_path):
    with Postgres() as postgres:
        kill_and_crash(Node(postgres, tmp_path), postgres)


def kill_and_crash(node, postgres):
    with node.sink, node.gateway.start():
        node.configure()
        device = Device(node.coap_port, "i/dev", body("coap"), window=8)
        device.start()
        with Posting(node.gateway) as posting:
            more(posting, device)
            node.gateway.kill()
            node.gateway.start()
            more(posting, device)
            postgres.stop(signal.SIGQUIT)
            postgres.start()
            more(posting)  # this device repeats no message that was refused
            node.gateway.kill()
            node.gateway.start()
            more(posting, device)
        device.stop()
        stored = node.stored()
        assert posting.answered - stored["http"] == set()
        assert device.answered - stored["coap"] == set()
        wait_until(
            lambda: set(node.delivered()["coap"]) == node.stored()["coap"], what="all of CoAP's to arrive"
        )
        wait_until(
            lambda: set(node.delivered()["http"]) == node.stored()["http"], what="all of HTTP's to arrive"
        )
        assert node.gateway.stop() in (0, -signal.SIGTERM)


def test_nothing_acknowledged_is_lost_when_the_primary_dies_and_its_standby_takes_over(tmp_path):
    with Postgres() as primary, Postgres(primary=primary) as standby:
        primary.wait_for_standbys()
        node = Node(primary, tmp_path, standby)
        with node.sink, node.gateway.start():
            node.configure()
            with Posting(node.gateway) as posting:
                more(posting)
                primary.stop(signal.SIGQUIT)
                standby.promote()
                more(posting)
            stored = node.stored()
            assert posting.answered - stored["http"] == set()
            wait_until(lambda: set(node.delivered()["http"]) == node.stored()["http"], what="all to arrive")
            assert node.gateway.stop() in (0, -signal.SIGTERM)
