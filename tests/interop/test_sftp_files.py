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
        {"content": "ndjson", "format": "senml"},
        {"content": "ndjson", "format": "openmetrics"},
    ],
)
@ensureDeferred
async def test_what_nothing_can_be_added_to_is_refused(tmp_path, more):
    world = Delivering("sftp")
    more = dict(more)
    format_ = more.pop("format", "standard")
    configuration = {"host": "h", "username": "u", "hostKeys": ["SHA256:x"], **ADDING, **more}
    with pytest.raises(SettingsError) as caught:
        world.service.validate(
            IntegrationSpec(name="i", type="sftp", configuration=configuration, format=format_)
        )
    assert caught.value.path == "configuration.append"


@pytest.mark.parametrize("lacks", ["fstat", "sizes"])
@ensureDeferred
async def test_a_server_that_files_cannot_be_added_to_is_waited_for_and_keeps_what_it_has(tmp_path, lacks):
    with AsyncsshServer(tmp_path / "server", [lacks]) as server:
        there = server.root / f"{date(TODAY)}.csv"
        there.write_bytes(b"deviceName;number\r\nbefore;1\r\n")
        async with Delivering("sftp", configuration=server.configuration(**ADDING)) as world:
            checked = await world.service.check("i1")
            assert not checked["ok"]
            assert "fstat" in checked["detail"], checked
            assert server.files() == [there]
            world.store("a", received_ms=TODAY)
            await until(lambda: world.stats()["state"] == "unavailable", what="the target to be down")
            stats = world.stats()
            assert "fstat" in stats["lastError"]
            assert (stats["delivered"], stats["dead"], stats["retrying"]) == (0, 0, 0), stats
        assert there.read_bytes() == b"deviceName;number\r\nbefore;1\r\n"


@ensureDeferred
async def test_of_a_batch_only_the_message_that_its_template_does_not_fit_fails(tmp_path):
    with AsyncsshServer(tmp_path / "server") as server:
        configuration = server.configuration(files="batch", content="ndjson", path="{{ file }}.txt")
        spec = {"format": "template", "template": "{{ deviceName }} {{ attributes.site }}"}
        async with Delivering("sftp", configuration=configuration, **spec) as world:
            world.service.pause("i1")
            for device, site in ("a", "x"), ("b", None), ("c", "y"):
                attributes = {} if site is None else {"site": site}
                body = {"deviceName": device, "deviceType": "t", "attributes": attributes, "telemetry": []}
                world.store(device, body=json.dumps(body).encode())
            world.service.resume("i1")
            stats = await world.settled()
            assert (stats["delivered"], stats["dead"]) == (2, 1)
            (letter,) = await world.service.dead_letters("i1")
            assert "attributes.site is missing" in letter.error
            assert letter.attempts == 1
        assert [path.read_text() for path in server.files()] == ["a x\nc y\n"]


@pytest.mark.parametrize("files", ["message", "batch"])
@ensureDeferred
async def test_a_message_of_which_a_format_says_nothing_is_no_file(tmp_path, files):
    with AsyncsshServer(tmp_path / "server") as server:
        configuration = server.configuration(files=files, path="{{ deviceName }}_{{ file }}.txt")
        async with Delivering("sftp", configuration=configuration, format="openmetrics") as world:
            world.store(
                "a", body=b'{"deviceName":"a","deviceType":"t","telemetry":[{"ts":1,"values":{"s":"x"}}]}'
            )
            world.store(
                "b", body=b'{"deviceName":"b","deviceType":"t","telemetry":[{"ts":1,"values":{"n":2}}]}'
            )
            assert (await world.settled())["delivered"] == 2
        (written,) = server.files()
        assert written.name.startswith("b_")


@ensureDeferred
async def test_a_password_that_has_expired_is_said(tmp_path):
    with AsyncsshServer(tmp_path / "server", password="open", expired=True) as server:
        async with Delivering("sftp", configuration=server.configuration(password="open")) as world:
            checked = await world.service.check("i1")
            assert checked == {
                "ok": False,
                "detail": "the password has expired; the server asks for a new one: Choose another password:",
            }
