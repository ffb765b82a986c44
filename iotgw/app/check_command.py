"""`iotgwctl check DIR`: would a gateway take this configuration? It asks none: an empty gateway is made in a temporary directory, and
opened as far as its checks need, so that they are the gateway's own. Scripts are compiled, and their vectors run.

What only a running gateway knows isn't checked: ports that others use, and what a target says.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import alsoProvides

from iotgw.api.apply import catalogues, planner_of
from iotgw.api.trials import SuiteResult, run_suite
from iotgw.app.parts import Gateway, build
from iotgw.config import settings as process_settings
from iotgw.config.settings import Settings
from iotgw.core.clock import PlainCalendar
from iotgw.core.errors import IotgwError
from iotgw.core.model import DEFAULT_TENANT
from iotgw.core.ports.reactor import IReactor
from iotgw.core.references import References
from iotgw.core.resources_file import ResourcesDocument, read
from iotgw.core.specs import ConverterSpec
from iotgw.core.validate import convert
from iotgw.ctl.command import Commands, Context
from iotgw.ctl.named_secrets import read_secrets
from iotgw.ctl.table import printable


class CheckedConfiguration(Struct, frozen=True):
    """``entries`` were looked at, and ``vectors`` of converters passed. ``problems`` are ``{kind, name, problem}``."""

    entries: int
    vectors: int
    problems: list[dict[str, str]]


def add(commands: Commands) -> None:
    """Add the command."""
    about = "check a configuration without a gateway: each entry, each script, and the converters' vectors"
    parser = commands.add("check", _check, about)
    parser.add_argument(
        "file", type=Path, metavar="FILE|DIR", help="a file (TOML or JSON), or a directory of them"
    )
    parser.add_argument(
        "--secrets", type=Path, metavar="FILE", help="NAME=VALUE lines; what isn't there need not be set"
    )
    parser.add_argument(
        "--config", "-c", metavar="FILE", help="the settings file of the gateway that it is for"
    )


def _check(context: Context) -> int:
    options = context.options
    known = {**os.environ, **(read_secrets(options.secrets) if options.secrets else {})}
    document = read(options.file, References(known, missing="stand-in"))
    settings = process_settings.load(options.config)
    with tempfile.TemporaryDirectory(prefix="iotgw-check-") as directory:
        found = _run(document, settings, Path(directory))
    context.show(
        {"entries": found.entries, "vectors": found.vectors, "problems": found.problems},
        lambda _: _text(found),
    )
    return 1 if found.problems else 0


def _text(found: CheckedConfiguration) -> str:
    lines = [printable(f"{each['kind']} {each['name']}: {each['problem']}") for each in found.problems]
    fine = f"{len(found.problems)} problems" if found.problems else "all is well"
    return "\n".join([*lines, f"{found.entries} entries and {found.vectors} vectors: {fine}"])


def _run(document: ResourcesDocument, settings: Settings, directory: Path) -> CheckedConfiguration:
    """Run a reactor until all is checked."""
    from twisted.internet import reactor  # noqa: PLC0415  # it is installed by importing it

    alsoProvides(reactor, IReactor)
    found: list[CheckedConfiguration | Failure] = []

    def begin() -> None:
        done = Deferred.fromCoroutine(check(document, settings, directory, IReactor(reactor)))
        done.addBoth(found.append)
        done.addBoth(lambda _: IReactor(reactor).stop())

    IReactor(reactor).callWhenRunning(begin)
    IReactor(reactor).run()
    if isinstance(found[0], Failure):
        found[0].raiseException()
    assert isinstance(found[0], CheckedConfiguration)
    return found[0]


async def check(
    document: ResourcesDocument, settings: Settings, directory: Path, reactor: IReactor
) -> CheckedConfiguration:
    """Check a document with an empty gateway's parts, whose data is in ``directory``."""
    embedded = replace(settings.store, url="")  # nobody writes to a database by checking a file
    gateway = build(replace(settings, store=embedded, backup={}), directory, reactor, PlainCalendar(reactor))
    await gateway.registry.start()
    await gateway.events.start()
    await gateway.converters.start()
    try:
        planner = planner_of(gateway.api, catalogues(gateway.api))
        plan = await planner.plan(DEFAULT_TENANT, document)
        problems = [
            {"kind": item.kind, "name": item.name, "problem": item.error}
            for item in plan.items
            if item.outcome == "refused"
        ]
        vectors = 0
        for change in plan.changes:
            if change.kind == "converter" and change.after is not None and change.after["tests"]:
                suite = await _vectors(gateway, change.name, change.after)
                vectors += suite.passed
                problems += [
                    {"kind": change.kind, "name": change.name, "problem": _said(case)}
                    for case in suite.cases
                    if not case["passed"]
                ]
        return CheckedConfiguration(len(plan.items), vectors, problems)
    finally:
        await gateway.converters.stop()
        await gateway.events.stop()
        await gateway.registry.stop()


async def _vectors(gateway: Gateway, name: str, body: dict[str, Any]) -> SuiteResult:
    spec = convert({"name": name, **body}, ConverterSpec)
    resource = await gateway.api.versions.create(DEFAULT_TENANT, spec)
    version = gateway.api.versions.active(DEFAULT_TENANT, resource.id)
    try:
        return await run_suite(gateway.api.trials, version, body["tests"])
    except IotgwError as error:
        raise type(error)(f"converter {name!r}: {error}") from error


def _said(case: dict[str, Any]) -> str:
    error = case["error"]
    got = f"error {error['message']}" if error else repr(case["got"])
    return f"vector {case['name']!r}: expected {case['expected']!r}, got {got}"
