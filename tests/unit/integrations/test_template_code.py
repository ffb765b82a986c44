"""A template is compiled once: in a thread where it is saved, before anybody in the reactor's thread needs it."""

from __future__ import annotations

import pytest

from iotgw.core.epochs import Epochs
from iotgw.core.errors import SettingsError
from iotgw.core.specs import IntegrationSpec
from iotgw.core.types import Types
from iotgw.core.validate import convert
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.http import HttpType
from iotgw.integrations.http_settings import HttpSettings
from iotgw.integrations.template import Template, compiled, look_at
from iotgw.testing import FakeConnector, MemoryReactor, integration_context

NAMES = RecordNames(Epochs("e"), str)


@pytest.mark.parametrize("text", ["", "a", "a\r\nb\rc\n", "}} %} #} }", "ä%s$&", "\n"])
def test_a_text_without_templates_is_itself_with_its_line_ends_as_jinja_has_them(text: str) -> None:
    assert Template(text, "place", NAMES).constant == text.replace("\r\n", "\n").replace("\r", "\n")


def test_what_is_wrong_with_a_template_is_said_with_each_place_where_it_stands() -> None:
    for place in ("configuration.topic", "template"):
        with pytest.raises(SettingsError, match="line 2") as refused:
            Template("\n{{ deviceName( }}", place, NAMES)
        assert refused.value.path == place


def test_what_was_looked_at_is_compiled_when_the_target_is_made() -> None:
    configuration = {
        "url": "https://h:1/{{ deviceName }}?a={{ deviceType|upper }}", "query": {"q": "{{ ts|string }}"}, "headers": {"X-A": "{{ kind }}-{{ ts }}"},
        "body": "multipart", "fields": {"f": "{% if ts %}{{ date }}{% endif %}"}, "file": {"filename": "{{ date }}.txt"},
    }  # fmt: skip
    types = Types(
        "none", MemoryReactor(), [lambda reactor: HttpType(reactor, connector=FakeConnector())], look=look_at
    )
    types.look_at("http", configuration, "{{ values|tojson }}")
    before = compiled.cache_info().misses
    spec = IntegrationSpec(name="x", type="http", configuration=configuration, format="template", template="{{ values|tojson }}")  # fmt: skip
    types.get("http").build(convert(configuration, HttpSettings), integration_context(spec))
    assert compiled.cache_info().misses == before


def test_looking_never_raises_and_ends() -> None:
    compiled.cache_clear()
    types = Types(
        "none", MemoryReactor(), [lambda reactor: HttpType(reactor, connector=FakeConnector())], look=look_at
    )
    types.look_at("http", {"url": 7, "headers": {str(n): "{{ ts }}" * 400 + str(n) for n in range(100)}})
    types.look_at("nobody's", {}, "{{")
    assert 0 < compiled.cache_info().currsize < 50


def test_the_templates_of_a_request_are_bounded_together() -> None:
    with pytest.raises(SettingsError, match="at most 65536 characters in query, headers and fields"):
        convert({"url": "http://h", "headers": {str(n): "x" * 1000 for n in range(66)}}, HttpSettings)
