"""`iotgwctl presets`, and `iotgwctl integration add NAME --preset PRESET`: integrations for targets that many have."""

from __future__ import annotations

import getpass
import sys
from typing import Any
from urllib.parse import quote

from iotgw.ctl.client import USAGE, CtlError
from iotgw.ctl.command import Commands, Context
from iotgw.ctl.table import table


def add(commands: Commands) -> None:
    """Add the command."""
    commands.add("presets", _presets, "list the targets that integrations can be added for")


def _presets(context: Context) -> None:
    found = context.client.get("/integration-presets")["items"]
    rows = [
        (each["name"], each["title"], ", ".join(asked["name"] for asked in each["ask"])) for each in found
    ]
    context.show(found, lambda _: table(("PRESET", "TARGET", "ASKS"), rows))


def add_integration(context: Context, name: str) -> int:
    """Ask what is not given with ``--answer``, and add the integration."""
    options = context.options
    path = f"/integration-presets/{quote(options.preset, safe='')}"
    answers = dict(_given(text) for text in options.answer)
    for question in context.client.get(path)["ask"]:
        if question["name"] not in answers and (answer := _ask(question)) is not None:
            answers[question["name"]] = answer
    spec = context.client.call("POST", path, {"name": name, "answers": answers})
    made = context.client.call("POST", "/integrations", spec)
    context.show(made, _made)
    return 0


def _made(integration: dict[str, Any]) -> str:
    lines = [f"{integration['name']} is added"]
    lines += [f"warning: {text}" for text in integration["status"].get("warnings", ())]
    return "\n".join(lines)


def _given(text: str) -> tuple[str, str]:
    name, equals, answer = text.partition("=")
    if not equals:
        raise CtlError(f"--answer: expected NAME=ANSWER, got {text!r}", USAGE)
    return name, answer


def _ask(question: dict[str, Any]) -> str | None:
    """A person's answer; None for the default."""
    default = question.get("default")
    if not sys.stdin.isatty():
        if default is None:
            raise CtlError(f"expected --answer {question['name']}=…: {question['says']}", USAGE)
        return None
    prompt = f"{question['name']}: {question['says']}" + (f" [{default}]" if default else "") + ": "
    answer = getpass.getpass(prompt) if question["secret"] else input(prompt)
    return answer.strip() or None
