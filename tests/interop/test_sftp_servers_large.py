"""SFTP servers in Go and in Java, each in ten states."""

import pytest
from pytest_twisted import ensureDeferred

from iotgw.connect.ssh_transport import HYBRID
from tests.peers.sftp_servers import GoServer, MinaServer

from .sftp_states import refuses_one, replaces, takes_everything, waits

pytestmark = pytest.mark.interop
GO = {
    "as it is": ((), {}, ()),
    "no rename": (("rename",), {}, ("rename",)),
    "no posix-rename": (("posix-rename",), {}, ()),
    "no dot names": (("dot names",), {}, ("dot names",)),
    "no mkdir": (("mkdir",), {}, ()),
    "new keys often": ((), {"rekeyBytes": 20_000}, ()),
    "only chacha": ((), {"ciphers": ["chacha20-poly1305@openssh.com"]}, ()),
    "only encrypt-then-MAC": (
        (), {"ciphers": ["aes256-ctr"], "macs": ["hmac-sha2-512-etm@openssh.com"]}, (),
    ),
    "only curve25519": ((), {"kex": ["curve25519-sha256"]}, ()),
    "password": ((), {"password": "open"}, ()),
    "only ML-KEM": ((), {"kex": [HYBRID.decode()]}, ()),
}  # fmt: skip
MINA = {
    "as it is": ((), ()),
    "no rename": (("rename",), ("rename",)),
    "no right to rename": (("rename denied",), ("rename in some directories",)),
    "no fsync": (("fsync",), ("fsync",)),
    "no posix-rename": (("posix-rename",), ("posix-rename",)),
    "no dot names": (("dot names",), ("dot names",)),
    "no mkdir": (("mkdir",), ()),
    "new keys often": (("old keys",), ()),
    "only chacha": (("all but chacha",), ()),
    "one session": (("sessions",), ()),
}


@pytest.mark.parametrize("state", GO)
@ensureDeferred
async def test_a_server_in_go_takes_everything(tmp_path, state):
    operations, more, lacks = GO[state]
    with GoServer(tmp_path / "s", operations, **more) as server:
        login = {"password": more["password"]} if "password" in more else {}
        await takes_everything(server, lacks, **login)


@pytest.mark.parametrize("state", MINA)
@ensureDeferred
async def test_a_server_in_java_takes_everything(tmp_path, state):
    operations, lacks = MINA[state]
    with MinaServer(tmp_path / "s", operations) as server:
        await takes_everything(server, lacks)


@pytest.mark.parametrize("lacks", [["posix-rename"], ["rename"]], ids=str)
@pytest.mark.parametrize("kind", [GoServer, MinaServer])
@ensureDeferred
async def test_a_server_has_a_file_replaced(tmp_path, kind, lacks):
    with kind(tmp_path / "s", lacks) as server:
        await replaces(server)


@ensureDeferred
async def test_a_server_in_java_takes_a_password(tmp_path):
    with MinaServer(tmp_path / "s", password="open") as server:
        await takes_everything(server, password="open")


@pytest.mark.parametrize(("state", "why"), [("writing", "open"), ("space", "")])
@pytest.mark.parametrize("kind", [GoServer, MinaServer])
@ensureDeferred
async def test_a_server_that_takes_nothing_is_waited_for(tmp_path, kind, state, why):
    with kind(tmp_path / "s", [state]) as server:
        await waits(server, why)


@ensureDeferred
async def test_one_folder_that_is_refused_holds_up_nobody_else(tmp_path):
    with GoServer(tmp_path / "go", refused=["bad"]) as server:
        await refuses_one(server)
    with MinaServer(tmp_path / "java") as server:
        await refuses_one(server)
