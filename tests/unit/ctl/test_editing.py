"""Single definitions by hand, waiting for a state, and what is said of what was done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from iotgw.ctl.client import CtlError
from iotgw.ctl.commands import queues
from iotgw.ctl.commands.converters import SLICES
from iotgw.ctl.commands.raw import wait
from tests.unit.api.test_configuration import document


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: Any) -> Any:
    """``editor(script)`` has `edit` run a shell script on the file."""

    def make(script: str) -> None:
        (tmp_path / "editor").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "editor").chmod(0o755)
        monkeypatch.setenv("VISUAL", str(tmp_path / "editor"))

    return make


@pytest.fixture
def made(connect: Any) -> Any:
    return lambda: connect().ok("POST", "/apply?whole=true", document())


@inline
async def test_a_definition_is_edited_as_toml_and_its_masked_secrets_stay(
    run: Any, made: Any, editor: Any, bench: Any
) -> None:
    await made()
    editor("sed -i 's/5683/5684/' \"$1\"")
    code, out, _ = await run("edit", "datasource", "field")
    assert (code, out) == (0, "datasource field is saved (revision 2)\n")
    body = bench.registry.get("datasource", "field").body
    assert body["configuration"]["port"] == 5684
    assert bench.registry.unseal(body["configuration"]["preSharedKey"]) == "hush"


@inline
async def test_what_was_not_changed_is_not_saved_and_what_was_refused_is_not_lost(
    run: Any, made: Any, editor: Any, bench: Any
) -> None:
    await made()
    editor("true")
    assert (await run("edit", "datasource", "field"))[1] == "nothing was changed\n"
    editor('echo \'mistake = "x"\' > "$1"')
    code, _, err = await run("edit", "datasource", "field")
    assert code == 1 and "unknown field" in err
    kept = Path(err.rpartition(" is in ")[2].strip())
    assert kept.read_text() == 'mistake = "x"\n'
    kept.unlink()
    assert bench.registry.get("datasource", "field").revision == 1


@inline
async def test_somebody_else_s_change_is_not_overwritten(
    run: Any, made: Any, editor: Any, bench: Any, monkeypatch: Any
) -> None:
    await made()
    field = bench.registry.get("datasource", "field")

    def edited(text: str, extension: str) -> str:
        bench.registry.replace("datasource", field.id, {**field.body, "description": "theirs"})
        return text.replace("5683", "5684")

    monkeypatch.setattr("click.edit", edited)
    code, _, err = await run("edit", "datasource", "field")
    assert code == 1 and "the revision is 2 now, not 1" in err
    Path(err.rpartition(" is in ")[2].strip()).unlink()
    assert bench.registry.get("datasource", "field").body["description"] == "theirs"


@inline
async def test_fields_are_set_by_their_paths_and_definitions_switched(
    run: Any, made: Any, bench: Any
) -> None:
    await made()
    arguments = ("configuration.port=5690", 'metadata={"floor": 2}', "description=by hand")
    assert (await run("set", "datasource", "field", *arguments))[0] == 0
    body = bench.registry.get("datasource", "field").body
    assert (body["configuration"]["port"], body["metadata"], body["description"]) == (
        5690,
        {"floor": 2},
        "by hand",
    )
    assert (await run("disable", "datasource", "field"))[1] == "datasource field is disabled\n"
    assert not bench.registry.get("datasource", "field").body["enabled"]
    assert (await run("enable", "datasource", "field"))[1] == "datasource field is enabled\n"
    assert (await run("set", "datasource", "field"))[0] == 2


@inline
async def test_a_vector_that_fails_says_what_came_instead(run: Any, made: Any) -> None:
    await made()
    code, out, _ = await run("converter", "test-suite", "mine")
    assert code == 1
    assert out.splitlines()[1].split()[:2] == ["-", "no"]
    assert out.splitlines()[-1] == "0 passed, 1 failed"


@inline
async def test_a_replay_over_a_time_is_cut_into_parts_and_added_up(run: Any, made: Any, bench: Any) -> None:
    await made()
    code, out, _ = await run("--json", "converter", "replay", "mine", "--version", "1", "--since", "1d")
    assert (code, json.loads(out)["count"]) == (0, 0)
    assert SLICES > 1


class Gateway:
    """Answers with one status after the other; an exception is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = [*answers]

    def get(self, path: str, **query: Any) -> Any:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def status(waiting: int = 0, **integrations: int) -> dict[str, Any]:
    found = [{"name": name, "waiting": count} for name, count in integrations.items()]
    return {"journal": {"waiting": waiting}, "integrations": found}


@pytest.mark.parametrize(
    ("state", "integration", "answers"),
    [
        ("ready", None, [CtlError("away", 3), {"status": "ready"}]),
        ("converted", None, [status(2), status(0, out=5)]),
        ("delivered", None, [status(0, out=2), CtlError("away", 3), status(0, out=0)]),
        ("delivered", "out", [status(0, out=1, other=5), status(0, out=0, other=5)]),
    ],
)
def test_a_state_is_waited_for(state: str, integration: str | None, answers: list[Any]) -> None:
    gateway: Any = Gateway(*answers)
    now = [0.0]
    waited = wait(
        gateway,
        state,
        integration,
        10.0,
        lambda seconds: now.__setitem__(0, now[0] + seconds),
        lambda: now[0],
    )
    assert waited == 0.5 * (len(answers) - 1)


def test_who_has_waited_long_enough_is_told_for_what() -> None:
    gateway: Any = Gateway(status(0, out=3))
    now = [0.0]
    with pytest.raises(CtlError, match="not delivered after 2 s: messages wait: 3 for out"):
        wait(
            gateway,
            "delivered",
            None,
            2.0,
            lambda seconds: now.__setitem__(0, now[0] + seconds),
            lambda: now[0],
        )
    with pytest.raises(CtlError, match="there is no integration 'outt'"):
        wait(gateway, "delivered", "outt", 2.0)


def test_dead_letters_that_are_sent_again_are_waited_for_and_counted() -> None:
    slept: list[float] = []
    gateway: Any = Gateway({"waiting": 0, "inflight": 1, "dead": 1}, {"waiting": 0, "inflight": 0, "dead": 3})
    after = queues.settled(gateway, "/stats", {"waiting": 12, "dead": 0}, slept.append)
    assert (after["dead"], len(slept)) == (3, 2)
    assert queues.DONE["retry"]("out", {"dead": 12}, after, 12) == "12 dead letters sent again; 3 refused"
    assert queues.DONE["retry"]("out", {"dead": 12}, {"dead": 11, "waiting": 1}, 1) == (
        "1 dead letters sent again; 0 refused; 1 wait"
    )
    assert queues.DONE["purge"]("out", {"waiting": 5}, {"waiting": 0}, 0) == "5 messages for out are dropped"
