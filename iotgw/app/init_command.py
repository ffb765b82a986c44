"""`iotgwctl init DIR`: asks which devices and targets one has, and writes the configuration that they need. It speaks to no gateway.

What is written is a directory as an export writes it; secrets, made or typed, go into a file beside it.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping, Sequence
from getpass import getpass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from twisted.internet.task import Clock

from iotgw.app.parts import DATASOURCES, INTEGRATIONS, way_out
from iotgw.config.settings import Settings
from iotgw.core.ports.datasources import IDatasourceType, IHasPresets, ISetsUp
from iotgw.core.ports.integrations import IIntegrationType
from iotgw.core.secrets import masked
from iotgw.core.target_presets import Question, TargetPreset, filled
from iotgw.core.types import Types
from iotgw.core.urls import url
from iotgw.core.validate import convert
from iotgw.ctl.client import USAGE, CtlError
from iotgw.ctl.command import Commands, Context
from iotgw.ctl.commands.datasource import Questions, configuration_of
from iotgw.ctl.directory import files_of, write
from iotgw.ctl.named_secrets import NamedSecrets
from iotgw.ctl.table import printable
from iotgw.integrations.presets import target_presets

ROUTED = ("coap", "http")
"""Types whose datasources are found by a routing key."""


class OfferedDevices(Struct, frozen=True, forbid_unknown_fields=True):
    """Devices that somebody may have, with their datasource; what has to be asked for it."""

    title: str
    datasource: dict[str, Any]
    ask: list[Question] = []


class FirstSteps(Struct, frozen=True):
    """The contents of ``first_steps.toml``."""

    device: dict[str, OfferedDevices]
    target: dict[str, TargetPreset]


def first_steps() -> FirstSteps:
    """What is offered besides platforms and presets of targets."""
    path = Path(__file__).with_name("first_steps.toml")
    return convert(msgspec.toml.decode(path.read_bytes()), FirstSteps, path.name)


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add(
        "init", _init, "write a first configuration, asking which devices and targets one has"
    )
    parser.add_argument(
        "directory", type=Path, metavar="DIR", help="a new one; `iotgwctl apply DIR` takes it"
    )
    parser.add_argument("--devices", metavar="NAME,…", help="which devices; ? lists what there is")
    parser.add_argument("--targets", metavar="NAME,…", help="where their data goes; ? lists what there is")
    parser.add_argument(
        "--set", action="append", metavar="NAME=VALUE", help="an answer given before it is asked for"
    )
    parser.add_argument(
        "--secrets",
        type=Path,
        metavar="FILE",
        help="where secrets go (DIR.secrets.env, beside the directory)",
    )


def _init(context: Context) -> None:
    options = context.options
    given = {}
    for each in options.set or ():
        name, sign, value = each.partition("=")
        if not sign or not name:
            raise CtlError(f"--set: expected NAME=VALUE, got {each!r}", USAGE)
        given[name] = value
    if sys.stdin.isatty():
        questions = Questions(given, input, getpass)
    else:
        questions = Questions(given, lambda _: "", lambda _: "")
    clock: Any = Clock()
    connector = way_out(Settings().integrations, clock)
    wizard = Wizard(
        questions,
        Types("iotgw.datasources", clock, DATASOURCES, connector),
        Types("iotgw.integrations", clock, INTEGRATIONS, connector),
    )
    if options.devices == "?" or options.targets == "?":
        context.show(wizard.offers(), _offered)
        return
    kept = options.secrets or options.directory.with_name(f"{options.directory.name}.secrets.env")
    for path in (options.directory, kept):
        if path.exists() and not (path.is_dir() and not any(path.iterdir())):
            raise CtlError(
                f"{path}: it is there already, and init begins anew; name another directory", USAGE
            )
    devices = _chosen(options.devices, questions, "devices", "Which devices do you have?", wizard.devices)
    targets = _chosen(options.targets, questions, "targets", "Where does their data go?", wizard.targets)
    if not devices and not targets:
        raise CtlError(
            "expected some devices or targets: say which with --devices and --targets (? lists them)", USAGE
        )
    document, told = wizard.document(devices, targets)
    named, names = wizard.with_named_secrets(document)
    if names.values:
        try:
            names.write(kept)
        except OSError as error:
            raise CtlError(f"--secrets: {kept}: {error.strerror}", USAGE) from error
    write(options.directory, files_of(named))
    made = {kind: [each["name"] for each in entries] for kind, entries in document.items()}
    result = {
        "directory": str(options.directory), "made": made, "told": told,
        "secrets": str(kept) if names.values else None,
    }  # fmt: skip
    context.show(result, _text)


def _chosen(
    said: str | None, questions: Questions, name: str, question: str, offered: Mapping[str, str]
) -> list[str]:
    """Names of what is offered; asked again at a terminal until all of them are known."""
    while True:
        if said is None:
            said = questions.text(name, f"{question} Names with commas between them, or ? for a list")
        if said == "?" and sys.stdin.isatty():
            print(_listed(offered))
            said = None
            continue
        found = [each for part in said.split(",") if (each := part.strip())]
        unknown = [each for each in found if each not in offered]
        if not unknown:
            return [*dict.fromkeys(found)]
        problem = f"{name}: expected some of {', '.join(sorted(offered))}, got {unknown[0]!r}"
        if not sys.stdin.isatty():
            raise CtlError(problem, USAGE)
        print(problem)
        said = None


def _listed(offered: Mapping[str, str]) -> str:
    return "\n".join(f"  {name:<24} {title}" for name, title in offered.items())


def _offered(offers: dict[str, dict[str, str]]) -> list[str]:
    return ["devices:", _listed(offers["devices"]), "", "targets:", _listed(offers["targets"])]


class Wizard:
    """Makes entries of what is chosen."""

    def __init__(
        self, questions: Questions, sources: Types[IDatasourceType], targets: Types[IIntegrationType]
    ) -> None:
        self._questions = questions
        self._types: dict[str, Types[Any]] = {"datasource": sources, "integration": targets}
        self._steps = first_steps()
        having = [IHasPresets(each) for each in sources if IHasPresets.providedBy(each)]
        abouts = [msgspec.to_builtins(about) for type_ in having for about in type_.presets()]
        self._platforms = {
            each["name"]: each for each in sorted(abouts, key=lambda each: each["type"] != "mqtt")
        }
        """By name; one that sends in two ways does so by HTTP here."""
        self._presets = {**self._steps.target, **target_presets()}
        self.devices = {name: kind.title for name, kind in self._steps.device.items()} | {
            name: f"devices behind {about['title']}" for name, about in self._platforms.items()
        }
        self.targets = {name: preset.title for name, preset in self._presets.items()}

    def offers(self) -> dict[str, dict[str, str]]:
        """What there is, with titles."""
        return {"devices": self.devices, "targets": self.targets}

    def document(
        self, devices: Sequence[str], targets: Sequence[str]
    ) -> tuple[dict[str, list[dict[str, Any]]], list[str]]:
        """The entries, secrets in the clear, and what a person has to type in elsewhere, line by line."""
        told: list[str] = []
        sources = [self._source(name, told) for name in devices]
        return {"datasource": sources, "integration": [self._target(name) for name in targets]}, told

    def _source(self, name: str, told: list[str]) -> dict[str, Any]:
        if name in self._steps.device:
            kind = self._steps.device[name]
            source: dict[str, Any] = filled(kind.datasource, self._answers(kind.ask))
        else:
            about = self._platforms[name]
            configuration, headers = configuration_of(about, self._questions)
            source = {"name": name, "type": about["type"], "configuration": configuration}
            told += [f"{name}: {header}: {text}" for header, text in headers.items()]
        if source["type"] in ROUTED:
            source["routingKey"] = secrets.token_urlsafe(12)
        self._tell(source, told)
        return source

    def _tell(self, source: dict[str, Any], told: list[str]) -> None:
        """Say where devices send to."""
        type_ = self._types["datasource"].get(source["type"])
        settings = self._types["datasource"].configure(source["type"], source.get("configuration", {}))
        found = (
            ISetsUp(type_).setup(settings, source.get("routingKey", ""))
            if ISetsUp.providedBy(type_)
            else None
        )
        if found is not None and found.url:
            told.append(f"{source['name']}: URL: {found.url.replace('{gateway}', 'http://GATEWAY:8080')}")
        elif source["type"] == "http":
            told.append(f"{source['name']}: URL: {url('http', 'GATEWAY', 8080, 'i', source['routingKey'])}")
        elif source["type"] == "coap":
            told.append(f"{source['name']}: URL: {url('coap', 'GATEWAY', 5683, 'i', source['routingKey'])}")
        elif (port := source.get("configuration", {}).get("port")) is not None:
            told.append(f"{source['name']}: port {port}")

    def _target(self, name: str) -> dict[str, Any]:
        preset = self._presets[name]
        return preset.spec(name, self._answers(preset.ask))

    def _answers(self, ask: Sequence[Question]) -> dict[str, str]:
        found: dict[str, str] = {}
        for each in ask:
            default = each.default if isinstance(each.default, str) else ""
            answer = self._questions.text(each.name, each.says, default)
            if answer or isinstance(each.default, str):
                found[each.name] = answer
            else:
                raise CtlError(f"{each.name}: expected {each.says} (--set {each.name}=…)", USAGE)
        return found

    def with_named_secrets(
        self, document: Mapping[str, list[dict[str, Any]]]
    ) -> tuple[dict[str, list[dict[str, Any]]], NamedSecrets]:
        """The entries with references in the place of their secrets."""
        names = NamedSecrets()
        found = {}
        for kind, entries in document.items():
            found[kind] = [names.entry(kind, self._masked(kind, entry), entry) for entry in entries]
        return found, names

    def _masked(self, kind: str, entry: dict[str, Any]) -> dict[str, Any]:
        settings = self._types[kind].get(entry["type"]).settings
        shown = masked(entry.get("configuration", {}), settings, lambda text: text)
        return {**entry, **({"configuration": shown} if shown else {})}


def _text(result: dict[str, Any]) -> list[str]:
    directory, kept = result["directory"], result["secrets"]
    made = (
        ", ".join(f"{kind} {name}" for kind, names in result["made"].items() for name in names) or "nothing"
    )
    lines = [f"{made}: written to {directory}"]
    if result["told"]:
        lines += [
            "",
            "To be typed in on the devices' side:",
            *(f"  {printable(line)}" for line in result["told"]),
        ]
    more = f" --secrets {kept}" if kept else ""
    if kept:
        lines += ["", f"Secrets are in {kept}; keep it out of git."]
    return [
        *lines, "", "Next:", f"  iotgwctl check {directory}", "  make run        (or start the gateway as you do)",
        f"  iotgwctl apply {directory}{more}",
    ]  # fmt: skip
