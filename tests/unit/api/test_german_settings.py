"""The console's forms in German: what the schemas say in English is said in German, too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from iotgw.core.credential import CredentialSpec
from iotgw.core.device_entry import DeviceSpec
from iotgw.core.specs import DatasourceSpec, IntegrationSpec
from tests.unit.api import schemas

GERMAN = Path(__file__).parents[3] / "console" / "src" / "texts" / "settings.de.json"
FORMS = (DatasourceSpec, IntegrationSpec, CredentialSpec, DeviceSpec)


@pytest.fixture(scope="module")
def german() -> Any:
    return msgspec.json.decode(GERMAN.read_bytes())


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    """The schemas of which forms are made, as console/src/ui/form.tsx goes from one to the next."""
    everything = schemas.of_types(FORMS)
    waiting = [schemas.reference(each.__name__) for each in FORMS]
    for spec in ("DatasourceSpec", "IntegrationSpec"):
        by_type = everything[spec]["properties"]["configuration"].pop("anyOf")
        waiting += [{"$ref": each["$ref"]} for each in by_type]
    found: dict[str, Any] = {}
    while waiting:
        for name in schemas.named_in(forms_of(waiting.pop())):
            if name not in found:
                found[name] = everything[name]
                waiting += everything[name].get("properties", {}).values()
    return found


def forms_of(said: Any) -> Any:
    """What of a property becomes a form inside the form; what may be several things is edited as JSON."""
    if "discriminator" in said:
        return [{"$ref": each} for each in said["discriminator"]["mapping"].values()]
    real = [each for each in said.get("anyOf", ()) if each.get("type") != "null"]
    if len(real) == 1:
        return forms_of(real[0])
    return [{"$ref": said.get("$ref")}, {"$ref": said.get("items", {}).get("$ref")}]


def texts(shown: dict[str, Any], part: str) -> dict[str, str]:
    """What forms say, and where; which kind something is stands in a list to choose from."""
    said = {each[part]: name for name, each in schemas.properties(shown)}
    return {text: name for text, name in said.items() if not text.startswith("Which kind this is")}


@pytest.mark.parametrize("part", ["title", "description"])
def test_everything_that_forms_say_is_said_in_german(shown: dict[str, Any], german: Any, part: str) -> None:
    said = texts(shown, part)
    assert len(said) > 300
    assert {name: text for text, name in said.items() if not german[f"{part}s"].get(text)} == {}


@pytest.mark.parametrize("part", ["title", "description"])
def test_nothing_is_said_in_german_that_no_form_says(shown: dict[str, Any], german: Any, part: str) -> None:
    assert {*german[f"{part}s"]} - {*texts(shown, part)} == set()


def test_what_is_to_be_typed_is_the_same_in_german(german: Any) -> None:
    def typed(text: str) -> list[str]:
        return sorted(re.findall(r"`[^`]+`", text))

    assert [one for one, other in german["descriptions"].items() if typed(one) != typed(other)] == []
