"""The gateway on a file system that fills up: it refuses, keeps what it has, and goes on by itself."""

import os
import subprocess

import pytest

from tests.peers.gateway import Gateway
from tests.peers.process import wait_until

pytestmark = pytest.mark.root

SIZE = 24 << 20
BALLAST = 18 << 20


@pytest.fixture
def small_disk(tmp_path):
    """A mounted directory of a few megabytes."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small file system")
    path = tmp_path / "gateway" / "data"
    path.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", path], check=True)
    (path / "ballast").write_bytes(bytes(BALLAST))
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def body(number):
    return b'{"deviceName": "dev-%d", "n": %d, "filler": "%s"}' % (number % 10, number, b"x" * 30_000)


def test_a_full_disk_refuses_uplinks_loses_nothing_and_service_resumes_by_itself(
    small_disk, tmp_path, all_kinds
):
    with Gateway(tmp_path / "gateway").start() as gateway:
        gateway.create("datasources", name="http", type="http", routingKey="key", converter="json")
        for name, target in all_kinds.items():
            where = target.configuration(target.server.port)
            gateway.create("integrations", name=name, type=name, configuration=where)
        accepted = []
        for number in range(2000):
            status = gateway.post("key", body(number)).status
            if status == 503:
                break
            assert status == 204
            accepted.append(number)
        assert status == 503
        assert accepted
        assert gateway.api("GET", "/messages?limit=1").status == 200  # it still reads
        refused = gateway.api("PATCH", "/datasources/http", {"description": "x" * 500_000})
        assert refused.status == 507
        assert "registry.db is full" in refused.json["detail"]
        assert gateway.api("GET", "/datasources/http").json["revision"] == 1
        newest = gateway.messages(limit=1, state="converted")[0]["id"]
        waits = gateway.api("POST", f"/messages/{newest}/reprocess")
        assert (waits.status, "as soon as the journal can be written" in waits.json["detail"]) == (503, True)
        (small_disk / "ballast").unlink()
        wait_until(lambda: gateway.post("key", body(5000)).status == 204, 20, "the service to resume")
        accepted.append(5000)

        for name, target in all_kinds.items():

            def delivered(target=target):
                return {number for _, number in target.arrived()}

            wait_until(lambda: delivered() >= set(accepted), 60, f"everything accepted to arrive by {name}")
            assert delivered() == set(accepted), f"what was refused was delivered by {name}"
        stored = [message for message in gateway.all_messages() if message["state"] == "converted"]
        assert len(stored) >= len(accepted)
        gateway.kill()
        gateway.start()
        assert len(gateway.all_messages()) >= len(accepted)
