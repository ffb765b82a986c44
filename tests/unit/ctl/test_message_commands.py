"""Messages on the command line: finding them, and following them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import pytest_twisted

from iotgw.core.model import State
from iotgw.ctl.client import CtlError
from iotgw.ctl.commands.messages import follow, refusals
from iotgw.ctl.refusal_tail import RefusalTail


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


@inline
async def test_messages_are_shown_with_what_became_of_them(bench: Any, run: Any) -> None:
    bench.add("here", b"hello")
    bench.add("here", b"\x00\xff", State.FAILED)
    bench.add("here", b"quiet", State.FILTERED)
    _, out, _ = await run("messages")
    assert "dev-1: n=1" in out
    assert "line 3, column 7: boom" in out
    assert "quiet" in out
    _, out, _ = await run("message", "e1-1")
    assert "telemetry" in out
    assert "delivery    out delivered" in out
    assert "protocol = http" in out
    assert "00ff" in (await run("message", "e1-2"))[1]
    assert len(json.loads((await run("messages", "--json", "--state", "failed"))[1])["items"]) == 1


@inline
async def test_messages_are_looked_for_as_far_as_it_takes(bench: Any, run: Any) -> None:
    bench.add("rare", b"1")
    for _ in range(6):
        bench.add("here", b"x")
    bench.journal.looks = 2
    _, out, _ = await run("messages", "--json", "--datasource", "rare")
    assert [each["id"] for each in json.loads(out)["items"]] == ["e1-1"]
    _, out, _ = await run("messages", "--text", "nowhere")
    assert out.startswith("no such messages; looked back to 19")
    assert "no such messages" in (await run("messages", "--since", "2h"))[1]
    assert "dev-1" in (await run("messages", "--since", "1970-01-01T00:00:00Z", "--until", "today"))[1]
    code, _, err = await run("messages", "--since", "1970-01-02T00:00Z", "--until", "1970-01-01T01:00Z")
    assert (code, "until: expected a time after" in err) == (1, True)


def _named(each: Any) -> dict[str, Any]:
    """A message of its position, or of its epoch, position and time."""
    epoch, position, at = each if isinstance(each, tuple) else ("e1", each, each)
    return {"id": f"{epoch}-{position}", "receivedAt": at}


class Scripted:
    """Answers a list of pages, one per call; an error is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def get(self, path: str, **query: Any) -> Any:
        self.asked.append(query)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if answer and isinstance(answer[0], dict):
            return {"items": answer, "next": None}
        return {
            "items": [_named(each) for each in answer],
            "next": _named(answer[-1])["id"] if answer else None,
        }


def test_a_tail_shows_each_message_once_in_order_across_pages_and_an_absence() -> None:
    client = Scripted([3, 2], [5, 4], [3, 2], CtlError("away", 3), [5], [6, 5], CtlError("no", 1))
    seen = []
    with pytest.raises(CtlError):
        for item in follow(client, {}, 2, sleep=lambda seconds: None):
            seen.append(item["id"])
    assert seen == ["e1-2", "e1-3", "e1-4", "e1-5", "e1-6"]


def test_a_tail_shows_what_is_refused_from_now_on_in_between() -> None:
    refused = RefusalTail(events := Scripted([{"id": 7}]), "field")  # type: ignore[arg-type]
    events.answers = [[{"id": 9}, {"id": 8}, {"id": 7}], [{"id": 9}]]
    client = Scripted([2], [3, 2], [3], CtlError("no", 1))
    seen: list[Any] = []
    with pytest.raises(CtlError):
        for item in follow(client, {}, 1, sleep=lambda seconds: None, refused=refused):  # type: ignore[arg-type]
            seen.append(item["id"])
    assert seen == ["e1-2", "e1-3", 8, 9]


