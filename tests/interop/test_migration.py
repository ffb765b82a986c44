"""A gateway on files goes on in PostgreSQL and on files again: under the same ids, and nothing arrives twice."""

import json
import shutil
import subprocess
import sys

import pytest

from tests.peers.gateway import ROOT, Gateway
from tests.peers.http_sink import HttpSink
from tests.peers.postgres import Postgres
from tests.peers.process import wait_until

pytestmark = pytest.mark.interop


def ctl(gateway, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "iotgw.ctl.main", *map(str, arguments)], cwd=gateway.folder,
        env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def migrate(gateway, where, *more):
    done = ctl(gateway, "store", "migrate", where, "--config", gateway.config, *more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def post(gateway, number):
    answer = gateway.post("key", json.dumps({"deviceName": "d", "n": number}).encode())
    assert answer.status == 204
    return answer.headers["X-Message-Id"]


def arrived(sink):
    return [entry["values"]["n"] for document in sink.documents for entry in document["telemetry"]]


def settled(gateway, count):
    """Wait until so many are delivered, as the gateway knows."""
    wait_until(
        lambda: gateway.api("GET", "/integrations/out/stats").json["delivered"] == count, what="its answers"
    )


def test_a_gateway_moves_into_a_database_and_back(tmp_path):
    with Postgres() as postgres, HttpSink(tmp_path / "sink", persistent=True) as sink:
        gateway = Gateway(tmp_path / "gateway")
        plain = gateway.config.read_text()
        ids = []
        with gateway.start():
            gateway.create("datasources", name="http", type="http", routingKey="key", converter="json")
            gateway.create(
                "integrations", name="out", type="http", configuration={"url": sink.url}, retry={"initial": 0.1, "cap": 0.5}
            )  # fmt: skip
            ids += [post(gateway, 1), post(gateway, 2)]
            wait_until(lambda: arrived(sink) == [1, 2], what="the first two")
            settled(gateway, 2)  # or they come again: the sink may have gone before it answered
            sink.stop()
            ids.append(post(gateway, 3))
            gateway.stop()
        url, password = postgres.dsn(postgres.new_database()), postgres.password_file(tmp_path)
        with_url = f'{plain}\n[store]\nurl = "{url}"\npassword-file = "{password}"\n'
        gateway.config.write_text(with_url)
        assert "3  uplink" in migrate(gateway, "database")
        with gateway.start():
            ids.append(post(gateway, 4))
            sink.start()
            wait_until(lambda: arrived(sink) == [1, 2, 3, 4], what="the next two")
            assert [each["id"] for each in gateway.messages()] == ids[::-1]
            assert gateway.api("GET", "/devices/d").json["telemetry"]["n"]["value"] == 4
            other = tmp_path / "other"
            other.mkdir()
            shutil.copy(gateway.data / "secret.key", other)
            running = ctl(
                gateway, "store", "migrate", "files", "--config", gateway.config, "--data-dir", other
            )
            assert running.returncode != 0
            assert "another gateway works on this database" in running.stderr
            gateway.stop()
        migrate(gateway, "files")
        gateway.config.write_text(plain)
        with gateway.start():
            ids.append(post(gateway, 5))
            wait_until(lambda: arrived(sink) == [1, 2, 3, 4, 5], what="the last one")
            assert [each["id"] for each in gateway.messages()] == ids[::-1]
            stats = gateway.api("GET", "/integrations/out/stats").json
            assert stats["balanced"] and stats["delivered"] == 5, stats
