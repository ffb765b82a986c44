"""A preset of a target: an integration's settings with places left open, and the questions that fill them.

An integration is made of it once, when it is added, and is like any other from then on. ``$(name)`` in a text of the settings is the answer to the
question of that name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import quote

from msgspec import UNSET, Meta, Struct, UnsetType

from iotgw.core.errors import SettingsError

_PLACE = re.compile(r"\$\((\w+)\)")
_TEMPLATE = re.compile(r"\{[{%#]")
LONGEST_ANSWER = 4096


class Question(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be said about a target."""

    name: Annotated[str, Meta(description="What the answer is called.")]
    says: Annotated[str, Meta(description="What is asked for.")]
    default: Annotated[
        str | UnsetType,
        Meta(description="The answer where none is given; without one, it has to be answered."),
    ] = UNSET
    secret: Annotated[bool, Meta(description="Whether nobody may see the answer.")] = False
    place: Annotated[
        Literal["text", "url"], Meta(description="An answer for a `url` is percent-encoded.")
    ] = "text"
    number: Annotated[bool, Meta(description="Whether the answer becomes a number.")] = False
    without: Annotated[
        list[str], Meta(description="Members of the configuration that an empty answer leaves out.")
    ] = []


class TargetPreset(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A target that many have. ``unverified`` is what nobody has tried on the real one."""

    title: str
    about: str
    type: str
    ask: list[Question] = []
    format: str = "standard"
    template: str = ""
    split: str = "device"
    configuration: dict[str, Any] = {}
    unverified: str = ""

    def spec(self, name: str, answers: Mapping[str, str]) -> dict[str, Any]:
        """The integration of that name, as it is saved. Raises SettingsError for an answer that is missing or wrong."""
        known = {question.name: question for question in self.ask}
        for given in answers:
            if given not in known:
                raise SettingsError(f"answers.{given}", f"expected one of {', '.join(known)}")
        found = {each.name: _answer(each, answers.get(each.name, each.default)) for each in self.ask}
        configuration = filled(self.configuration, found)
        for question in self.ask:
            if found[question.name] == "":
                for member in question.without:
                    configuration.pop(member, None)
        spec = {
            "name": name, "type": self.type, "configuration": configuration, "format": self.format, "split": self.split,
        }  # fmt: skip
        return spec | ({"template": filled(self.template, found)} if self.template else {})


def _answer(question: Question, answer: str | UnsetType) -> str | int:
    place = f"answers.{question.name}"
    if answer is UNSET or (answer == "" and question.default != ""):
        raise SettingsError(place, f"expected {question.says}")
    if len(answer) > LONGEST_ANSWER or not answer.isprintable():
        raise SettingsError(
            place, f"expected one line of at most {LONGEST_ANSWER} characters", question.secret
        )
    if _TEMPLATE.search(answer):
        raise SettingsError(place, "expected a text without {{, {% and {#", question.secret)
    if question.number:
        if not re.fullmatch("[0-9]{1,15}", answer):
            raise SettingsError(place, f"expected a number, got {answer[:40]!r}")
        return int(answer)
    if question.place == "url":
        return quote(answer, safe="")
    return answer.rstrip("/") if "://" in answer else answer


def filled(value: Any, answers: Mapping[str, str | int]) -> Any:
    """A value with the answers in its places. A text that is one place is the answer itself."""
    if isinstance(value, dict):
        return {key: filled(each, answers) for key, each in value.items()}
    if isinstance(value, list):
        return [filled(each, answers) for each in value]
    if not isinstance(value, str):
        return value
    if match := _PLACE.fullmatch(value):
        return answers[match[1]]
    return _PLACE.sub(lambda found: str(answers[found[1]]), value)
