"""What happens to a network happens here: after each fault nothing is missing at the target, the order per
device holds, and the accounts add up (`Delivering.stats` asserts that on every look)."""

import contextlib
import json
import os
import socket
import subprocess

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThread

from iotgw.core.errors import SettingsError
from iotgw.integrations.http import HttpType
from iotgw.integrations.mqtt import MqttType
from tests.certificates import DAY, NOW, Authority
from tests.peers.http_sink import HttpSink
from tests.peers.mosquitto import Mosquitto
from tests.peers.patience import own_time
from tests.peers.process import Process, accepts, find, free_port
from tests.peers.sshd import Sshd

from .delivering import Delivering, numbers, per_device, until


class Nginx(Process):
    """nginx with TLS; it takes every POST and logs the idempotency key."""

    def __init__(self, folder, certificate, key, client_ca=""):
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.access = folder / "access.log"
        verify = f"ssl_client_certificate {client_ca}; ssl_verify_client on;" if client_ca else ""
        config = folder / "nginx.conf"
        config.write_text(
            f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
            f"http {{ log_format k '$http_idempotency_key $status'; access_log {self.access} k;\n"
            f"client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};\n"
            f"uwsgi_temp_path {folder}; scgi_temp_path {folder};\n"
            f"server {{ listen 127.0.0.1:{self.port} ssl; ssl_certificate {certificate};\n"
            f"ssl_certificate_key {key}; {verify} location / {{ return 204; }} }} }}\n"
        )
        super().__init__([find("nginx"), "-e", folder / "error.log", "-c", config], folder / "nginx.log")

    def ready(self):
        return accepts(self.port)

    @property
    def keys(self):
        return [line.split()[0] for line in self.access.read_text().splitlines() if line.endswith(" 204")]


@pytest.fixture(scope="module")
def authority():
    return Authority()


def https(server, authority, **tls):
    return {"url": f"https://127.0.0.1:{server.port}/in", "tls": {"ca": authority.pem().decode(), **tls}}


@ensureDeferred
async def test_https_with_a_client_certificate(authority, tmp_path):
    paths = authority.issue("server", hosts=["127.0.0.1"]).write(tmp_path, "server")
    (tmp_path / "ca.pem").write_bytes(authority.pem())
    own = authority.issue("gateway")
    with Nginx(tmp_path / "nginx", *paths, client_ca=tmp_path / "ca.pem") as server:
        tls = {"certificate": own.pem().decode(), "key": own.key_pem().decode()}
        async with Delivering("http", configuration=https(server, authority, **tls)) as world:
            world.store(*"abcab")
            await world.settled()
            assert sorted(server.keys) == [f"E-{n}.{n}" for n in range(1, 6)]


@pytest.mark.parametrize(
    ("issue", "said"),
    [
        ({"hosts": ["127.0.0.9"]}, "another name"),
        ({"hosts": ["127.0.0.1"], "start": NOW - 9 * DAY, "end": NOW - DAY}, "expired"),
        (None, "not trusted"),
    ],
)
@ensureDeferred
async def test_a_certificate_that_is_wrong_is_said_and_costs_nothing(authority, tmp_path, issue, said):
    issuer = authority if issue else Authority("somebody else")
    paths = issuer.issue("server", **(issue or {"hosts": ["127.0.0.1"]})).write(tmp_path, "server")
    with Nginx(tmp_path / "nginx", *paths) as server:
        async with Delivering("http", configuration=https(server, authority)) as world:
            world.store("a", "b")
            await until(lambda: said in (world.stats()["lastError"] or ""), what=said)
            assert not (await world.service.check("i1"))["ok"]
            # set right, and what waited arrives
            good = authority.issue("server", hosts=["127.0.0.1"]).write(tmp_path, "server")
            assert good == paths
            await deferToThread(server.stop)
            await deferToThread(server.start)
            await world.settled()
            assert sorted(server.keys) == ["E-1.1", "E-2.2"]


