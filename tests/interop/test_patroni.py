"""Patroni and etcd fail a replicated database over by themselves, set up as the page about nodes says: nothing acknowledged is missing."""

import contextlib
import json
import os
import shutil
import signal
import tempfile
import urllib.request
from pathlib import Path

import psycopg
import pytest

from tests.interop.test_postgres import Posting, body, more
from tests.peers.gateway import ROOT, Gateway
from tests.peers.http_sink import HttpSink
from tests.peers.patience import descendants
from tests.peers.postgres import NOBODY, PASSWORD, programs
from tests.peers.process import Process, accepts, find, free_port, wait_until
from tests.peers.reverse_proxies import example

pytestmark = pytest.mark.soak
SUPER = "a password of your own"
LONG = 180
"""Seconds in which a server is made, or takes over."""


class Server(Process):
    """A server that Patroni looks after."""

    def __init__(self, folder, name, etcd, whose):
        self.port, self.api, self.data = free_port(), free_port(), folder / name
        text = example("/etc/patroni/config.yml", ROOT / "docs" / "nodes.md")
        text = text.replace("name: db1", f"name: {name}").replace(
            '["192.0.2.31:2379", "192.0.2.32:2379", "192.0.2.33:2379"]', f'["127.0.0.1:{etcd}"]'
        )
        text = text.replace("192.0.2.21:8008", f"127.0.0.1:{self.api}").replace("192.0.2.21:5432", f"127.0.0.1:{self.port}")  # fmt: skip
        text = text.replace("192.0.2.0/24", "127.0.0.1/32").replace(
            "/usr/lib/postgresql/15/bin", str(programs())
        )
        text = text.replace("/var/lib/postgresql/15/iotgw", str(self.data))
        text += f'  parameters: {{unix_socket_directories: "{folder}"}}\n  pgpass: {folder}/{name}.pgpass\n'
        file = folder / f"{name}.yml"
        file.write_text(text)
        file.chmod(0o644)
        super().__init__([*whose, find("patroni"), file], folder / f"{name}.log", cwd=folder)

    def state(self):
        with contextlib.suppress(OSError, ValueError):
            return json.load(urllib.request.urlopen(f"http://127.0.0.1:{self.api}/patroni", timeout=5))
        return {}

    def is_primary(self):
        state = self.state()
        return state.get("role") in ("master", "primary") and state.get("state") == "running"

    def lose(self):
        """The machine is lost. PostgreSQL is no child of Patroni."""
        if self.alive:
            self.kill_all()
        with contextlib.suppress(FileNotFoundError):
            file = self.data / "postmaster.pid"
            postmaster = int(file.read_text().split()[0])
            file.unlink()
            for pid in (postmaster, *descendants(postmaster)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def asked(self, query, database="iotgw"):
        url = f"postgresql://postgres@127.0.0.1:{self.port}/{database}"
        with psycopg.connect(url, password=SUPER, autocommit=True) as connection:
            cursor = connection.execute(query)
            return cursor.fetchall() if cursor.description else None


@pytest.fixture
def servers():
    """Two of them, the second one a synchronous standby of the first."""
    folder = Path(tempfile.mkdtemp(prefix="iotgw-patroni-"))
    whose = []
    if os.getuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
        whose = [find("setpriv"), "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--"]
    port, peer = free_port(), free_port()
    client, other = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
    etcd = Process(
        [find("etcd"), "--data-dir", folder / "etcd", "--listen-client-urls", client, "--advertise-client-urls", client,
         "--listen-peer-urls", other, "--initial-advertise-peer-urls", other, "--initial-cluster", f"default={other}"],
        folder / "etcd.log",
    )  # fmt: skip
    etcd.ready = lambda: accepts(port)
    made = [Server(folder, name, port, whose) for name in ("db1", "db2")]
    try:
        etcd.start()
        made[0].launch()
        made[0].wait_for(made[0].is_primary, LONG, "the first server to be the primary")
        made[1].launch()
        replicated = "SELECT sync_state FROM pg_stat_replication"
        made[1].wait_for(lambda: made[0].asked(replicated, "postgres") == [("sync",)], LONG, "the standby")
        yield made
    finally:
        for each in made:
            each.lose()
        if etcd.alive:
            etcd.kill_all()
        shutil.rmtree(folder)


def test_a_primary_that_is_killed_is_replaced_and_nothing_acknowledged_is_lost(servers, tmp_path):
    first, second = servers
    first.asked(f"CREATE ROLE iotgw LOGIN PASSWORD '{PASSWORD}'", "postgres")
    first.asked("CREATE DATABASE iotgw OWNER iotgw", "postgres")
    password = tmp_path / "database-password"
    password.write_text(PASSWORD)
    url = f"postgresql://iotgw@127.0.0.1:{first.port},127.0.0.1:{second.port}/iotgw?connect_timeout=3"
    gateway = Gateway(
        tmp_path / "gateway", settings=f'[store]\nurl = "{url}"\npassword-file = "{password}"\n'
    )
    with HttpSink(tmp_path / "sink") as sink, gateway.start():
        gateway.create("datasources", name="http", type="http", routingKey="key", converter="json")
        gateway.create("integrations", name="out", type="http", configuration={"url": sink.url})
        with Posting(gateway) as posting:
            more(posting)
            first.lose()
            wait_until(second.is_primary, LONG, "the standby to take over")
            wait_until(lambda: gateway.post("key", body("late")(1)).status == 204, LONG, "messages to be taken again")  # fmt: skip
            more(posting)
        rows = second.asked("SELECT payload FROM iotgw.uplink")
        stored = {each["n"] for (payload,) in rows if (each := json.loads(payload))["deviceName"] == "http"}
        assert posting.answered - stored == set()

        def arrived():
            found = [each for each in sink.documents if each["deviceName"] == "http"]
            return {entry["values"]["n"] for each in found for entry in each["telemetry"]}

        wait_until(lambda: arrived() == stored, LONG, "all to arrive")