def test_a_tail_of_what_is_refused_shows_nothing_else() -> None:
    refused = RefusalTail(events := Scripted([{"id": 7}, {"id": 6}]), lines=2)  # type: ignore[arg-type]
    events.answers = [
        [{"id": 8}, {"id": 7}],
        CtlError("away", 3),
        [{"id": 8}],
        [{"id": 9}],
        CtlError("no", 1),
    ]
    seen: list[Any] = []
    with pytest.raises(CtlError):
        for item in refusals(refused, sleep=lambda seconds: None):
            seen.append(item["id"])
    assert seen == [6, 7, 8, 9]


@inline
async def test_a_tail_of_what_is_refused_takes_no_other_filter(run: Any) -> None:
    code, _, err = await run("tail", "--refused", "--device", "kitchen")
    assert (code, err) == (2, "iotgwctl: --device is not for --refused\n")


def test_a_filtered_tail_looks_no_further_back_than_the_newest_message() -> None:
    client = Scripted([5], [5], [6], [6, 5], [], CtlError("no", 1))
    with pytest.raises(CtlError):
        list(follow(client, {"device": "rare"}, 1, sleep=lambda seconds: None))  # type: ignore[arg-type]
    assert [each.get("view") for each in client.asked[:4]] == ["row", None, "row", None]
    assert (client.asked[3]["since"], client.asked[3]["device"]) == (0, "rare")


def test_a_tail_goes_on_over_a_restart_and_over_a_journal_that_was_put_back() -> None:
    older, last = ("e1", 8, 80), ("e2", 9, 90)
    restarted, put_back = ("e3", 10, 100), ("e4", 9, 110)
    client = Scripted([last, older], [restarted, last], [put_back, older], CtlError("no", 1))
    seen = []
    with pytest.raises(CtlError):
        for item in follow(client, {}, 1, sleep=lambda seconds: None):
            seen.append(item["id"])
    assert seen == ["e2-9", "e3-10", "e4-9"]


@inline
async def test_what_a_device_measured_is_a_table(bench: Any, run: Any) -> None:
    for number in range(1, 6):
        bench.add("here", b"%d" % number, device="kitchen")
    out = (await run("telemetry", "kitchen", "--limit", "2"))[1].splitlines()
    assert [line.split()[2:] for line in out[1:]] == [["n", "4"], ["n", "5"]]
    bench.journal.looks = 2
    lines = (await run("telemetry", "kitchen", "--every", "4s"))[1].splitlines()
    assert [line.split()[-5:] for line in lines[1:]] == [
        ["n", "3", "1", "3", "2"],
        ["n", "2", "4", "5", "4.5"],
    ]
    lines = (await run("telemetry", "kitchen", "--since", "1970-01-01T00:00Z"))[1].splitlines()
    assert [line.split()[3] for line in lines[1:]] == ["1", "2", "3", "4", "5"]
    assert (await run("telemetry", "kitchen", "--keys", "x", "--every", "1h"))[1] == "no readings\n"
    assert (await run("telemetry", "nobody"))[1] == "no readings\n"


@inline
async def test_what_fails_is_a_table_of_groups(bench: Any, run: Any) -> None:
    assert (await run("failures"))[1] == "nothing fails\n"
    for _ in range(3):
        bench.add("here", b"x", State.FAILED, converter="conv/2")
    bench.journal.looks = 1
    lines = (await run("failures", "--since", "1970-01-01T00:00Z", "--kind", "conversion"))[1].splitlines()
    group, kind, *rest = lines[1].split()
    assert (kind, rest[:3], rest[-4:]) == ("conversion", ["conv", "v2", "3"], ["e1-3", "line", "3:", "boom"])
    bench.journal.looks = 100
    assert (await run("reprocess", "--group", group))[1] == "3 converted again: 3 converted\n"
    bench.add("here", b"x", State.FAILED, converter="")
    (failed,) = [line.split() for line in (await run("failures"))[1].splitlines() if " conversion " in line]
    assert failed[2:4] == ["here", "1"], "no converter was reached: it is the datasource's"