@pytest.mark.parametrize("type_", ["mqtt", "thingsboard"])
@pytest.mark.parametrize(
    ("issue", "said"),
    [
        ({"hosts": ["127.0.0.9"]}, "another name"),
        ({"hosts": ["127.0.0.1"], "start": NOW - 9 * DAY, "end": NOW - DAY}, "expired"),
        (None, "not trusted"),
    ],
)
@ensureDeferred
async def test_a_brokers_certificate_that_is_wrong_is_said_and_costs_nothing(
    authority, tmp_path, issue, said, type_
):
    issuer = authority if issue else Authority("somebody else")
    certificate, key = issuer.issue("broker", **(issue or {"hosts": ["127.0.0.1"]})).write(tmp_path, "server")
    port = free_port()
    config = f"listener {port} 127.0.0.1\ncertfile {certificate}\nkeyfile {key}\n"
    configuration = {"host": "127.0.0.1", "port": port, "tls": {"ca": authority.pem().decode()}}
    with Mosquitto(tmp_path / "mosquitto", config=config) as broker:
        async with Delivering(type_, configuration=configuration) as world:
            world.store("a", "b")
            await until(lambda: said in (world.stats()["lastError"] or ""), what=said)
            assert said in (await world.service.check("i1"))["detail"]
            assert world.stats()["waiting"] + world.stats()["inflight"] == 2
            authority.issue("broker", hosts=["127.0.0.1"]).write(tmp_path, "server")
            await deferToThread(broker.stop)
            await deferToThread(broker.start)
            assert (await world.settled())["delivered"] == 2


@pytest.mark.parametrize("engine", ["iotgw", "paho"])
@ensureDeferred
async def test_mqtt_over_tls_with_a_client_certificate(authority, tmp_path, engine):
    certificate, key = authority.issue("broker", hosts=["127.0.0.1"]).write(tmp_path, "server")
    (tmp_path / "ca.pem").write_bytes(authority.pem())
    port = free_port()
    config = (
        f"listener {port} 127.0.0.1\ncafile {tmp_path}/ca.pem\ncertfile {certificate}\nkeyfile {key}\n"
        "require_certificate true\n"
    )
    own = authority.issue("gateway")
    tls = {"ca": authority.pem().decode(), "certificate": own.pem().decode(), "key": own.key_pem().decode()}
    with Mosquitto(tmp_path / "mosquitto", config=config) as broker:
        subscriber = await deferToThread(broker.subscribe)
        configuration = {"host": "127.0.0.1", "port": port, "tls": tls, "engine": engine}
        async with Delivering("mqtt", configuration=configuration) as world:
            world.store(*"abc")
            await world.settled()
            await until(lambda: len(subscriber.messages) == 3)
        subscriber.close()


class BlackHole:
    """A port that takes connections (or not even that) and never says a word."""

    def __init__(self, backlog):
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(backlog)
        self.port = self._socket.getsockname()[1]
        self._filling = []
        while not backlog and len(self._filling) < 4:  # a full queue: further SYNs are dropped
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", self.port))
            self._filling.append(one)

    def close(self):
        for one in [self._socket, *self._filling]:
            one.close()


@pytest.mark.parametrize("backlog", [100, 0])
@pytest.mark.parametrize(
    ("type_", "more"),
    [
        ("mqtt", {}),
        ("mqtt", {"engine": "paho"}),
        ("http", {}),
        ("thingsboard", {}),
        ("thingsboard", {"engine": "paho"}),
        ("sftp", {"username": "u", "password": "p", "hostKeys": ["SHA256:x"], "timeout": 0.5}),
    ],
)
@ensureDeferred
async def test_a_black_hole_does_not_stall_the_reactor(type_, more, backlog):
    hole = BlackHole(backlog)
    gaps, last = [], own_time()

    def tick():
        nonlocal last
        now = own_time()
        gaps.append(now - last)
        last = now

    where = {"host": "127.0.0.1", "port": hole.port, **more}
    if type_ == "http":
        where = {"url": f"http://127.0.0.1:{hole.port}/", "timeout": 0.5}
    async with Delivering(type_, configuration={**where, "connectTimeout": 0.5}) as world:
        world.store("a")
        watch = LoopingCall(tick)
        watch.start(0.01)
        await until(lambda: len(gaps) >= 100 and (world.stats()["lastError"] or len(gaps) > 300))
        watch.stop()
        stats = world.stats()
        assert stats["waiting"] + stats["inflight"] == 1
    hole.close()
    assert sorted(gaps)[-3] < 0.1  # two may be the machine's, as when it waits for the disk


