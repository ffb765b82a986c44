"""Operations as users write them in a downlink: by its ``msgType`` and ``msg``, as an RPC of ThingsBoard, or as a command of
EMQX's gateway.

* ``{"path": "/3/0/14", "value": "+02"}`` with the message type ``write``;
* ``{"method": "WriteReplace", "params": {"id": "/3_1.2/0/14", "value": "+02"}}``;
* ``{"msgType": "write", "data": {"path": "/3/0/14", "value": "+02"}}``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from iotgw.core.numbers import real, shown
from iotgw.wire.lwm2m import formats, paths
from iotgw.wire.lwm2m.operations import KINDS, Operation, OperationKind, flattened
from iotgw.wire.lwm2m.paths import Path
from iotgw.wire.lwm2m.values import CodecError

METHODS: Final[dict[str, OperationKind]] = {
    "Read": "read", "Discover": "discover", "DiscoverAll": "discover", "WriteReplace": "write",
    "WriteUpdate": "update", "Execute": "execute", "Create": "create", "Delete": "delete",
    "WriteAttributes": "write-attributes", "Observe": "observe", "ObserveCancel": "cancel",
    "ReadComposite": "read-composite", "WriteComposite": "write-composite", "ObserveComposite": "observe-composite",
    "ObserveCompositeCancel": "cancel-composite",
}  # fmt: skip
"""ThingsBoard's names (LwM2M transport, RPC commands)."""
_EMQX: Final[dict[str, OperationKind]] = {"cancel-observe": "cancel", "write-attr": "write-attributes"}
Keys = Mapping[str, Path]
"""The paths that a profile has names for, by name."""


def operation(msg_type: str, msg: Any, keys: Keys = MappingProxyType({})) -> Operation:
    """What a downlink asks for. ``keys`` are the names that stand for paths. Raises `CodecError`."""
    if isinstance(msg, dict) and "method" in msg:
        return _of_method(msg, keys)
    if isinstance(msg, dict) and "data" in msg and "msgType" in msg:
        msg_type, msg = str(msg["msgType"]), msg["data"]
    kind = _EMQX.get(msg_type, msg_type)
    if kind not in KINDS:
        expected = f"one of {', '.join(KINDS)} as the message type, or an RPC's `method`"
        raise CodecError(f"expected {expected}, got {shown(msg_type)}")
    body = {"path": msg} if isinstance(msg, str) else {"paths": msg} if isinstance(msg, list) else msg
    if not isinstance(body, dict):
        raise CodecError(f"{kind}: expected a JSON object with a path")
    return _of(kind, body, keys)


def _of_method(msg: dict[str, Any], keys: Keys) -> Operation:
    kind = METHODS.get(str(msg["method"]))
    if kind is None:
        raise CodecError(f"expected one of {', '.join(METHODS)} as method, got {shown(str(msg['method']))}")
    params = msg.get("params", {})
    if not isinstance(params, dict):
        raise CodecError(f"{msg['method']}: expected an object as params")
    body = dict(params)
    for theirs, ours in (
        ("id", "path"),
        ("key", "path"),
        ("ids", "paths"),
        ("keys", "paths"),
        ("nodes", "values"),
    ):
        if theirs in body:
            body[ours] = body.pop(theirs)
    if msg["method"] == "DiscoverAll":
        body.setdefault("path", "/3")
    return _of(kind, body, keys)


def _of(kind: OperationKind, body: dict[str, Any], keys: Keys) -> Operation:
    asked: Path = ()
    if "path" in body:
        asked = _path(body["path"], keys)
    elif "basePath" in body:  # of EMQX's write-batch
        asked = _path(body["basePath"], keys)
    several = tuple(_path(each, keys) for each in _list(body.get("paths", [])))
    values = [*_values(kind, asked, body, keys)]
    return Operation(
        kind,
        asked,
        several,
        tuple(values),
        _attributes(body) if kind == "write-attributes" else {},
        _arguments(body) if kind == "execute" else "",
        _form(body.get("format", body.get("contentFormat"))),
    )


def _list(given: Any) -> Iterable[Any]:
    if not isinstance(given, list):
        raise CodecError("expected a list of paths")
    return given


def _path(given: Any, keys: Keys) -> Path:
    """A path, with a version after the object's id or not, or a name of the profile."""
    if not isinstance(given, str):
        raise CodecError("expected a path such as /3/0/9")
    known = keys.get(given.strip("{}"))
    return known if known is not None else unversioned(given)


def unversioned(text: str) -> Path:
    """A path as ThingsBoard writes it, ``/3_1.2/0/9``. Raises `CodecError`."""
    first, slash, rest = text.removeprefix("/").partition("/")
    return paths.parse(first.partition("_")[0] + slash + rest)


def _values(
    kind: OperationKind, asked: Path, body: dict[str, Any], keys: Keys
) -> Iterable[tuple[Path, object]]:
    if kind not in ("write", "update", "create", "write-composite"):
        return
    given = body.get("values", body.get("value"))
    if kind == "write-composite":
        if not isinstance(given, dict):
            raise CodecError("write-composite: expected an object of paths and their values as values")
        for name, value in given.items():
            yield from flattened(_path(name, keys), value)
    elif kind == "create":
        instance = (
            (*asked, body["instance"]) if len(asked) == 1 and isinstance(body.get("instance"), int) else asked
        )
        inner = given if isinstance(given, dict) else {}
        yield from flattened(instance if len(instance) > 1 else (*asked, 0), inner)
    elif given is not None:
        yield from flattened(asked, given)


def _attributes(body: dict[str, Any]) -> dict[str, float | int | None]:
    given = body.get("attributes")
    if not isinstance(given, dict):
        given = {name: value for name, value in body.items() if name not in ("path", "format")}
    found: dict[str, float | int | None] = {}
    for name, value in given.items():
        if value is None:
            found[name] = None
            continue
        number = real(value, -1e15, 1e15)
        if number is None:
            raise CodecError(f"write-attributes: expected a number as {shown(str(name))}")
        found[name] = number
    return found


def _arguments(body: dict[str, Any]) -> str:
    given = body.get("arguments", body.get("args", body.get("value", "")))
    if isinstance(given, dict):  # {"0": "a", "1": null} is 0='a',1 (Core §7.4)
        return ",".join(str(name) if value is None else f"{name}='{value}'" for name, value in given.items())
    if not isinstance(given, str):
        raise CodecError("execute: expected arguments as text, such as 0='a',1")
    return given


def _form(given: Any) -> int | None:
    if given is None:
        return None
    if isinstance(given, int) and not isinstance(given, bool) and given in {*formats.NAMES.values()}:
        return given
    found = formats.NAMES.get(str(given).lower().replace("_", "-"))
    if found is None:
        raise CodecError(f"expected one of {', '.join(formats.NAMES)} as format, got {shown(str(given))}")
    return found
