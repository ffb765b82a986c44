"""Backups of a gateway under load, put back by `iotgwctl restore` and by hand; a kill while one is made."""

import json
import shutil
import subprocess
import sys
import threading

import pytest

from tests.peers.gateway import ROOT, Gateway, request
from tests.peers.process import wait_until

pytestmark = pytest.mark.interop

SINK = {"name": "sink", "type": "http", "route": {"wants": ["telemetry", "attributes", "events"]}}
LARGE = b'{"deviceName": "dev-1", "filler": "%s"}' % (b"x" * 200_000)


def ctl(gateway, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "iotgw.ctl.main", "--url", gateway.url, "--token-file", gateway.data / "admin-token", *arguments],
        cwd=gateway.folder, env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip


class Load:
    """Devices that send until told to stop; ``ids`` are those of the messages that they were told are stored."""

    def __init__(self, gateway):
        self.gateway, self.ids, self._over = gateway, [], threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        wait_until(lambda: len(self.ids) > 20, what="the load")
        return self

    def __exit__(self, *error):
        self._over.set()
        self._thread.join()

    def _run(self):
        while not self._over.is_set():
            self.ids.append(send(self.gateway, len(self.ids)))


def send(gateway, number):
    answer = gateway.post("key", {"deviceName": f"dev-{number % 7}", "n": number})
    assert answer.status == 204
    return answer.headers["X-Message-Id"]


def make(gateway, sink):
    gateway.create("datasources", name="http", type="http", routingKey="key", converter="json")
    gateway.create("integrations", configuration={"url": f"{sink.url}/in"}, **SINK)


def keys(sink):
    """Key → the documents that came with it."""
    found = {}
    for document in list(sink.documents):
        found.setdefault(document["key"], []).append(document)
    return found


def assert_same_names_are_same_messages(sink, before):
    """What came under a key before is what comes under it now; so is what an id names."""
    for key, found in keys(sink).items():
        assert all(each == found[0] for each in (*found, *before.get(key, ()))), key
    named = {each["id"]: each for found in before.values() for each in found if "telemetry" in each}
    for each in sink.documents:
        if each["id"] in named:
            assert each["telemetry"] == named[each["id"]]["telemetry"], each["id"]


def all_delivered(gateway):
    stats = gateway.api("GET", "/integrations/sink/stats").json
    counts = gateway.api("GET", "/status").json["journal"]
    return stats["balanced"] and not stats["waiting"] + stats["inflight"] + counts["waiting"]


def test_after_a_restore_nothing_acknowledged_is_missing_and_no_name_is_given_twice(tmp_path, http_sink):
    gateway = Gateway(tmp_path / "gateway")
    with gateway.start():
        make(gateway, http_sink)
        with Load(gateway) as load:
            before = list(load.ids)
            done = ctl(gateway, "backup", "b1", "--with-key", "--json")
            assert done.returncode == 0, done.stderr
            during = len(load.ids)
        assert during > len(before), "devices were answered while it copied"
        later = [send(gateway, number) for number in range(50)]
        wait_until(lambda: all_delivered(gateway), what="the deliveries")
        originals = set(load.ids) | set(later)
        documents = keys(http_sink)
        refused = ctl(
            gateway, "restore", gateway.data / "backups" / "b1", "--data-dir", gateway.data, "--force"
        )
        assert (refused.returncode, "in use by another iotgw" in refused.stderr) == (2, True)
    refused = ctl(gateway, "restore", gateway.data / "backups" / "b1", "--data-dir", gateway.data)
    assert (refused.returncode, "--force" in refused.stderr) == (2, True)
    done = ctl(
        gateway, "restore", gateway.data / "backups" / "b1", "--data-dir", gateway.data, "--force", "--paused"
    )
    assert done.returncode == 0, done.stderr
    seen = len(http_sink.documents)
    with gateway.start():
        restored = {each["id"] for each in gateway.all_messages()}
        assert set(before) <= restored
        assert restored <= originals
        new = [send(gateway, number) for number in range(50)]
        assert not set(new) & originals
        assert (
            gateway.api(
                "POST", "/devices/dev-1/downlinks?allowUnknown=true", {"data": "x", "contentType": "TEXT"}
            ).status
            == 201
        )
        assert gateway.post("key", {"deviceName": "dev-1"}).body == b""
        wait_until(lambda: not gateway.messages(state="received"), what="the conversions")
        status = gateway.api("GET", "/status").json
        assert "restored from b1" in status["paused"]["reason"]
        assert [each["state"] for each in status["integrations"]] == ["held"]
        assert "b1" in request("GET", f"{gateway.url}/health/ready").json["paused"]
        assert "PAUSED" in ctl(gateway, "status").stdout
        assert "until `iotgwctl resume`" in gateway.log.read_text()
        assert len(http_sink.documents) == seen
        assert ctl(gateway, "resume").returncode == 0
        wait_until(lambda: all_delivered(gateway), what="the deliveries after the pause")
        assert gateway.api("GET", "/status").json["paused"] is None
        assert_same_names_are_same_messages(http_sink, documents)
        arrived = {document["id"] for document in http_sink.documents[seen:]}
        assert set(new) <= arrived
    with gateway.start():
        assert gateway.api("GET", "/status").json["paused"] is None