@pytest.mark.parametrize("engine", ["iotgw", "paho"])
@ensureDeferred
async def test_a_broker_that_freezes_and_thaws_gets_everything_in_order(tmp_path, engine):
    with Mosquitto(tmp_path / "mosquitto") as broker:
        subscriber = await deferToThread(broker.subscribe)
        configuration = {"host": "127.0.0.1", "port": broker.port, "engine": engine}
        async with Delivering("mqtt", configuration=configuration) as world:
            await until(lambda: world.stats()["target"]["state"] == "connected")
            world.store(*"abc" * 20)
            broker.freeze()
            world.store(*"abc" * 100)
            await until(lambda: world.stats()["waiting"])
            broker.thaw()
            await world.settled()
            await until(lambda: len(subscriber.messages) >= 360)
            lines = per_device(numbers(subscriber.documents))
            assert all(line == sorted(line) and len(line) == 120 for line in lines.values())
        subscriber.close()


@ensureDeferred
async def test_a_slow_target_and_a_dead_one_hold_nobody_up(tmp_path):
    with HttpSink(tmp_path / "slow") as slow, HttpSink(tmp_path / "good") as good:
        await deferToThread(slow.always, {"delay": 2000})
        async with Delivering("http", configuration={"url": good.url}) as world:
            for name, url in (("slow", slow.url), ("dead", f"http://127.0.0.1:{free_port()}")):
                spec = world.spec.__class__(name=name, type="http", configuration={"url": url})
                await world.service.apply(name, name, "default", spec)
            world.store(*"abcdefgh" * 50)
            stats = await world.settled()
            assert stats["delivered"] == 400
            dead = world.service.stats("dead")
            assert (dead["waiting"] + dead["inflight"], dead["dead"]) == (400, 0)
            assert world.service.stats("slow")["delivered"] < 400
            for name in ("slow", "dead"):
                world.service.pause(name)


@pytest.mark.root
@ensureDeferred
async def test_a_full_disk_at_the_target_is_waited_for_and_leaves_no_half_file(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        ballast = fill(disk)
        with Sshd(tmp_path / "sshd") as server:
            configuration = {
                "host": "127.0.0.1", "port": server.port, "username": "root", "privateKey": server.user_key.read_text(),
                "hostKeys": [server.host_public_key], "files": "batch", "path": f"{disk}/{{{{ file }}}}.json",
            }  # fmt: skip
            async with Delivering("sftp", configuration=configuration) as world:
                world.service.pause("i1")
                world.store(*"abcd" * 100)
                world.service.resume("i1")
                await until(lambda: world.stats()["lastError"])
                assert not list(disk.glob("*.json"))
                assert world.stats()["dead"] == 0
                os.unlink(ballast)
                await world.settled()
                written = [doc for p in disk.glob("*.json") for doc in as_list(json.loads(p.read_text()))]
                assert len({doc["key"] for doc in written}) == 400
                assert not list(disk.glob(".*"))
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk):
    """Fill a file system to its last page, so that nobody can write a byte. Returns the file that holds it all."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    return ballast


def as_list(value):
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("forbid", ["loopback", "127.0.0.0/8"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@ensureDeferred
async def test_addresses_that_the_operator_forbids_are_refused_after_resolution(tmp_path, forbid, host):
    with HttpSink(tmp_path / "sink") as sink:

        def guarded(reactor):
            return HttpType(reactor, [forbid, "::1/128"])

        configuration = {"url": f"http://{host}:{sink.port}/"}
        async with Delivering("http", types=[guarded], configuration=configuration) as world:
            world.store("a")
            await until(lambda: world.stats()["lastError"])
            assert "forbidden" in world.stats()["lastError"]
            assert not await deferToThread(lambda: sink.received)


def test_a_wrong_network_is_said():
    with pytest.raises(SettingsError, match="link-local"):
        MqttType(reactor, ["nonsense"])
