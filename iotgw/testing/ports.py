"""Checks whether a part matches its ports, as far as that is possible without running it."""

from __future__ import annotations

import inspect
from inspect import Parameter

from zope.interface import providedBy
from zope.interface.interface import InterfaceClass, Method
from zope.interface.verify import verifyObject

PORTS = "iotgw.core.ports"


def ports_of(part: object) -> list[InterfaceClass]:
    """The ports that an object says it provides."""
    return [each for each in providedBy(part).flattened() if each.__module__.startswith(PORTS)]


def verify_ports(part: object) -> list[InterfaceClass]:
    """Check an object against each port that it says it provides; returns these.

    Raises `zope.interface.exceptions.Invalid` where a member is missing or takes other arguments, and AssertionError
    where an argument has another name than in the port (callers may use it), or where there is no port at all.
    """
    ports = ports_of(part)
    if not ports:
        raise AssertionError(f"expected an object that provides a port, got {type(part).__name__}")
    for port in ports:
        verifyObject(port, part)
        for name, member in port.namesAndDescriptions(all=True):
            if isinstance(member, Method) and member.interface.__module__.startswith(PORTS):
                _same_arguments(port, name, member, getattr(part, name))
    return ports


def _same_arguments(port: InterfaceClass, name: str, member: Method, function: object) -> None:
    parameters = list(inspect.signature(function).parameters.values())  # type: ignore[arg-type]  # a method is callable
    named = [each for each in parameters if each.kind is Parameter.POSITIONAL_OR_KEYWORD]
    names = [each.name for each in named]
    wanted = list(member.positional)
    if names[: len(wanted)] != wanted:
        raise AssertionError(f"{port.__name__}.{name}: expected the arguments {wanted}, got {names}")
    for each in named:
        if each.name not in member.required and each.default is Parameter.empty:
            raise AssertionError(f"{port.__name__}.{name}: expected a default for {each.name!r}")