def test_a_gateway_that_is_restored_without_its_key_takes_messages_until_its_secrets_are_entered_again(
    tmp_path, http_sink
):
    gateway, there = Gateway(tmp_path / "gateway"), Gateway(tmp_path / "there")
    with gateway.start():
        make(gateway, http_sink)
        gateway.create("datasources", name="away", type="mqtt", configuration={"host": "127.0.0.1", "port": 1, "topics": ["x"], "password": "p"})  # fmt: skip
        gateway.create("credentials", name="meter", identity="m", device="d", secrets=[{"value": "hush"}])
        assert ctl(gateway, "backup", "b1").returncode == 0
    done = ctl(gateway, "restore", gateway.data / "backups" / "b1", "--data-dir", there.data)
    assert (done.returncode, "secret.key" in done.stdout) == (0, True)
    (there.data / "admin-token").write_text((gateway.data / "admin-token").read_text())
    with there.start():
        assert "secret.key" in there.api("GET", "/credentials/meter").json["status"]["error"]
        assert "1 credential of devices" in there.api("GET", "/status").json["faults"][-1]
        assert there.api("GET", "/events?source=credential&type=failed").json["items"]
        again = there.api("PATCH", "/credentials/meter", {"secrets": [{"value": "new-secret"}]})
        assert again.status == 200, again.body
        assert there.api("GET", "/status").json["faults"] == []
        sent = [send(there, number) for number in range(5)]
        stats = wait_until(
            lambda: (got := there.api("GET", "/integrations/sink/stats").json)["waiting"] >= 5 and got
        )
        assert (stats["state"], "secret.key" in stats["lastError"]) == ("unavailable", True)
        assert "secret.key" in there.api("GET", "/datasources/away").json["status"]["error"]
        again = {"configuration": {"url": f"{http_sink.url}/in"}}
        assert there.api("PATCH", "/integrations/sink", again).status == 200
        wait_until(lambda: set(sent) <= {each["id"] for each in http_sink.documents}, what="the deliveries")


@pytest.mark.parametrize("ends", ["stopped", "killed"])
def test_a_directory_that_is_put_back_by_hand_gives_no_name_twice(tmp_path, http_sink, ends):
    gateway = Gateway(tmp_path / "gateway")
    with gateway.start():
        make(gateway, http_sink)
        old = [send(gateway, number) for number in range(30)]
        wait_until(lambda: all_delivered(gateway), what="the deliveries")
        if ends == "killed":
            gateway.kill()
    shutil.copytree(gateway.data, tmp_path / "copy")
    with gateway.start():
        originals = [send(gateway, number) for number in range(50)]
        wait_until(lambda: all_delivered(gateway), what="the deliveries")
    documents, seen = keys(http_sink), len(http_sink.received)
    shutil.rmtree(gateway.data)
    shutil.copytree(tmp_path / "copy", gateway.data)
    with gateway.start():
        again = [send(gateway, 1000 + number) for number in range(50)]
        wait_until(lambda: all_delivered(gateway), what="the deliveries")
        for id in old:
            assert gateway.api("GET", f"/messages/{id}").json["id"] == id
        assert gateway.api("GET", f"/messages/{originals[0]}").status == 404
    assert len({*old, *originals, *again}) == 130
    assert_same_names_are_same_messages(http_sink, documents)
    new = {id: key for id, key in headers_and_ids(http_sink.received[seen:]) if id in again}
    assert len(new) == len(set(new.values())) == 50
    assert not set(new.values()) & documents.keys()


