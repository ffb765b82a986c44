"""Templates that users write for URLs, topics, paths, headers and bodies: a safe subset of Jinja2.

They are checked when they are saved (`template_check`), and have a budget for each message (`template_budget`): one that takes
too long for a message fails for that message. They can't call anything, and can loop only over the message's contents. Inserted
values are escaped for the place where they stand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import attrgetter
from types import CodeType
from typing import Any
from urllib.parse import quote

from jinja2 import TemplateError, TemplateRuntimeError, meta, nodes, pass_eval_context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from msgspec import Struct

from iotgw.core.errors import SettingsError
from iotgw.core.model import TelemetryRecord
from iotgw.core.names import unfit, without_unfit
from iotgw.core.parts import NAMED
from iotgw.integrations.facts import RecordNames, facts
from iotgw.integrations.template_budget import MAX_RESULT, Overrun, StepBudget, TemplateFailed
from iotgw.integrations.template_check import parsed, priced
from iotgw.integrations.template_data import data_text
from iotgw.integrations.template_filters import FILTERS, LANGUAGE
from iotgw.integrations.template_missing import Missing, absent, line_of, present

__all__ = [
    "MAX_RESULT",
    "Overrun",
    "Template",
    "TemplateFailed",
    "for_header",
    "for_path",
    "for_topic",
    "for_url",
]

CACHE = 4096
"""Results kept for templates that use nothing but a device's names."""
PLAIN = ("deviceName", "deviceType", "datasource")
LONGEST_REASON = 300
"""Characters of what Jinja says of an error, which may repeat values."""
NUMBERS = frozenset((int, float))
"""Types whose texts are short."""
MOST_TOGETHER = 64 << 10
"""Characters of all templates of a target."""
BITS = 1024
"""Of the largest whole number that a template may compute with."""

_NO_TOPIC = str.maketrans(dict.fromkeys("/+#\0", "_"))
_NO_FILE = str.maketrans(dict.fromkeys('/\\\0\r\n:*?"<>|', "_"))


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


_DATA = (dict, list, tuple, Missing)


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja with a budget. Nothing is computed while a template is compiled, and every operator is looked at."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%"))
    budget: StepBudget

    facts: Mapping[str, Any] = {}
    """What the template is rendered with."""

    def getitem(self, obj: Any, argument: Any) -> Any:
        """An item by a name or a number. Jinja would repeat anything else in an error."""
        if not isinstance(argument, str | int):
            raise TemplateRuntimeError(
                f"expected a name or a number in brackets, got {type(argument).__name__}"
            )
        return self._in(obj, argument) if isinstance(obj, _DATA) else super().getitem(obj, argument)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A member. An object has its keys only: Jinja would take ``entry.values`` for a function."""
        return self._in(obj, attribute) if isinstance(obj, _DATA) else super().getattr(obj, attribute)

    def _in(self, obj: Any, name: Any) -> Any:
        if isinstance(obj, Missing):
            return obj.below(name)
        try:
            return obj[name]
        except (LookupError, TypeError):  # a list has no names
            path = next((known for known in LARGE if self.facts.get(known) is obj), "")
            return absent(path, name)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Compute with numbers of a bounded size, and add texts and lists: ``"a" * 10**9`` would exhaust the memory, and so
        would ``"%999999999d" % 1``."""
        self.budget.spend(1)
        kind = type(left)
        if operator == "+" and kind is type(right) and kind in (str, list, tuple):
            self.budget.spend((len(left) + len(right)) >> 5)
            return left + right
        for side in (left, right):
            if not isinstance(present(side), int | float):
                raise TemplateRuntimeError(f"{operator} takes numbers, got {type(side).__name__}")
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, int) and result.bit_length() > BITS:
            raise TemplateRuntimeError(f"{operator}: the result is too large")
        return result


def _environment(escape: Callable[[Any], str] | None) -> _Environment:
    budget = StepBudget()

    @pass_eval_context  # so that Jinja computes no output while it compiles
    def finalize(_: Any, value: Any) -> str:
        kind = type(value)
        if escape is None and kind in NUMBERS:
            return str(value)
        if escape is None and kind is str:
            budget.write(len(value))
            return str(value)
        budget.weigh_text(value)
        text = data_text(value)
        if escape is not None:
            budget.spend(len(text))
            text = escape(text)
        budget.write(len(text))
        return text

    made = _Environment(
        undefined=Missing,
        autoescape=False,
        finalize=finalize,
        keep_trailing_newline=True,
        optimized=False,
    )
    made.budget = budget
    made.globals.clear()
    made.filters = FILTERS | LANGUAGE
    return made


