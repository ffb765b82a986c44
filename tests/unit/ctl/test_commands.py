"""What a person sees of the gateway on the command line."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from iotgw.core.model import Event, State
from iotgw.core.ports.pause import Paused
from iotgw.core.ports.pipeline import Room
from iotgw.ctl.table import payload, printable, table


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


RESOURCES = """
[[converter]]
name = "mine"
script = "function mine() {}"
[[datasource]]
name = "field"
type = "coap"
converter = "mine"
[[integration]]
name = "out"
type = "http"
configuration = { url = "http://x" }
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "resources.toml").write_text(RESOURCES)
    return str(tmp_path / "resources.toml")


@inline
async def test_a_file_is_applied_and_its_resources_are_listed(run: Any, file: str) -> None:
    code, out, _ = await run("apply", file)
    assert (code, out.count("created"), out.splitlines()[-1]) == (0, 4, "3 created")
    assert (await run("apply", "--dry-run", file))[1].count("unchanged") == 4
    for command, words in [
        ("datasources", ["NAME", "field", "coap", "listening", "mine"]),
        ("converters", ["mine", "UPLINK", "1", "thingsboard", "duktape", "field"]),
        ("integrations", ["out", "http", "running", "2"]),
        ("devices", ["dev-1", "dev-2"]),
    ]:
        code, out, _ = await run(command)
        assert code == 0
        assert [word for word in words if word not in out.split()] == [], out
    code, out, _ = await run("datasources", "field")
    assert json.loads(out)["converter"] == "mine"


