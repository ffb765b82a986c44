"""OpenSSH's server with the algorithms of old and of today, and new keys in the middle of the load."""

import pytest
from pytest_twisted import ensureDeferred

from iotgw.connect.ssh_transport import HYBRID, KEX, ModernTransport
from iotgw.wire.ssh.agreement import CIPHERS, MACS
from tests.peers.sftp_servers import AsyncsshServer
from tests.peers.sshd import Sshd, make_key

from .delivering import Delivering, until

OURS = {
    **{kex.decode(): f"KexAlgorithms {kex.decode()}" for kex in KEX if not kex.startswith(b"mlkem")},
    **{cipher.decode(): f"Ciphers {cipher.decode()}" for cipher in CIPHERS},
    **{mac.decode(): f"Ciphers aes128-ctr\nMACs {mac.decode()}" for mac in MACS},
    "AWS Transfer Family's policy 2024-01": (
        "Ciphers aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr,aes256-ctr,aes192-ctr\n"
        "MACs hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com\n"
        "KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org,diffie-hellman-group-exchange-sha256"
    ),
    "hardened": (
        "Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com\nMACs hmac-sha2-512-etm@openssh.com\n"
        "KexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256"
    ),
    "only chacha": "Ciphers chacha20-poly1305@openssh.com\nMACs hmac-sha2-256-etm@openssh.com\nKexAlgorithms curve25519-sha256",
    "old": "KexAlgorithms diffie-hellman-group14-sha1\nCiphers aes128-cbc\nMACs hmac-sha1\nHostKeyAlgorithms ssh-rsa",
}  # fmt: skip
MUCH = b'{"deviceName":"%s","deviceType":"t","attributes":{"x":"%s"},"telemetry":[{"ts":1,"values":{"n":1}}]}'
root = pytest.mark.root


def configured(server, **more):
    return {
        "host": "127.0.0.1", "port": server.port, "username": "root", "privateKey": server.user_key.read_text(),
        "hostKeys": [server.host_public_key], "path": f"{server.root}/{{{{ deviceName }}}}/{{{{ key }}}}.json", **more,
    }  # fmt: skip


@root
@pytest.mark.parametrize("name", OURS)
@ensureDeferred
async def test_a_server_with_what_we_have_gets_its_files(tmp_path, name):
    more = OURS[name]
    if name == "old":
        make_key(tmp_path / "host_rsa", "rsa")
        more += f"\nHostKey {tmp_path}/host_rsa"
    with Sshd(tmp_path / "sshd", more=more) as server:
        configuration = configured(server)
        if name == "old":
            configuration["hostKeys"] = [(tmp_path / "host_rsa.pub").read_text().rsplit(" ", 1)[0]]
        async with Delivering("sftp", configuration=configuration) as world:
            world.store(*"ab", body=MUCH % (b"a", b"y" * 100_000))
            stats = await world.settled()
            assert (stats["delivered"], stats["dead"]) == (2, 0), stats
            assert all(path.stat().st_size > 100_000 for path in server.root.glob("*/*.json"))


@pytest.mark.parametrize("cipher", ["aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"])
@ensureDeferred
async def test_keys_that_no_quantum_computer_breaks(tmp_path, cipher):
    options = {"kex_algs": [HYBRID.decode()], "encryption_algs": [cipher]}
    with AsyncsshServer(tmp_path / "server", options=options) as server:
        async with Delivering("sftp", configuration=server.configuration()) as world:
            world.store(*"ab" * 5)
            stats = await world.settled()
            assert stats["delivered"] == 10
            assert stats["target"]["algorithms"] == [HYBRID.decode(), "ssh-ed25519", cipher]


@root
@ensureDeferred
async def test_a_server_without_anything_in_common_is_told_with_both_lists(tmp_path):
    with Sshd(tmp_path / "sshd", more="Ciphers aes128-ctr\nMACs umac-128-etm@openssh.com") as server:
        async with Delivering("sftp", configuration=configured(server)) as world:
            result = await world.service.check("i1")
            said = "no MAC in common: the server has umac-128-etm@openssh.com; the gateway has hmac-sha2"
            assert said in result["detail"]


@root
@pytest.mark.parametrize("cipher", ["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr"])
@ensureDeferred
async def test_a_server_that_wants_new_keys_all_the_time_gets_everything(tmp_path, cipher):
    with Sshd(tmp_path / "sshd", more=f"RekeyLimit 64K\nCiphers {cipher}\nLogLevel DEBUG1") as server:
        async with Delivering("sftp", configuration=configured(server)) as world:
            for round in range(4):
                world.store(*"abcdefgh", body=MUCH % (b"d", b"%d" % round * 200_000))
            stats = await world.settled(60)
            assert (stats["delivered"], stats["dead"], stats["retrying"]) == (32, 0, 0)
            assert "delivery.unavailable" not in world.events.types
            assert server.output.count("SSH2_MSG_NEWKEYS received") >= 5
            assert server.output.count("Accepted publickey") == 1


@pytest.mark.parametrize("which", ["ours", "theirs"])
@ensureDeferred
async def test_new_keys_are_agreed_on_by_either_side_while_files_are_written(tmp_path, monkeypatch, which):
    changes = []
    changed = ModernTransport.ssh_NEWKEYS
    monkeypatch.setattr(ModernTransport, "ssh_NEWKEYS", lambda *a: (changes.append(1), changed(*a)))
    options = {}
    if which == "ours":
        monkeypatch.setattr(ModernTransport, "rekey_bytes", 100_000)
    else:
        options = {"rekey_bytes": 2000}
    with AsyncsshServer(tmp_path / "server", options=options) as server:
        async with Delivering("sftp", configuration=server.configuration()) as world:
            for round in range(4):
                world.store(*"abcdefgh", body=MUCH % (b"d", b"%d" % round * 100_000))
            stats = await world.settled(60)
            assert (stats["delivered"], stats["dead"], stats["retrying"]) == (32, 0, 0)
            assert len(changes) > 5


@ensureDeferred
async def test_a_server_that_allows_one_connection_is_checked_over_it(tmp_path):
    with AsyncsshServer(tmp_path / "server", connections=1) as server:
        async with Delivering("sftp", configuration=server.configuration()) as world:
            world.store("a")
            await world.settled()
            result = await world.service.check("i1")
            assert result["ok"], result
            assert "a second connection failed" in result["detail"]


@root
@ensureDeferred
async def test_a_server_with_one_session_per_connection_and_few_at_a_time_gets_everything(tmp_path):
    with Sshd(tmp_path / "sshd", more="MaxSessions 1\nMaxStartups 1:90:2") as server:
        async with Delivering("sftp", configuration=configured(server)) as world:
            world.store(*"abcdefgh" * 3)
            assert (await world.settled())["delivered"] == 24
            await until(lambda: world.stats()["state"] == "running")