class TemplateCode(Struct, frozen=True):
    """A template's text, compiled: ``used`` are the names in it, ``written`` is its literal text. ``parts`` are the texts and names that it joins, if that is
    all it does. It ``is_fixed`` where nothing in it depends on a condition. ``problem`` is what is wrong with it, empty for nothing."""

    code: CodeType | None = None
    used: frozenset[str] = frozenset()
    written: str = ""
    parts: list[Any] | None = None
    loops: bool = False
    is_fixed: bool = False
    problem: str = ""


@lru_cache(maxsize=512)
def compiled(text: str) -> TemplateCode:
    """Check and compile a template. That takes a fifth of a millisecond for each expression in it, so the last ones are remembered: what is saved is looked at in a
    thread before it is used (`look_at`)."""
    environment = _environment(None)
    try:
        tree = parsed(environment, text, "")
        parts = _parts(tree)
        loops = any(True for _ in tree.find_all(nodes.For))
        is_fixed = not loops and not any(True for _ in tree.find_all(nodes.If))
        written = "".join(str(part.data) for part in tree.find_all(nodes.TemplateData))
        used = frozenset(meta.find_undeclared_variables(tree))
        code = environment.compile(priced(tree, environment))
    except SettingsError as error:
        return TemplateCode(problem=error.problem)
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        return TemplateCode(problem=f"{error.message}" + (f" (line {line})" if line else ""))
    except (SyntaxError, RecursionError, MemoryError) as error:  # Python's own limits of nesting
        return TemplateCode(problem=f"expected a simpler template: {error}")
    return TemplateCode(code, used, written, parts, loops, is_fixed)


def look_at(value: Any) -> None:
    """Compile the templates in a JSON value, so that who uses them finds them compiled. May run in any thread."""
    left, waiting = MOST_TOGETHER, [value]
    while waiting and left > 0:
        each = waiting.pop()
        if isinstance(each, str):
            if "{{" in each or "{%" in each or "{#" in each:
                left -= len(each)
                compiled(each)
                if "://" in each:
                    compiled(_behind_host(each))
        elif isinstance(each, dict | list):
            waiting += each.values() if isinstance(each, dict) else each


def _behind_host(url: str) -> str:
    """The part of a URL that is a template (`iotgw.integrations.http_request.server`)."""
    path = re.sub(r"^[^/?#]*", "", url.partition("://")[2])
    return path if path.startswith("/") else f"/{path}"


