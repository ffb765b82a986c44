"""Templates that users write for URLs, topics, paths, headers and bodies: a safe subset of Jinja2.

They are checked when they are saved. They can't call anything, and can loop only over the message's contents.
Inserted values are escaped for the place where they stand.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any
from urllib.parse import quote

import msgspec
from jinja2 import StrictUndefined, TemplateError, TemplateRuntimeError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from iotgw.core.errors import IotgwError, SettingsError
from iotgw.core.model import TelemetryRecord
from iotgw.core.names import unfit, without_unfit
from iotgw.integrations.facts import RecordNames, facts

MAX_RESULT = 1 << 20
"""Largest result of a template, in bytes."""
CACHE = 4096
"""Results kept for templates that use nothing but a device's names."""
PLAIN = ("deviceName", "deviceType", "datasource")
FILTERS = (
    "abs", "default", "first", "float", "int", "items", "last", "length", "lower", "round",
    "sort", "string", "trim", "upper", "urlencode", "dictsort", "unique", "min", "max", "sum", "map", "list",
)  # fmt: skip
FORBIDDEN = (
    nodes.Call, nodes.CallBlock, nodes.Macro, nodes.Import, nodes.FromImport, nodes.Include, nodes.Extends,
    nodes.Block, nodes.Pow, nodes.Assign, nodes.AssignBlock, nodes.FilterBlock,
)  # fmt: skip


_NO_TOPIC = str.maketrans(dict.fromkeys("/+#\0", "_"))
_NO_FILE = str.maketrans(dict.fromkeys('/\\\0\r\n:*?"<>|', "_"))


class TemplateFailed(IotgwError):
    """A template can't be rendered for this message: it lacks a value, or the result is too large."""


def json_text(value: Any) -> str:
    """The filter ``tojson``: a value as JSON text."""
    return msgspec.json.encode(value).decode()


def for_topic(value: Any) -> str:
    """A value in an MQTT topic: no level separator, no wildcard, no NUL (MQTT 5.0 §4.7).

    Raises TemplateFailed for other characters that a broker may close the connection for."""
    text = str(value).translate(_NO_TOPIC)
    if character := unfit(text):
        raise TemplateFailed(f"expected a value without control characters for a topic, got {character}")
    return text


def for_url(value: Any) -> str:
    """A value in a URL."""
    return quote(str(value), safe="")


def for_path(value: Any) -> str:
    """A value in a file's path, which can't leave its directory."""
    text = without_unfit(str(value).translate(_NO_FILE), "_")
    return "_" + text[1:] if text.startswith(".") else text or "_"


def for_header(value: Any) -> str:
    """A value in an HTTP header: one line."""
    return "".join(char for char in str(value) if char >= " " and char != "\x7f")


def replaced(value: Any, old: str, new: str) -> str:
    """The filter ``replace``, with a limit on the result."""
    text = str(value)
    if len(text) + text.count(str(old)) * len(str(new)) > MAX_RESULT:
        raise ValueError(f"replace: the result would have more than {MAX_RESULT} characters")
    return text.replace(str(old), str(new))


def joined(value: Any, separator: str = "") -> str:
    """The filter ``join``, with a limit on the result."""
    parts = [str(part) for part in value]
    if sum(map(len, parts)) + len(parts) * len(separator) > MAX_RESULT:
        raise ValueError(f"join: the result would have more than {MAX_RESULT} characters")
    return separator.join(parts)


class _Environment(ImmutableSandboxedEnvironment):
    """Multiplies numbers only: ``"a" * 10**9`` would exhaust the memory."""

    intercepted_binops = frozenset(("*", "%"))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        for side in (left, right):
            if not isinstance(side, int | float):
                raise TemplateRuntimeError(f"{operator} takes numbers, got {type(side).__name__}")
        return super().call_binop(context, operator, left, right)


def _environment(escape: Callable[[Any], str] | None) -> ImmutableSandboxedEnvironment:
    made = _Environment(
        undefined=StrictUndefined, autoescape=False, finalize=escape, keep_trailing_newline=True
    )
    made.globals.clear()
    made.filters = {name: made.filters[name] for name in FILTERS} | {
        "tojson": json_text, "replace": replaced, "join": joined,
    }  # fmt: skip
    return made


