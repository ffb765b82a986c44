"""The log: what a line holds, what it never holds, and how many there are."""

from __future__ import annotations

import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from twisted.application.service import Application
from twisted.logger import ILogObserver, Logger, LogPublisher

from iotgw.observe.logs import Logs


class Written:
    """A logger whose lines can be read back."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.terminal = io.StringIO()
        self.path = folder / "log" / "iotgw.log"
        self.logs = Logs(self.path, terminal=self.terminal, **settings)
        self.publisher = LogPublisher(self.logs)
        self.log = Logger(namespace="iotgw.pipeline.pipeline.Gateway", observer=self.publisher)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return Written(tmp_path)


def test_a_line_is_one_json_object_with_the_fields_of_the_event(written: Written) -> None:
    written.log.info("datasource {name} is open", name="coap", message_id="e1-7", count=3)
    (line,) = written.lines
    assert datetime.fromisoformat(line.pop("ts")).tzinfo is not None
    assert line == {
        "level": "info", "source": "iotgw.pipeline", "message": "datasource coap is open", "name": "coap",
        "messageId": "e1-7", "count": 3,
    }  # fmt: skip
    assert written.terminal.getvalue().endswith("[pipeline] datasource coap is open\n")


def test_line_breaks_and_control_characters_from_a_peer_make_no_line_of_their_own(written: Written) -> None:
    written.log.warn("bad frame from {peer}", peer='x\n{"level":"info"}\r\n\x00')
    assert len(written.lines) == 1
    assert written.terminal.getvalue().count("\n") == 1


def test_secrets_are_masked_by_name_and_tokens_everywhere(written: Written) -> None:
    token = "iotgw_0123456789ab_" + "s" * 43
    written.log.warn(
        "told {password} and {note}", password="hush1", note=f"Bearer {token}", psk=b"hush2",
        headers={"Authorization": "hush3", "Accept": "x"}, api_key="hush4",
    )  # fmt: skip
    everything = written.path.read_text() + written.terminal.getvalue()
    assert "hush" not in everything
    assert "ssss" not in everything
    assert written.lines[0]["headers"] == {"Authorization": "***", "Accept": "x"}


def test_private_keys_and_what_is_secret_in_a_url_are_masked_wherever_they_stand(written: Written) -> None:
    written.log.warn(
        "got {text}, from {url}", url="https://u:hush1@h/p?sig=hush2",
        text="-----BEGIN PRIVATE KEY-----\nhush3\n-----END PRIVATE KEY-----",
    )  # fmt: skip
    assert "hush" not in written.path.read_text() + written.terminal.getvalue()
    assert written.lines[0]["url"] == "https://***@h/p?sig=***"


def test_a_failure_has_its_traceback_in_the_file_and_one_line_on_the_terminal(written: Written) -> None:
    try:
        raise KeyError("lost")
    except KeyError:
        written.log.failure("could not open {name}", name="coap")
    (line,) = written.lines
    assert (line["level"], line["error"]) == ("critical", "KeyError: 'lost'")
    assert "test_logs.py" in line["traceback"]
    assert written.terminal.getvalue().endswith("CRITICAL could not open coap: KeyError: 'lost'\n")


def test_others_are_heard_from_warn_on_and_ours_from_the_level(written: Written) -> None:
    other = Logger(namespace="twisted.web.server", observer=written.publisher)
    other.info("Starting factory")
    other.warn("odd")
    written.log.debug("detail")
    assert [line["message"] for line in written.lines] == ["odd"]
    written.logs.set_level("debug")
    written.log.debug("detail")
    assert len(written.lines) == 2


def test_the_file_rotates_at_its_size_and_old_ones_are_dropped(tmp_path: Path) -> None:
    written = Written(tmp_path, rotate_bytes=2000, keep=2)
    for number in range(100):
        written.log.info("line {number}", number=number)
    names = sorted(path.name for path in written.path.parent.iterdir())
    assert names == ["iotgw.log", "iotgw.log.1", "iotgw.log.2"]
    assert all(path.stat().st_size < 2300 for path in written.path.parent.iterdir())
    assert {path.stat().st_mode & 0o777 for path in written.path.parent.iterdir()} == {0o600}


def test_a_file_that_an_operator_lets_others_read_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "log" / "iotgw.log"
    path.parent.mkdir()
    path.touch()
    path.chmod(0o640)
    written = Written(tmp_path, rotate_bytes=2000, keep=2)
    for number in range(100):
        written.log.info("line {number}", number=number)
    assert written.path == path and path.stat().st_mode & 0o777 == 0o640


def test_a_file_that_was_moved_away_is_opened_again(written: Written) -> None:
    written.log.info("before")
    written.path.rename(written.path.with_name("moved"))
    written.logs.reopen()
    written.log.info("after")
    assert [line["message"] for line in written.lines] == ["after"]


def test_a_closed_terminal_costs_nothing_but_its_lines(written: Written) -> None:
    written.terminal.close()
    written.log.info("one")
    assert (len(written.lines), written.logs.lost) == (1, 1)
    written.logs.close()
    written.log.info("two")


def test_values_of_any_kind_and_length_are_written(written: Written) -> None:
    written.log.info("x", value=object(), data=b"\xff" * 10_000, text="y" * 100_000, items=[1, {"a": {2}}])
    (line,) = written.lines
    assert len(line["text"]) == 8192
    assert line["data"].startswith("ffff")


def test_it_becomes_the_log_of_a_twistd_application(written: Written) -> None:
    application = Application("iotgw")
    written.logs.attach(application)
    assert application.getComponent(ILogObserver) is written.logs  # type: ignore[attr-defined]


class Library:
    """As conch's FileTransferBase."""

    _log = Logger(namespace="twisted.conch.ssh.filetransfer.FileTransferBase")

    def work(self) -> None:
        self._log.info("dispatching: STATUS requestId=1")
        self._log.warn("something is wrong")


def test_a_librarys_class_is_quiet_though_one_of_iotgw_is_derived_from_it(written: Written) -> None:
    mine = type("SftpClient", (Library,), {"__module__": "iotgw.connect.ssh"})
    mine._log.observer = written.publisher  # type: ignore[attr-defined]
    Library.__dict__["_log"].observer = written.publisher
    client = mine()
    assert client._log.namespace == "iotgw.connect.ssh.SftpClient"  # type: ignore[attr-defined]
    client.work()
    assert [line["message"] for line in written.lines] == ["something is wrong"]


def test_libraries_speak_when_they_are_asked_to(tmp_path: Path) -> None:
    written = Written(tmp_path, libraries="info")
    Logger(namespace="twisted.internet.tcp", observer=written.publisher).info("Starting factory")
    assert [line["message"] for line in written.lines] == ["Starting factory"]
    written.logs.set_level("info")
    Logger(namespace="twisted.internet.tcp", observer=written.publisher).info("Stopping factory")
    assert len(written.lines) == 1
