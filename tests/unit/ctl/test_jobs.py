"""Long actions on the command line."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from msgspec.structs import replace

from iotgw.core.specs import DownlinkSpec
from iotgw.ctl.client import CtlError
from iotgw.ctl.commands.jobs import wait


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


def went(bench: Any, **changes: Any) -> None:
    """The newest job is changed so."""
    tenant, view = bench.parts.jobs.begun[-1]
    bench.parts.jobs.begun[-1] = (tenant, replace(view, **changes))


@inline
async def test_a_job_is_begun_looked_at_and_cancelled(bench: Any, run: Any) -> None:
    code, out, _ = await run("job", "reprocess", "--device", "kitchen", "--since", "1970-01-01T00:00:05Z")
    assert (code, out) == (0, "job1  reprocess running: 0/? done\n")
    assert bench.parts.jobs.begun[0][1].what == {"state": "failed", "device": "kitchen", "since": 5000}
    went(bench, total=9, done=4, counts={"failed": 1, "converted": 3}, before={"messages": 9})
    assert (await run("job", "show", "job1"))[1].splitlines() == [
        "job1  reprocess running: 4/9 done (3 converted, 1 failed)", "messages: 9 before",
    ]  # fmt: skip
    row = (await run("jobs"))[1].splitlines()[1]
    assert row.split()[:4] == ["job1", "reprocess", "running", "4/9"]
    assert "cancelled" in (await run("job", "cancel", "job1"))[1]
    assert (await run("job", "show", "nothing"))[0] == 1


@inline
async def test_a_downlink_goes_to_a_group_and_what_became_of_it_is_shown(bench: Any, run: Any) -> None:
    mistyped = await run("job", "downlink", "--group", "cellar", "--payload", "on")
    assert (mistyped[0], "no device has the group 'cellar'" in mistyped[2]) == (1, True)
    assert (await run("device", "set", "meter-1", "groups=cellar"))[0] == 0
    code, out, _ = await run(
        "job",
        "downlink",
        "--group",
        "cellar",
        "--payload",
        "on",
        "--rate",
        "5",
        "--at",
        "2030-01-02T03:04:05Z",
    )
    assert (code, out.startswith("job1  downlinks waiting until 2030-01-0")) == (0, True)
    what = bench.parts.jobs.begun[0][1].what
    assert (what["group"], what["rate"], what["downlink"]["data"]) == ("cellar", 5, "on")
    assert (await run("job", "downlinks", "job1"))[1] == "none yet\n"
    spec = DownlinkSpec(data="on", content_type="TEXT")
    item = await bench.parts.downlinks.push("default", "meter-1", spec, "job1")
    lines = (await run("job", "downlinks", "job1", "--state", "queued"))[1].splitlines()
    assert (lines[0], lines[3].split()[:3]) == ("1 QUEUED", ["meter-1", "QUEUED", item.id])
    assert "1 downlinks cancelled" in (await run("job", "downlinks", "job1", "--stop"))[1]
    assert (await run("job", "downlink", "nobody", "--hex", "00"))[0] == 1
    assert (await run("job", "downlink", "nobody", "--hex", "00", "--allow-unknown"))[0] == 0


@inline
async def test_dead_letters_are_sent_again_by_a_job(bench: Any, run: Any) -> None:
    code, _, err = await run("job", "retry", "nobody")
    assert (code, "no integration" in err) == (1, True)


@inline
async def test_a_job_that_failed_is_a_failure(bench: Any, run: Any) -> None:
    await run("job", "reprocess")
    went(bench, state="failed", problem="the journal is closed")
    code, out, _ = await run("job", "wait", "job1")
    assert (code, "the journal is closed" in out) == (1, True)


class Scripted:
    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def get(self, path: str) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_job_is_waited_for_over_a_restart_of_the_gateway() -> None:
    running = {"id": "a", "kind": "retry", "state": "running", "done": 1, "total": 2}
    over = {**running, "state": "done"}
    client = Scripted(running, CtlError("away", 3), over)
    assert wait(client, running, sleep=lambda seconds: None) == over  # type: ignore[arg-type]
    with pytest.raises(CtlError):
        wait(Scripted(CtlError("no", 1)), running, sleep=lambda seconds: None)  # type: ignore[arg-type]
