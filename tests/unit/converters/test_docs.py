"""Every example of docs/converters/ runs, in the dialect and with the result that it states."""

import json
import re
from pathlib import Path

import pytest
from pytest_twisted import ensureDeferred

from iotgw.converters.dialect import DIALECTS
from iotgw.core.specs import ConverterSpec
from tests.unit.converters.conftest import convert, job, version

DOCS = Path(__file__).parents[3] / "docs" / "converters"
TEXT = (DOCS / "dialects.md").read_text() + (DOCS / "tbel.md").read_text()
EXAMPLE = re.compile(
    r"^## `(?P<dialect>[\w-]+)`.*?```js\n(?P<script>.*?)```\s+Payload `(?P<payload>[0-9a-f]*)`, "
    r"metadata `(?P<metadata>.*?)`:\s+```json\n(?P<outputs>.*?)```",
    re.MULTILINE | re.DOTALL,
)
EXAMPLES = {match["dialect"]: match for match in EXAMPLE.finditer(TEXT)}


def test_every_uplink_dialect_has_an_example():
    assert set(EXAMPLES) == {dialect.name for dialect in DIALECTS if dialect.direction == "UPLINK"}


@pytest.mark.parametrize("dialect", EXAMPLES)
@ensureDeferred
async def test_an_example_gives_what_it_says(service, dialect):
    example = EXAMPLES[dialect]
    found, engine = await service.compile(ConverterSpec(name="x", script=example["script"]))
    assert found == dialect
    converter = version(example["script"], dialect=found, engine=engine)
    payload, metadata = bytes.fromhex(example["payload"]), example["metadata"].encode()
    (made,) = await convert(service, job(converter, payload, metadata, 1_700_000_000_000))
    assert made.error is None
    assert [json.loads(output.body) for output in made.outputs] == json.loads(example["outputs"])


@ensureDeferred
async def test_the_example_of_a_fresh_start_keeps_nothing_of_an_earlier_message(service):
    text = (DOCS / "environment.md").read_text()
    section = text[text.index("## Every message begins anew") :]
    script = re.search("```js\n(.*?)```", section, re.DOTALL)[1]
    wanted = re.search("```json\n(.*?)```", section, re.DOTALL)[1]
    payload, metadata = re.search("Payload `(.*?)`, metadata `(.*?)`:", section).groups()
    dialect, engine = await service.compile(ConverterSpec(name="x", script=script))
    converter = version(script, dialect=dialect, engine=engine)
    earlier = job(converter, b"\x24", metadata.replace('"fPort": 3', '"fPort": 2').encode())
    _, made = await convert(
        service, earlier, job(converter, bytes.fromhex(payload), metadata.encode(), 1_700_000_000_000)
    )
    assert [json.loads(output.body) for output in made.outputs] == json.loads(wanted)


def test_every_dialect_is_in_the_table_of_scripts():
    table = (DOCS / "scripts.md").read_text()
    assert {d.name for d in DIALECTS if d.direction == "UPLINK"} <= set(re.findall(r"`([\w-]+)`", table))