class Template:
    """A user's template. ``place`` names the setting in errors; ``escape`` is one of the functions above.

    Raises SettingsError if it is malformed, uses unknown names, or does something that isn't allowed.
    """

    def __init__(
        self, text: str, place: str, names: RecordNames, escape: Callable[[Any], str] | None = None
    ) -> None:
        environment = _environment(escape)
        try:
            tree = environment.parse(text)
            for node in tree.find_all(FORBIDDEN):
                kind = type(node).__name__.lower()
                raise SettingsError(place, f"a template may not use {kind} (line {node.lineno})")
            _check_loops(tree, place)
            self.used = meta.find_undeclared_variables(tree)
            compiled = environment.from_string(tree)
        except TemplateError as error:
            line = getattr(error, "lineno", None)
            raise SettingsError(place, f"{error.message}" + (f" (line {line})" if line else ""))
        self.written = "".join(str(part.data) for part in tree.find_all(nodes.TemplateData))
        """The literal text in it."""
        unknown = self.used - set(SAMPLE)
        if unknown:
            raise SettingsError(
                place, f"there is no {', '.join(sorted(unknown))}; there are {', '.join(sorted(SAMPLE))}"
            )
        self._render = compiled.render
        self._names = names
        self._place = place
        fixed = not self.used and not any(True for _ in tree.find_all((nodes.For, nodes.If)))
        try:
            self._constant = self._make({}) if fixed else None
        except TemplateFailed as error:
            raise SettingsError(place, str(error))
        self._plain = self._constant is None and self.used <= set(PLAIN)
        parts = _parts(tree) if self._plain else None
        self._joined = _joined(parts, names, escape or str) if parts else None
        self._cache: dict[tuple[str, str, str], str] = {}

    @property
    def constant(self) -> str | None:
        """The result if it is the same for every message, otherwise None."""
        return self._constant

    def text(self, record: TelemetryRecord, extra: dict[str, Any] | None = None) -> str:
        """The result for a record, with names of the place's own; raises TemplateFailed."""
        if self._constant is not None:
            return self._constant
        if not self._plain:
            return self._make(facts(self._names, record) | (extra or {}))
        if self._joined is not None:
            return self._fitting(self._joined(record))
        key = (record.device_name, record.device_type, self._names.datasource(record))
        found = self._cache.get(key)
        if found is None:
            if len(self._cache) >= CACHE:
                self._cache.clear()
            found = self._cache[key] = self._make(dict(zip(PLAIN, key, strict=True)))
        return found

    def bytes(self, record: TelemetryRecord) -> bytes:
        """The same in UTF-8."""
        return self.text(record).encode()

    def _make(self, values: dict[str, Any]) -> str:
        try:
            result = self._render(values)
        except (TemplateError, ArithmeticError, TypeError, ValueError, LookupError) as error:
            raise TemplateFailed(f"{self._place}: {error}") from error
        return self._fitting(result)

    def _fitting(self, result: str) -> str:
        if len(result) > MAX_RESULT:
            raise TemplateFailed(
                f"{self._place}: the result has {len(result)} characters, allowed are {MAX_RESULT}"
            )
        return result


def _joined(
    parts: list[nodes.TemplateData | nodes.Name], names: RecordNames, escape: Callable[[Any], str]
) -> Callable[[TelemetryRecord], str]:
    """A template of literal text and names only, the most frequent kind. It is rendered without Jinja, which
    takes several times as long."""
    sources: dict[str, Callable[[TelemetryRecord], str]] = {
        "deviceName": attrgetter("device_name"),
        "deviceType": attrgetter("device_type"),
        "datasource": names.datasource,
    }
    form = "".join(
        part.data.replace("%", "%%") if isinstance(part, nodes.TemplateData) else "%s" for part in parts
    )
    inserted = [sources[part.name] for part in parts if isinstance(part, nodes.Name)]
    return lambda record: form % tuple([escape(source(record)) for source in inserted])


def _parts(tree: nodes.Template) -> list[nodes.TemplateData | nodes.Name] | None:
    """The texts and names that a template joins, if that is all it does."""
    found: list[nodes.TemplateData | nodes.Name] = []
    for output in tree.body:
        if not isinstance(output, nodes.Output):
            return None
        for node in output.nodes:
            if not isinstance(node, nodes.TemplateData | nodes.Name):
                return None
            found.append(node)
    return found


SAMPLE = {
    "id": "", "key": "", "receivedAt": 0, "datasource": "", "deviceName": "", "deviceType": "",
    "attributes": {}, "telemetry": [], "values": {}, "ts": 0, "kind": "", "body": {}, "date": "", "time": "",
    "file": "",
}  # fmt: skip
"""The names that a template may use."""


def _check_loops(tree: nodes.Node, place: str, depth: int = 0) -> None:
    """Two nested loops can visit everything in a message; a third could run for too long."""
    for child in tree.iter_child_nodes():
        inner = depth + isinstance(child, nodes.For)
        if inner > 2:
            raise SettingsError(place, f"at most two loops within each other (line {child.lineno})")
        _check_loops(child, place, inner)
