"""Files as offices want them, on a server: compressed, encrypted, one a day."""

import gzip
import json
import re
import subprocess
import time
import zipfile
from datetime import UTC, datetime

import pytest
from pytest_twisted import ensureDeferred

from iotgw.core.errors import SettingsError
from iotgw.core.specs import IntegrationSpec
from tests.peers.patience import HANGS
from tests.peers.process import find
from tests.peers.sftp_servers import AsyncsshServer

from .delivering import Delivering, until

COLUMNS = {
    "columns": [{"value": "deviceName"}, {"value": "values.n", "header": "number"}],
    "delimiter": "semicolon",
}
ADDING = {"files": "batch", "content": "csv", "csv": COLUMNS, "append": True, "path": "{{ date }}.csv"}
TODAY = int(time.time()) // 86_400 * 86_400_000
"""Midnight, in milliseconds since 1970."""


def date(ms):
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d}"


@pytest.mark.parametrize(("compress", "suffix"), [("gzip", ".gz"), ("zip", ".zip")])
@ensureDeferred
async def test_compressed_files(tmp_path, compress, suffix):
    with AsyncsshServer(tmp_path / "s") as server:
        async with Delivering("sftp", configuration=server.configuration(compress=compress)) as world:
            world.store("a")
            await world.settled()
            (found,) = server.files()
            assert found.name.endswith(f".json{suffix}")
            if compress == "gzip":
                text = gzip.decompress(found.read_bytes())
            else:
                with zipfile.ZipFile(found) as archive:
                    text = archive.read(found.stem)
            assert json.loads(text)["deviceName"] == "a"


@ensureDeferred
async def test_files_that_only_the_recipient_can_read(tmp_path):
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)

    def gpg(*args):
        command = [find("gpg"), "--homedir", home, "--batch", "--quiet", *args]
        return subprocess.run(command, check=True, capture_output=True, timeout=HANGS).stdout

    gpg("--passphrase", "", "--quick-generate-key", "office@example.com", "default", "default")
    try:
        key = gpg("--armor", "--export").decode()
        with AsyncsshServer(tmp_path / "s") as server:
            configuration = server.configuration(encryptTo=[key], compress="gzip")
            async with Delivering("sftp", configuration=configuration) as world:
                world.store("a")
                await world.settled()
                (found,) = server.files()
                assert found.name.endswith(".json.gz.pgp")
                assert json.loads(gzip.decompress(gpg("--decrypt", found)))["deviceName"] == "a"
    finally:
        subprocess.run(
            [find("gpgconf"), "--homedir", home, "--kill", "gpg-agent"], check=False, timeout=HANGS
        )


@ensureDeferred
async def test_a_file_a_day_is_added_to(tmp_path):
    with AsyncsshServer(tmp_path / "s") as server:
        async with Delivering("sftp", configuration=server.configuration(**ADDING)) as world:
            for ms, devices in ((TODAY - 1000, "ab"), (TODAY - 1, "c"), (TODAY, "d"), (TODAY - 500, "e")):
                world.store(*devices, received_ms=ms)
                await world.settled()
            assert [path.stem for path in server.files()] == [date(TODAY - 1), date(TODAY)]
            first, second = (path.read_text() for path in server.files())
            assert first == "deviceName;number\na;1\nb;2\nc;3\ne;5\n"
            assert second == "deviceName;number\nd;4\n"


@ensureDeferred
async def test_the_day_is_that_of_the_zone(tmp_path):
    zoned = ADDING | {"csv": COLUMNS | {"zone": "Pacific/Kiritimati"}}
    with AsyncsshServer(tmp_path / "s") as server:
        async with Delivering("sftp", configuration=server.configuration(**zoned)) as world:
            world.store("a", received_ms=TODAY - 1)
            await world.settled()
            assert [path.stem for path in server.files()] == [date(TODAY)]


@pytest.mark.parametrize("lacks", [(), ("setstat", "fsync", "rename", "posix-rename", "remove", "dot names")])
@ensureDeferred
async def test_no_row_is_lost_however_often_the_server_is_killed(tmp_path, lacks):
    """What was not confirmed is replaced; where nothing can be cut off, a row may come twice, or in part."""
    server = AsyncsshServer(tmp_path / "s", lacks)
    server.start()
    try:
        more = ADDING | {"path": "all.csv", "batchSize": 500}
        async with Delivering("sftp", configuration=server.configuration(**more)) as world:
            for round in range(4):
                world.store(*(f"device-{n}" for n in range(500)))
                await until(lambda least=500 * round: world.stats()["delivered"] >= least)
                server.kill()
                server.start()
            stats = await world.settled(60)
            assert (stats["delivered"], stats["dead"]) == (2000, 0)
            rows = (server.root / "all.csv").read_text().splitlines()
            assert rows[0] == "deviceName;number"
            whole = [match for row in rows[1:] if (match := re.fullmatch(r"device-\d+;(\d+)", row))]
            assert {int(match[1]) for match in whole} >= set(range(1, 2001))
            if "setstat" not in lacks:
                assert len(whole) == len(rows) - 1 == 2000
    finally:
        server.kill()


@ensureDeferred
async def test_a_line_that_was_cut_off_is_ended_first(tmp_path):
    with AsyncsshServer(tmp_path / "s") as server:
        (server.root / "all.csv").write_bytes(b"deviceName;number\r\nhalf a r")
        async with Delivering(
            "sftp", configuration=server.configuration(**ADDING | {"path": "all.csv"})
        ) as world:
            world.store("a")
            await world.settled()
            assert (server.root / "all.csv").read_bytes() == b"deviceName;number\r\nhalf a r\r\na;1\r\n"


@pytest.mark.parametrize(
    "more",
    [
        {"content": "json"},
        {"content": "csv", "csv": {}},
        {"compress": "gzip"},
    ],
)
@ensureDeferred
async def test_what_nothing_can_be_added_to_is_refused(tmp_path, more):
    world = Delivering("sftp")
    configuration = {"host": "h", "username": "u", "hostKeys": ["SHA256:x"], **ADDING, **more}
    with pytest.raises(SettingsError) as caught:
        world.service.validate(IntegrationSpec(name="i", type="sftp", configuration=configuration))
    assert caught.value.path == "configuration.append"