@inline
async def test_a_refused_entry_is_shown_and_the_exit_code_says_so(run: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text('[[datasource]]\nname = "x"\ntype = "pigeon"')
    code, out, _ = await run("apply", str(tmp_path / "bad.toml"))
    assert code == 1
    assert "refused" in out
    assert "expected one of coap, got 'pigeon'" in out


@inline
async def test_what_an_applied_integration_warns_of_is_shown(bench: Any, run: Any, tmp_path: Path) -> None:
    bench.delivery.accounts = {"state": "running", "warnings": ["queue.maxBytes may not be reached"]}
    (tmp_path / "one.toml").write_text(
        '[[integration]]\nname = "out"\ntype = "http"\nconfiguration = { url = "http://x" }'
    )
    code, out, _ = await run("apply", str(tmp_path / "one.toml"))
    assert code == 0
    assert out.splitlines()[-1] == "warning: out: queue.maxBytes may not be reached"


@inline
async def test_the_status_is_a_table_or_json(run: Any, file: str) -> None:
    await run("apply", file)
    code, out, _ = await run("status")
    assert code == 0
    assert "ready" in out.splitlines()[0]
    assert "field" in out
    assert "udp 127.0.0.1:5683" in out
    assert json.loads((await run("--json", "status"))[1])["datasources"][0]["name"] == "field"
    assert json.loads((await run("status", "--json"))[1])["ready"] is True


@inline
async def test_the_status_says_that_converters_do_not_run_or_are_not_confined(bench: Any, run: Any) -> None:
    bench.converters.confinement = {"seccomp": False, "refusal": "no script is run, because it rains"}
    assert "No script is run, because it rains" in (await run("status"))[1].splitlines()
    bench.converters.confinement = {"seccomp": False, "unconfined": True, "why": "it rains"}
    assert "CONVERTERS ARE NOT CONFINED: it rains" in (await run("status"))[1].splitlines()
    bench.converters.confinement = {}
    assert "CONFINED" not in (await run("status"))[1]


@inline
async def test_the_status_of_a_gateway_that_takes_nothing_says_why(bench: Any, run: Any) -> None:
    bench.pipeline.has_room = Room(False, "journal", "the journal takes none: it is full")
    code, out, _ = await run("status")
    assert code == 1
    assert "NOT READY (the journal takes none: it is full)" in out.splitlines()[0]


@inline
async def test_failed_messages_are_converted_again(bench: Any, run: Any) -> None:
    bench.add("here", b"1", State.FAILED)
    assert (await run("reprocess"))[1] == "1 converted again: 1 converted\n"


@inline
async def test_filters_that_say_nothing_or_too_much_convert_nothing_again(bench: Any, run: Any) -> None:
    bench.add("here", b"1", State.FAILED)
    for arguments in (
        ("--device", ""),
        ("--datasource", ""),
        ("e1-1", "--state", "failed"),
        ("--limit", "0"),
    ):
        code, _, problem = await run("reprocess", *arguments)
        assert code == 1 and "expected" in problem.lower(), (arguments, problem)
    assert bench.messages[-1].state is State.FAILED
    assert (await run("reprocess", "e1-1"))[1] == "1 converted again: 1 converted\n"


@inline
async def test_what_devices_send_cannot_drive_the_terminal(bench: Any, run: Any) -> None:
    bench.add("here", b"x", device="\x1b[2Jevil\n")
    for command in (("messages",), ("message", "e1-1")):
        out = (await run(*command))[1]
        assert "\x1b" not in out
        assert "\\x1b[2Jevil" in out


@inline
async def test_queues_are_looked_at_and_acted_on(bench: Any, run: Any, file: str) -> None:
    await run("apply", file)
    code, out, _ = await run("integration", "out", "pause")
    assert (code, out) == (0, "out is paused; 1 messages wait\n")
    assert bench.delivery.calls[-1][0] == "pause"
    assert "400 Bad Request" in (await run("integration", "out", "dead-letters"))[1]
    assert (await run("integration", "out", "check"))[0] == 0
    assert (await run("integration", "out", "dismiss", "--device", "d 1"))[0] == 0
    assert bench.delivery.calls[-1][2:] == (None, "d 1", 0, "")
    assert (await run("integration", "out", "dismiss", "--position", "7"))[0] == 0
    assert bench.delivery.calls[-1][2:] == (7, "", 0, "")
    assert (await run("integration", "out", "dismiss", "--position", "8"))[0] == 1
    assert (await run("integration", "out", "purge", "--device", "d"))[0] == 2
    assert (await run("integration", "out", "dismiss", "--position", "7", "--device", "d"))[0] == 2


@inline
async def test_events_are_listed(bench: Any, run: Any) -> None:
    bench.events.emit(Event(5000, "failed", "datasource", "coap", "port taken", severity="error"))
    assert "port taken" in (await run("events"))[1]


@inline
async def test_a_converter_is_tried(run: Any, file: str, tmp_path: Path) -> None:
    await run("apply", file)
    code, out, _ = await run("try", "mine", "--text", "hello")
    assert code == 0
    assert '"deviceName": "hello"' in out
    (tmp_path / "bad.js").write_text("function fail() {}")
    code, out, _ = await run("try", "--script", str(tmp_path / "bad.js"), "--hex", "00")
    assert (code, "line 1, column 2: boom" in out) == (1, True)
    assert (await run("try", "--text", "x"))[0] == 2


@inline
async def test_sessions_and_credentials_are_listed_and_ended(bench: Any, run: Any, file: str) -> None:
    await run("apply", file)
    bench.hold_session(bench.registry.get("datasource", "field").id)
    assert "PSK-AES128-CCM8" in (await run("dtls", "field"))[1]
    assert (await run("dtls", "field", "--end", "s1"))[0] == 0
    assert (await run("dtls", "field", "--end", "s2"))[0] == 1
    assert (await run("credentials"))[1].startswith("NAME")


@inline
async def test_downlinks_are_queued_listed_and_cancelled(bench: Any, run: Any) -> None:
    assert await run("downlink", "dev-1", "--text", "R3=ACTIVE", "--ttl", "60") == (
        0,
        "downlink dl1 is QUEUED\n",
        "",
    )
    await run("downlink", "dev-1", "--hex", "00ff", "--last")
    await run("downlink", "dev-1", "--msg", '{"led": true}', "--msg-type", "RPC")
    specs = [item.spec for item in bench.parts.downlinks.items.values()]
    assert [spec.data for spec in specs[:2]] == ["R3=ACTIVE", "AP8="]
    assert [spec.policy for spec in specs] == ["fifo", "last", "fifo"]
    assert (specs[2].msg, specs[2].msg_type) == ({"led": True}, "RPC")
    assert (await run("downlinks", "dev-1"))[1].count("QUEUED") == 2  # the second took the first one's place
    assert "dl3 is DELETED" in (await run("downlinks", "dev-1", "--cancel", "dl3"))[1]
    assert (await run("downlinks", "dev-1", "--clear"))[1] == "1 cancelled\n"
    assert (await run("downlink", "dev-1", "--hex", "0"))[0] == 2


@inline
async def test_downlinks_of_all_devices_are_listed_by_state(run: Any) -> None:
    await run("downlink", "dev-1", "--text", "on")
    await run("downlink", "gate", "--text", "on", "--allow-unknown")
    await run("downlinks", "gate", "--clear")
    shown = (await run("downlinks"))[1].splitlines()
    assert [line.split()[:3] for line in shown] == [
        ["DEVICE", "ID", "STATE"], ["gate", "dl2", "DELETED"], ["dev-1", "dl1", "QUEUED"],
    ]  # fmt: skip
    assert "gate" not in (await run("downlinks", "--state", "open"))[1]
    assert "expected a DEVICE" in (await run("downlinks", "--clear"))[2]
    assert "list of all devices" in (await run("downlinks", "gate", "--state", "open"))[2]


@inline
async def test_a_token_is_made_and_deleted(run: Any) -> None:
    code, out, _ = await run("token", "app", "--role", "editor")
    assert (code, out.startswith("iotgw_")) == (0, True)
    assert (await run("delete", "token", "app"))[0] == 0


@inline
async def test_what_goes_wrong_is_one_line_and_an_exit_code(
    run: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    table = [
        (("message", "e1-77"), 1, "there is no message 'e1-77'"),
        (("delete", "datasource", "gone"), 1, "there is no datasource 'gone'"),
        (("--url", "http://127.0.0.1:1", "status"), 3, "cannot reach the gateway at http://127.0.0.1:1"),
        (("--url", "nonsense", "status"), 2, "expected http://HOST:PORT"),
        (("--token-file", str(tmp_path / "gone"), "status"), 2, "No such file"),
        (("apply", str(tmp_path / "gone.toml")), 2, "No such file"),
    ]
    for arguments, expected, text in table:
        code, out, err = await run(*arguments)
        assert (code, out, err.count("\n")) == (expected, "", 1), (arguments, err)
        assert text in err
    monkeypatch.setenv("IOTGW_TOKEN", "wrong")
    code, _, err = await run("status")
    assert (code, "--token-file" in err) == (1, True)


@inline
async def test_a_token_file_outranks_the_environment(
    run: Any, connect: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    (tmp_path / "token").write_text(connect("viewer").token + "\n")
    monkeypatch.setenv("IOTGW_TOKEN", "wrong")
    assert (await run("--token-file", str(tmp_path / "token"), "status"))[0] == 0


@inline
async def test_a_backup_says_where_it_is_and_what_is_not_in_it(run: Any) -> None:
    code, out, _ = await run("backup", "nightly")
    assert (code, "/backups/nightly on the gateway's host: 4096 bytes" in out) == (0, True)
    assert "not in it: secret.key" in out
    code, out, _ = await run("backup", "other", "--with-key")
    assert "secret.key" not in out
    code, _, err = await run("backup", "nightly")
    assert (code, "already a backup" in err) == (1, True)


@inline
async def test_a_plan_makes_its_backup_when_it_is_asked_for_and_is_listed(run: Any, bench: Any) -> None:
    assert "there are no backup plans" in (await run("backups"))[1]
    bench.parts.backup_plans.add("nas", "sftp://nas/b", "30 3 * * *")
    code, out, _ = await run("backup", "--to", "nas")
    assert (code, "sftp://nas/b/nas-1970-01-01T00-00-00Z: 4096 bytes" in out) == (0, True)
    bench.parts.backup_plans.failing["nas"] = "no route to host"
    code, _, err = await run("backup", "--to", "nas")
    assert (code, "no route to host" in err) == (3, True)
    code, out, _ = await run("backups")
    assert (code, "30 3 * * *" in out, "no route to host" in out) == (1, True, True)
    code, _, err = await run("backup", "x", "--to", "nas")
    assert (code, "goes alone" in err) == (2, True)
    assert (await run("backup", "--to", "weekly"))[0] == 1


@inline
async def test_what_is_no_backup_is_not_whole(run: Any, tmp_path: Path) -> None:
    code, _, err = await run("backup", "verify", str(tmp_path))
    assert (code, "there is no manifest.json" in err) == (2, True)
    code, _, err = await run("backup", "verify", "nas")
    assert (code, "expected a directory, or a backup of a plan of --config" in err) == (2, True)
    assert (await run("backup", "verify"))[0] == 2


@inline
async def test_a_paused_gateway_says_why_until_it_is_let_go(run: Any, bench: Any) -> None:
    bench.parts.pause.paused = Paused("restored from b1", 1_700_000_000_000)
    assert "PAUSED, nothing leaves until `iotgwctl resume`: restored from b1" in (await run("status"))[1]
    code, out, _ = await run("resume")
    assert (code, "restored from b1" in out) == (0, True)
    assert "PAUSED" not in (await run("status"))[1]
    assert "it was not paused" in (await run("resume"))[1]


@inline
async def test_the_status_says_who_refused_and_why(run: Any, bench: Any, file: str) -> None:
    await run("apply", file)
    assert "REFUSED BY" not in (await run("status"))[1]
    bench.parts.doors.note("api", "token", "192.0.2.7", "a wrong token")
    for status in bench.pipeline.statuses.values():
        status["refusals"] = {"credentials": 3}
    lines = [" ".join(line.split()) for line in (await run("status"))[1].splitlines()]
    assert lines[-3:] == ["REFUSED BY REASON TIMES", "field credentials 3", "api token 1"]


def test_cells_fit_and_are_harmless() -> None:
    assert table(("A", "B"), [("x" * 100, None), (True, {"k": 1})]).splitlines() == [
        "A" + " " * 61 + "B",
        "x" * 59 + "…  -",
        "yes" + " " * 59 + '{"k": 1}',
    ]
    assert printable("a\x1b\u202eb") == "a\\x1b\\u202eb"
    assert (payload("aGk="), payload("AP8=")) == ("hi", "00ff")


@inline
async def test_a_target_is_tried_and_what_was_exchanged_is_shown(bench: Any, run: Any, file: str) -> None:
    await run("apply", file)
    bench.add("here", b"x")
    shown = [{"request": f"POST /{n} HTTP/1.1\n\n{{}}", "answer": "HTTP 400\n\n\x1b[2Jno"} for n in (1, 2)]
    bench.delivery.answer = {"ok": False, "detail": "HTTP 400: no", "exchanges": shown}
    code, out, _ = await run("integration", "out", "test", "--message", "e1-1", "--output", "1")
    assert code == 1 and bench.delivery.calls[-1][2].device_name == "dev-1"
    assert "HTTP 400: no" in out
    assert "--- request 1 of 2\nPOST /1 HTTP/1.1\n\n{}\n\n--- answer 1 of 2\nHTTP 400\n\n\\x1b[2Jno\n" in out
    bench.delivery.answer = {"ok": True, "detail": "connected", "untried": ["this", "that"]}
    assert "this; that" in (await run("integration", "out", "check"))[1]
    assert (await run("integration", "out", "check", "--message", "e1-1"))[0] == 2
    assert (await run("integration", "out", "test", "--device", "d"))[0] == 2


def test_on_a_terminal_a_table_is_as_wide_as_that_and_the_reason_whole() -> None:
    reason = "connection refused: " + "the target said a great many things " * 4
    rows = [("a" * 50, "b" * 30, 5, reason.strip()), ("c", "d", 6, None)]
    made = table(("NAME", "TYPE", "N", "WHY"), rows, width=80)
    lines = made.splitlines()
    assert max(map(len, lines)) <= 80
    assert " ".join(line[lines[0].index("WHY") :].strip() for line in lines[1:-1]).split() == reason.split()
    assert "…" in lines[1] and not lines[2][: lines[0].index("WHY")].strip()
    assert table(("NAME", "TYPE", "N", "WHY"), rows, width=0).splitlines()[1].endswith("things")


def test_a_table_that_fits_is_no_wider_than_it_has_to_be() -> None:
    made = table(("A", "B"), [("x", "why not")], width=80)
    assert made.splitlines() == ["A  B", "x  why not"]


def test_a_word_longer_than_the_terminal_goes_on_in_the_next_line() -> None:
    made = table(("A", "B"), [("x", "y" * 100)], width=40)
    assert "".join(line.replace("x", "").strip() for line in made.splitlines()[1:]) == "y" * 100


def test_ideographs_take_two_places() -> None:
    assert table(("A", "B"), [("温度", "x"), ("ab", "y")], width=0).splitlines()[1:] == ["温度  x", "ab    y"]


@inline
async def test_a_list_is_csv_too_with_whole_cells_and_no_formulas(run: Any, connect: Any) -> None:
    await connect().ok("PUT", "/devices/d-1", {"name": "d-1", "label": "=cmd()", "groups": ["a", "b"]})
    code, out, _ = await run("devices", "d-1", "--output", "csv")
    assert code == 2
    code, out, _ = await run("--output", "csv", "devices", "--text", "d-1")
    assert (code, out.splitlines()) == (
        0,
        ["NAME,LABEL,TYPE,GROUPS,LAST SEEN,HEALTH", 'd-1,\'=cmd(),,"a, b",,'],
    )
    code, out, _ = await run("devices", "--output", "json")
    assert json.loads(out)["items"]


@inline
async def test_times_are_local_or_in_utc(run: Any, connect: Any, bench: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        bench.add("x", b"1")
        local = (await run("messages"))[1]
        utc = (await run("messages", "--utc"))[1]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert "1970-01-01 09:00:01" in local
    assert "1970-01-01 00:00:01" in utc
