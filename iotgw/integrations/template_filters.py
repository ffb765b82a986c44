"""The filters that templates may use: Jinja's, each with a price and with bounds on its arguments.

Every collection that one returns is a list, so that the next one knows its size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from jinja2 import TemplateRuntimeError, Undefined, filters, pass_context, pass_environment
from jinja2.runtime import Context

from iotgw.integrations.template_budget import MAX_RESULT
from iotgw.integrations.template_data import DATA, data_text, json_of
from iotgw.integrations.template_missing import present

LONGEST_ARGUMENT = 100
"""Characters of a text that says how a filter works."""
LARGEST_ARGUMENT = 36
"""Largest number that says how a filter works: a precision, or a base."""
LONGEST_NUMBER = 400
"""Characters of a text that is read as a number."""

Filter = Callable[..., Any]


def _bounded(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Check arguments that say how a filter works; raises ValueError."""
    for argument in (*args, *kwargs.values()):
        if isinstance(argument, str):
            if len(argument) > LONGEST_ARGUMENT:
                raise ValueError(f"expected an argument of at most {LONGEST_ARGUMENT} characters")
        elif argument is not None and not (
            isinstance(argument, int | float) and -LARGEST_ARGUMENT <= argument <= LARGEST_ARGUMENT
        ):
            raise ValueError(
                f"expected an argument of -{LARGEST_ARGUMENT} to {LARGEST_ARGUMENT}, or a short text"
            )


def _steps_to(*attributes: Any) -> int:
    """How much longer it takes to get at attributes such as ``a.b.c``, or at several such as ``a,b``."""
    return 2 * sum(each.count(".") + each.count(",") for each in attributes if isinstance(each, str))


