"""SFTP servers as they are installed, each in ten states."""

import pytest
from pytest_twisted import ensureDeferred

from tests.peers.sftp_servers import AsyncsshServer, Dropbear, OpenSsh, ProFtpd

from .sftp_states import SmallDisk, refuses_one, replaces, takes_everything, waits

pytestmark = pytest.mark.root
HARDENED = (
    "Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com\nMACs hmac-sha2-512-etm@openssh.com\n"
    "KexAlgorithms curve25519-sha256\n"
)
OLD = (
    "KexAlgorithms diffie-hellman-group14-sha1\nCiphers aes128-cbc\nMACs hmac-sha1\n"
    "HostKeyAlgorithms ssh-rsa\n"
)


def openssh(age):
    """Makes OpenSSH's server as it is installed, hardened, or with what an old one has."""
    lines = {"installed": "", "hardened": HARDENED, "old": OLD}[age]

    def make(folder, more="", sftp=""):
        return OpenSsh(folder, lines + more, sftp, "rsa" if age == "old" else "ed25519")

    return pytest.param(make, id=f"openssh {age}")


AGES = [openssh(age) for age in ("installed", "hardened", "old")]
SFTP_SERVER = {
    "as it is": ("", ()),
    "no rename": ("-P rename,posix-rename", ("rename in some directories",)),
    "no posix-rename": ("-P posix-rename", ("posix-rename",)),
    "no fsync": ("-P fsync", ("fsync",)),
    "no setstat": ("-P setstat,fsetstat", ()),
    "no mkdir": ("-P mkdir", ()),
    "no extensions": ("-P fsync,posix-rename,statvfs,hardlink,limits", ("fsync", "posix-rename")),
}
"""States of OpenSSH's sftp-server by its options, and what is lacking then."""
REFUSED_BY_NAME = "<Directory {root}/bad>\n<Limit WRITE>\nDenyAll\n</Limit>\n</Directory>"
PROFTPD = {
    "as it is": ("", ()),
    "no rename": ("<Limit RNFR RNTO>\nDenyAll\n</Limit>", ("rename in some directories",)),
    "no overwriting": ("AllowOverwrite off", ()),
    "no extensions": ("SFTPExtensions -fsync -posixRename", ("fsync", "posix-rename")),
    "no setstat": ("<Limit SITE_CHMOD SITE_CHGRP MFMT>\nDenyAll\n</Limit>", ()),
    "no dot names": (r"PathDenyFilter (^|/)\.", ("dot names",)),
    "new keys often": ("SFTPRekey required 5 1", ()),
}


@pytest.mark.parametrize("age", AGES)
@pytest.mark.parametrize("state", SFTP_SERVER)
@ensureDeferred
async def test_openssh_takes_everything(tmp_path, state, age):
    options, lacks = SFTP_SERVER[state]
    with age(tmp_path / "s", sftp=options) as server:
        await takes_everything(server, lacks)


@pytest.mark.parametrize("age", AGES)
@pytest.mark.parametrize("state", ["RekeyLimit 64K", "MaxSessions 1\nMaxStartups 2"])
@ensureDeferred
async def test_openssh_with_limits_takes_everything(tmp_path, state, age):
    with age(tmp_path / "s", state) as server:
        await takes_everything(server)


@pytest.mark.parametrize("kind", [*AGES, Dropbear])
@ensureDeferred
async def test_a_server_that_is_read_only_is_waited_for(tmp_path, kind):
    with kind(tmp_path / "s", sftp="-R") as server:
        await waits(server, "open")


@pytest.mark.parametrize("kind", [*AGES, Dropbear, ProFtpd])
@ensureDeferred
async def test_a_server_whose_disk_is_full_is_waited_for(tmp_path, kind):
    server = kind(tmp_path / "s")
    server.checks_small = True
    with SmallDisk(server.root), server:
        await waits(server, "write")


@pytest.mark.parametrize("state", SFTP_SERVER)
@ensureDeferred
async def test_dropbear_takes_everything(tmp_path, state):
    options, lacks = SFTP_SERVER[state]
    with Dropbear(tmp_path / "s", sftp=options) as server:
        await takes_everything(server, lacks)


@ensureDeferred
async def test_dropbear_with_a_small_window_takes_everything(tmp_path):
    with Dropbear(tmp_path / "s", more=["-W", "8192", "-K", "1"]) as server:
        await takes_everything(server)


@pytest.mark.parametrize("state", PROFTPD)
@ensureDeferred
async def test_proftpd_takes_everything(tmp_path, state):
    more, lacks = PROFTPD[state]
    with ProFtpd(tmp_path / "s", more) as server:
        await takes_everything(server, lacks)


@pytest.mark.parametrize(
    "more",
    ["AllowOverwrite off\nSFTPExtensions -posixRename", "AllowOverwrite off", "SFTPExtensions -posixRename", PROFTPD["no rename"][0]],
    ids=["no overwriting nor posix-rename", "no overwriting", "no posix-rename", "no rename"],
)  # fmt: skip
@ensureDeferred
async def test_proftpd_has_a_file_replaced(tmp_path, more):
    with ProFtpd(tmp_path / "s", more) as server:
        await replaces(server)


@pytest.mark.parametrize("state", ["as it is", "no posix-rename", "no rename"])
@ensureDeferred
async def test_openssh_has_a_file_replaced(tmp_path, state):
    with OpenSsh(tmp_path / "s", sftp=SFTP_SERVER[state][0]) as server:
        await replaces(server)


@ensureDeferred
async def test_proftpd_takes_everything_by_password(tmp_path):
    with ProFtpd(tmp_path / "s", "SFTPAuthMethods password", password="open") as server:
        await takes_everything(server, password="open")


@ensureDeferred
async def test_proftpd_that_refuses_one_folder_takes_the_others(tmp_path):
    root = tmp_path / "s/files"
    (root / "bad").mkdir(parents=True)
    with ProFtpd(tmp_path / "s", REFUSED_BY_NAME.format(root=root)) as server:
        await refuses_one(server)


ASYNCSSH = {
    "password": ((), {"password": "open"}, ()),
    "only questions": ((), {"kbdint": "open"}, ()),
    "new keys often": ((), {"options": {"rekey_bytes": 2000}}, ()),
    "only chacha": ((), {"options": {"encryption_algs": ["chacha20-poly1305@openssh.com"]}}, ()),
    "one connection": ((), {"connections": 1}, ()),
    "no rename by right": (("rename denied",), {}, ("rename in some directories",)),
}


@pytest.mark.parametrize("state", ASYNCSSH)
@ensureDeferred
async def test_asyncssh_takes_everything(tmp_path, state):
    """See `test_sftp_lacking` for the others of its states."""
    operations, more, lacks = ASYNCSSH[state]
    with AsyncsshServer(tmp_path / "s", operations, **more) as server:
        login = {"password": "open"} if {"password", "kbdint"} & more.keys() else {}
        await takes_everything(server, lacks, **login)


@pytest.mark.parametrize(("state", "why"), [("writing", "open"), ("space", "write")])
@ensureDeferred
async def test_asyncssh_that_takes_nothing_is_waited_for(tmp_path, state, why):
    with AsyncsshServer(tmp_path / "s", [state]) as server:
        await waits(server, why)
