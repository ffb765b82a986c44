"""Each TOML and JSON example of the documentation says what it seems to say: settings of the process are taken by the process, resources are of the kinds,
types and settings that there are. (Those that a page goes on with are applied and run by tests/interop/test_docs_examples.py.)"""

import json
import re
import tomllib

import msgspec
import pytest
from twisted.internet.task import Clock

from iotgw.app import parts
from iotgw.config.settings import Settings, load
from iotgw.connect.endpoint import Connector
from iotgw.core.specs import ConverterSpec, DatasourceSpec, IntegrationSpec
from iotgw.core.types import Types
from iotgw.core.validate import convert
from tests.peers.gateway import ROOT

DOCS = ROOT / "docs"
ELSEWHERE = {"extending.md"}
"""Pages with TOML that is neither settings nor resources: a package's own files."""
SPECS = {"datasource": DatasourceSpec, "integration": IntegrationSpec, "converter": ConverterSpec}
WHOLE = {"sftp": {"configuration": {"host": "files.example", "username": "gateway", "password": "x"}}}
"""Where the example before a part is no TOML."""
ATTACHED = {"scriptFile", "testsFile", "filesFrom", "library", "secrets"}
"""What a resources file says of a converter beside its spec."""


def blocks(language):
    """Every example of a language, with its page and its number."""
    return [
        pytest.param(path, block, id=f"{path.relative_to(DOCS)}-{number}")
        for path in sorted(DOCS.glob("**/*.md"))
        for number, block in enumerate(
            re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), re.S | re.M)
        )
        if path.name not in ELSEWHERE
    ]


def types(kind):
    classes = parts.DATASOURCES if kind == "datasource" else parts.INTEGRATIONS
    return Types("none", Clock(), classes, Connector(Clock()))


def check_spec(kind, body):
    """A resource as it would be saved: its fields, and its type's settings."""
    fields = {key: value for key, value in body.items() if key not in ATTACHED}
    if kind == "converter":
        fields.setdefault("script", "x")
    spec = convert(fields, SPECS[kind])
    if kind != "converter":
        convert(spec.configuration, types(kind).get(spec.type).settings)


def goes_on_with(kind, path, part):
    """A part of a resource, put into the example before it on its page; else into one of the page's type."""
    known = {each.name for each in types(kind)}
    default = {"datasource": "http", "integration": "mqtt"}[kind]
    whole = {"name": "part", "type": path.stem if path.stem in known else default, **WHOLE.get(path.stem, {})}
    for block in re.findall(r"^```toml\n(.*?)^```", path.read_text(), re.S | re.M):
        entries = tomllib.loads(block).get(kind)
        if isinstance(entries, list):
            whole = entries[0]
            break
    return merged(whole, part)


def merged(whole, part):
    both = isinstance(whole, dict) and isinstance(part, dict)
    return {**whole, **{key: merged(whole.get(key), value) for key, value in part.items()}} if both else part


def is_part_of(struct, names):
    return set(names) <= {field.encode_name for field in msgspec.structs.fields(struct)}


@pytest.mark.parametrize(("path", "block"), blocks("toml"))
def test_a_toml_example_is_what_the_gateway_takes(path, block, tmp_path):
    found = tomllib.loads(block.replace("…", "c2VjcmV0"))
    if is_part_of(Settings, found):
        (tmp_path / "iotgw.toml").write_text(block)
        load(tmp_path / "iotgw.toml")
        return
    for kind in SPECS:
        entries = found.pop(kind, [])
        for body in entries if isinstance(entries, list) else [goes_on_with(kind, path, entries)]:
            check_spec(kind, body)
    if not found:
        return
    if {"device", "device-type", "device-group", "credential"} >= found.keys():
        return
    kind = "integration" if "integrations" in path.parts else "datasource"
    part = found if is_part_of(SPECS[kind], found) else {"configuration": found}
    check_spec(kind, goes_on_with(kind, path, part))


@pytest.mark.parametrize(("path", "block"), blocks("json"))
def test_a_json_example_is_json(path, block):
    assert json.loads(block)