def _priced(function: Filter, times: int = 1, takes_environment: bool = False) -> Filter:
    """A filter that goes through its value ``times`` over; 0 looks at the value's end or length only."""

    @pass_environment
    def filter_(environment: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        if times:
            environment.budget.weigh_items(present(value), times)
        else:
            environment.budget.spend(1)
        if args or kwargs:
            _bounded(args, kwargs)
        return (
            function(environment, value, *args, **kwargs)
            if takes_environment
            else function(value, *args, **kwargs)
        )

    return filter_


def _as_text(function: Filter) -> Filter:
    """A filter that makes a text of its value."""

    @pass_environment
    def filter_(environment: Any, value: Any) -> Any:
        environment.budget.weigh_text(value)
        return function(data_text(value))

    return filter_


def _by_attribute(function: Filter, times: int) -> Filter:
    """A filter of Jinja's that may look at an attribute of each item, or of several; it sorts, so it compares each item
    with some others."""

    @pass_environment
    def filter_(environment: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        _bounded(args, kwargs)
        parts = _steps_to(*args, *kwargs.values())
        size = len(value) if isinstance(value, str | list | tuple | dict) else 0
        environment.budget.weigh_items(value, times + parts + size.bit_length())
        found = function(environment, value, *args, **kwargs)
        return list(found) if isinstance(found, Iterator) else found

    return filter_


@pass_environment
def defaulted(environment: Any, value: Any, default: Any = "", boolean: bool = False) -> Any:
    """The filter ``default``: for what is missing, and for null."""
    environment.budget.spend(1)
    return default if value is None else filters.do_default(value, default, boolean)


@pass_environment
def json_text(environment: Any, value: Any) -> str:
    """The filter ``tojson``: a value as JSON text."""
    environment.budget.weigh(value)
    return json_of(value)


@pass_environment
def replaced(environment: Any, value: Any, old: str, new: str) -> str:
    """The filter ``replace``, with a limit on the result."""
    environment.budget.weigh_text(value)
    text, old, new = data_text(value), data_text(old), data_text(new)
    size = len(text) + text.count(old) * len(new)
    if size > MAX_RESULT:
        raise ValueError(f"replace: the result would have more than {MAX_RESULT} characters")
    environment.budget.spend(size >> 5)
    return text.replace(old, new)


@pass_environment
def joined(environment: Any, value: Any, separator: str = "") -> str:
    """The filter ``join``, with a limit on the result."""
    environment.budget.weigh_items(value)
    environment.budget.weigh_text(value)
    parts = [data_text(part) for part in value]
    size = sum(map(len, parts)) + len(parts) * len(separator)
    if size > MAX_RESULT:
        raise ValueError(f"join: the result would have more than {MAX_RESULT} characters")
    environment.budget.spend(size >> 5)
    return separator.join(parts)


@pass_environment
def url_encoded(environment: Any, value: Any) -> str:
    """The filter ``urlencode``: a text, or the items of an object as a query."""
    environment.budget.weigh(value, 32)
    return filters.do_urlencode(value if isinstance(value, dict | list | tuple) else data_text(value))


@pass_environment
def whole(environment: Any, value: Any, default: int = 0, base: int = 10) -> int:
    """The filter ``int``."""
    environment.budget.spend(2)
    _bounded((base,), {})
    if isinstance(value, str) and len(value) > LONGEST_NUMBER:
        return default
    return filters.do_int(value, default, base)


@pass_environment
def real(environment: Any, value: Any, default: float = 0.0) -> float:
    """The filter ``float``."""
    environment.budget.spend(2)
    if isinstance(value, str) and len(value) > LONGEST_NUMBER:
        return default
    return filters.do_float(value, default)


@pass_environment
def trimmed(environment: Any, value: Any, chars: str | None = None) -> str:
    """The filter ``trim``."""
    environment.budget.weigh_text(value)
    if chars is not None:
        environment.budget.weigh(value, 32)
    _bounded((chars,), {})
    return data_text(value).strip(chars)


@pass_environment
def summed(environment: Any, value: Any, attribute: str | int | None = None, start: float = 0) -> float:
    """The filter ``sum``, of numbers."""
    environment.budget.weigh_items(value, 2 + _steps_to(attribute))
    _bounded((attribute, start), {})
    numbers = value
    if attribute is not None:
        numbers = map(filters.make_attrgetter(environment, attribute), value)
    total = start
    for number in numbers:
        if not isinstance(number, int | float):
            raise TemplateRuntimeError(f"sum takes numbers, got {type(number).__name__}")
        total += number
    return total


@pass_context
def mapped(context: Context, value: Any, *args: Any, **kwargs: Any) -> list[Any]:
    """The filter ``map``: an attribute of each item, or another filter of each."""
    environment: Any = context.environment
    environment.budget.weigh_items(value, 4 + _steps_to(kwargs.get("attribute")))
    if args and args[0] not in FILTERS:
        raise TemplateRuntimeError("map: expected one of the filters by its name")
    if not args:
        _bounded((kwargs.get("attribute"),), {})
    return list(map(filters.prepare_map(context, args, kwargs), value))


FILTERS: dict[str, Filter] = {
    "abs": _priced(abs),
    "default": defaulted,
    "dictsort": _by_attribute(lambda environment, *args, **kwargs: filters.do_dictsort(*args, **kwargs), 4),
    "first": _priced(filters.do_first, 0, takes_environment=True),
    "float": real,
    "int": whole,
    "items": _priced(lambda value: list(filters.do_items(value))),
    "join": joined,
    "last": _priced(filters.do_last, 0, takes_environment=True),
    "length": _priced(len, 0),
    "list": _priced(list),
    "lower": _as_text(str.lower),
    "map": mapped,
    "max": _by_attribute(filters.do_max, 4),
    "min": _by_attribute(filters.do_min, 4),
    "replace": replaced,
    "round": _priced(filters.do_round),
    "sort": _by_attribute(filters.do_sort, 4),
    "string": _as_text(str),
    "sum": summed,
    "tojson": json_text,
    "trim": trimmed,
    "unique": _by_attribute(filters.do_unique, 4),
    "upper": _as_text(str.upper),
    "urlencode": url_encoded,
    **DATA,
}  # fmt: skip
"""Those that a template may name."""


# --- what stands for parts of the language, so that they have a price too ---


@pass_environment
def each(environment: Any, value: Any, cost: int) -> Iterator[Any]:
    """The items of a loop; every turn costs as much as there is in the loop."""
    spend = environment.budget.spend
    for item in value:
        spend(cost)
        yield item


@pass_environment
def weighed(environment: Any, value: Any) -> Any:
    """A value that is compared or tested."""
    environment.budget.weigh(value)
    return value


@pass_environment
def concatenated(environment: Any, *values: Any) -> str:
    """The operator ``~``."""
    weigh = environment.budget.weigh_text
    texts = []
    for value in values:
        weigh(value)
        texts.append(data_text(value))
    result = "".join(texts)
    environment.budget.spend(len(result) >> 5)
    return result


@pass_environment
def sliced(environment: Any, value: Any, start: Any, stop: Any, step: Any) -> Any:
    """Part of a text or a list."""
    if not isinstance(value, Undefined):
        environment.budget.spend(1 + (len(value) >> 5))
    return value[start:stop:step]


LANGUAGE: dict[str, Filter] = {
    "_each": each, "_weighed": weighed, "_concatenated": concatenated, "_sliced": sliced,
}  # fmt: skip