class Template:
    """A user's template. ``place`` names the setting in errors; ``escape`` is one of the functions above.

    Raises SettingsError if it is malformed, uses unknown names, or does something that isn't allowed.
    """

    def __init__(
        self, text: str, place: str, names: RecordNames, escape: Callable[[Any], str] | None = None
    ) -> None:
        environment, made = _environment(escape), compiled(text)
        if made.code is None:
            raise SettingsError(place, made.problem)
        self.used, self.loops, self.written, parts = set(made.used), made.loops, made.written, made.parts
        """The names in it, whether there is a loop in it, and its literal text."""
        template = environment.template_class.from_code(
            environment, made.code, environment.make_globals(None)
        )
        unknown = self.used - set(SAMPLE)
        if unknown:
            raise SettingsError(
                place, f"there is no {', '.join(sorted(unknown))}; there are {', '.join(sorted(SAMPLE))}"
            )
        if (named := self.used & set(OF_PARTS)) and names.epochs.split not in NAMED:
            raise SettingsError(place, f"{', '.join(sorted(named))}: expected split: value, or split: entity")
        self._render = template.render
        self._environment = environment
        self._has_lines = "\n" in text.strip("\n")
        self._budget = environment.budget
        self._names = names
        self._place = place
        self._constant = self._tried() if made.is_fixed and not self.used else None
        if self._constant is None:
            self._try_on_nothing()
        self._plain = self._constant is None and self.used <= set(PLAIN)
        self._joined = _joined(parts, names, escape or str, self._fitting) if self._plain and parts else None
        self._cache: dict[tuple[str, str, str], str] = {}

    def _tried(self) -> str:
        try:
            return self._make({})
        except TemplateFailed as error:
            raise SettingsError(self._place, str(error).removeprefix(f"{self._place}: ")) from error

    def _try_on_nothing(self) -> None:
        """Refuse what does too much even for a message without values, such as loops over constants."""
        try:
            self._make(dict(SAMPLE))
        except Overrun as error:
            raise SettingsError(self._place, str(error).removeprefix(f"{self._place}: ")) from error
        except TemplateFailed:
            pass  # it needs values

    @property
    def constant(self) -> str | None:
        """The result if it is the same for every message, otherwise None."""
        return self._constant

    @property
    def steps(self) -> int:
        """The steps that the last rendering took, of those that it may (`template_budget.STEPS`)."""
        return self._budget.used

    def text(self, record: TelemetryRecord, extra: dict[str, Any] | None = None) -> str:
        """The result for a record, with names of the place's own; raises TemplateFailed."""
        if self._constant is not None:
            return self._constant
        if not self._plain:
            return self._make(facts(self._names, record) | (extra or {}), len(record.body) >> 5)
        if self._joined is not None:
            return self._joined(record)
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

    def _make(self, values: dict[str, Any], weight: int = 0) -> str:
        """Render. ``weight`` is that of the message's body, in steps."""
        large = (values.get(name) for name in LARGE)
        self._budget.start({id(value): weight for value in large if value})
        self._environment.facts = values
        try:
            result = self._render(values)
        except Overrun as error:
            raise Overrun(f"{self._place}: {error}") from error
        except TemplateFailed as error:
            raise TemplateFailed(f"{self._place}: {error}") from error
        except Exception as error:  # filters fail in as many ways as there are kinds of values
            line = line_of(error.__traceback__) if self._has_lines else 0
            where = f" (line {line})" if line else ""
            raise TemplateFailed(f"{self._place}: {str(error)[:LONGEST_REASON]}{where}") from error
        return self._fitting(result)

    def _fitting(self, result: str) -> str:
        if len(result) > MAX_RESULT:
            raise TemplateFailed(
                f"{self._place}: the result has {len(result)} characters, allowed are {MAX_RESULT}"
            )
        return result


def _joined(
    parts: list[nodes.TemplateData | nodes.Name],
    names: RecordNames,
    escape: Callable[[Any], str],
    fitting: Callable[[str], str],
) -> Callable[[TelemetryRecord], str]:
    """A template of literal text and names only, the most frequent kind. It is rendered without Jinja, which
    takes several times as long, and made once for each value of the only name in it. Raises what ``escape`` and ``fitting`` do."""
    sources: dict[str, Callable[[TelemetryRecord], str]] = {
        "deviceName": attrgetter("device_name"),
        "deviceType": attrgetter("device_type"),
        "datasource": names.datasource,
    }
    form = "".join(
        part.data.replace("%", "%%") if isinstance(part, nodes.TemplateData) else "%s" for part in parts
    )
    inserted = [sources[part.name] for part in parts if isinstance(part, nodes.Name)]

    def made(record: TelemetryRecord) -> str:
        return fitting(form % tuple([escape(source(record)) for source in inserted]))

    if len(set(inserted)) != 1:
        return made
    (name,) = set(inserted)
    known: dict[str, str] = {}

    def found(record: TelemetryRecord) -> str:
        key = name(record)
        text = known.get(key)
        if text is None:
            if len(known) >= CACHE:
                known.clear()
            text = known[key] = made(record)
        return text

    return found


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


LARGE = ("body", "telemetry", "attributes", "values")
"""Names of what may be as large as a message."""
OF_PARTS = ("name", "value")
"""Names that only parts have which are about one key."""
SAMPLE = {
    "id": "", "key": "", "receivedAt": 0, "datasource": "", "deviceName": "", "deviceType": "",
    "attributes": {}, "telemetry": [], "values": {}, "ts": 0, "kind": "", "body": {}, "date": "", "time": "",
    "file": "", "name": "", "value": None,
}  # fmt: skip
"""The names that a template may use."""