def headers_and_ids(requests):
    """(message id, Idempotency-Key) of each request."""
    for each in requests:
        document = json.loads(each["body"])
        assert each["headers"]["idempotency-key"] == document["key"]
        yield document["id"], document["key"]


def test_a_backup_goes_on_in_another_directory_beside_the_original_and_shares_no_name_with_it(
    tmp_path, http_sink
):
    gateway = Gateway(tmp_path / "gateway")
    other = Gateway(tmp_path / "other")
    with gateway.start():
        make(gateway, http_sink)
        old = [send(gateway, number) for number in range(20)]
        wait_until(lambda: all_delivered(gateway), what="the deliveries")
        assert ctl(gateway, "backup", "b1").returncode == 0
        done = ctl(
            gateway, "restore", gateway.data / "backups" / "b1", "--config", other.config,
            "--key", gateway.data / "secret.key",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        shutil.copy(gateway.data / "admin-token", other.data)
        with other.start():
            here = [send(gateway, number) for number in range(50)]
            there = [send(other, 1000 + number) for number in range(50)]
            for each in (gateway, other):
                wait_until(lambda each=each: all_delivered(each), what="the deliveries")
            assert len({*old, *here, *there}) == 120
            assert {each["id"] for each in other.all_messages()} == {*old, *there}
    assert_same_names_are_same_messages(http_sink, {})
    assert {*old, *here, *there} <= {each["id"] for each in http_sink.documents}


@pytest.mark.parametrize("begun", ["registry.db", "journal.db", "manifest.json"])
def test_a_kill_while_it_copies_leaves_no_half_that_passes_for_whole(tmp_path, begun):
    size = 60
    gateway = Gateway(tmp_path / "gateway")
    with gateway.start():
        gateway.create("datasources", name="http", type="http", routingKey="key", converter="json")
        for _ in range(size):
            assert gateway.post("key", LARGE).status == 204
        folder = gateway.data / "backups"
        asked = threading.Thread(target=ctl, args=(gateway, "backup", "b1"))
        asked.start()
        wait_until(lambda: list(folder.glob(f"*/{begun}")), what=f"the copy to reach {begun}")
        gateway.kill()
        asked.join()
    left = {path.name for path in folder.iterdir()}
    whole = (folder / "b1" / "manifest.json").exists()
    assert left == ({"b1"} if whole else {".b1.iotgw-part"})
    target = tmp_path / "target"
    done = ctl(gateway, "restore", folder / next(iter(left)), "--data-dir", target)
    assert (done.returncode == 0) == whole, done.stderr
    with gateway.start():
        assert {path.name for path in folder.iterdir()} == ({"b1"} if whole else set())
        assert len(gateway.all_messages()) == size


def test_a_log_that_was_taken_away_is_an_event_and_its_positions_get_other_names(tmp_path):
    gateway = Gateway(tmp_path / "gateway")
    with gateway.start():
        gateway.create("datasources", name="http", type="http", routingKey="key", converter="json")
    with gateway.start():
        lost = [send(gateway, number) for number in range(20)]
        gateway.kill()
    (gateway.data / "journal.db-wal").unlink()
    with gateway.start():
        events = gateway.api("GET", "/events?type=log-lost").json["items"]
        assert [(each["name"], each["severity"]) for each in events] == [("journal.db", "error")]
        assert not set(lost) & {send(gateway, number) for number in range(20)}


def test_only_an_admin_of_all_tenants_makes_a_backup(tmp_path):
    gateway = Gateway(tmp_path / "gateway")
    with gateway.start():
        for body in ({"name": "t", "role": "admin", "tenant": "acme"}, {"name": "e", "role": "editor"}):
            token = gateway.api("POST", "/tokens", body).json["token"]
            for path in ("/backups", "/resume"):
                answer = gateway.api("POST", path, headers={"Authorization": f"Bearer {token}"})
                assert answer.status == 403, (path, body)
        assert gateway.api("POST", "/backups", {"name": "../x"}).status == 422
        answer = gateway.api("POST", "/backups")
        assert answer.status == 201
        assert json.loads(
            (gateway.data / "backups" / answer.json["directory"] / "manifest.json").read_bytes()
        )["files"]
