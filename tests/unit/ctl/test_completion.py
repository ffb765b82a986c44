"""What shells complete, and the manual pages: both are made from the commands themselves."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted

from iotgw.ctl import man
from iotgw.ctl.main import MODULES, main
from tests.unit.api.test_configuration import document


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_each_shell_gets_what_it_needs(shell: str, capsys: Any) -> None:
    assert main(["completion", shell]) == 0
    assert "_IOTGWCTL_COMPLETE" in capsys.readouterr().out


@inline
async def test_commands_options_choices_and_the_gateway_s_names_are_completed(
    run: Any, connect: Any, monkeypatch: Any
) -> None:
    await connect().ok("POST", "/apply?whole=true", document())
    await run("status")
    monkeypatch.setenv("_IOTGWCTL_COMPLETE", "bash_complete")

    async def completed(*words: str) -> list[str]:
        monkeypatch.setenv("COMP_WORDS", " ".join(["iotgwctl", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        _, out, _ = await run()
        return [line.partition(",")[2] for line in out.split()]

    assert await completed("mes") == ["message", "messages"]
    assert await completed("device", "im") == ["import"]
    assert await completed("messages", "--st") == ["--state"]
    assert await completed("messages", "--state", "con") == ["converted"]
    assert await completed("url", "fi") == ["field"]
    assert await completed("telemetry", "m-") == ["m-1"]
    assert await completed("try", "te") == ["tekelek/logger"]
    monkeypatch.setenv("IOTGW_URL", "http://127.0.0.1:1")
    assert await completed("url", "fi") == []


def test_each_command_has_its_page_with_its_options() -> None:
    pages = dict(man.pages())
    commands = {f"iotgwctl-{name}.1" for names in MODULES.values() for name in names}
    assert commands | {"iotgwctl.1", "iotgwctl-device-import.1"} <= pages.keys()
    assert "\\-\\-dry\\-run" in pages["iotgwctl-apply.1"]
    assert ".SH EXIT STATUS" in pages["iotgwctl.1"]
    assert not any(line.startswith(("'", "..")) for page in pages.values() for line in page.splitlines())
