"""What a server can ask of a device, as requests of CoAP (Core §6.3 and §6.4 of LwM2M 1.1.1): read, write, execute, observe and
the rest, single and composite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from msgspec import Struct

from iotgw.core.numbers import shown
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import Message, options
from iotgw.wire.lwm2m import formats, paths, senml
from iotgw.wire.lwm2m.node import Node, TypeOf, untyped
from iotgw.wire.lwm2m.paths import ROOT, Path
from iotgw.wire.lwm2m.values import CodecError, to_type

OperationKind = Literal[
    "read", "discover", "write", "update", "execute", "create", "delete", "write-attributes", "observe", "cancel",
    "read-composite", "write-composite", "observe-composite", "cancel-composite",
]  # fmt: skip
KINDS: tuple[OperationKind, ...] = get_args(OperationKind)
COMPOSITE = frozenset(("read-composite", "write-composite", "observe-composite", "cancel-composite"))
LINKS = n.LINK_FORMAT
ATTRIBUTES = ("pmin", "pmax", "gt", "lt", "st", "epmin", "epmax", "edge", "con", "hqmax")
"""Of Write-Attributes (Core §5.1.2 of 1.1.1, §7.3 of 1.2.1)."""
MOST_PATHS = 200
LONGEST_ARGUMENTS = 1024
"""Characters of Execute's arguments."""


class Operation(Struct, frozen=True):
    """What is asked of a device.

    ``path`` is what it is about, or ``paths`` of a composite one. ``values`` are those to write, by path, as users have
    them in JSON (`iotgw.wire.lwm2m.values.to_type`). ``attributes`` and ``arguments`` are those of Write-Attributes and
    Execute. ``form`` is the Content-Format to use; None leaves that to what the device understands.
    """

    kind: OperationKind
    path: Path = ROOT
    paths: tuple[Path, ...] = ()
    values: tuple[tuple[Path, object], ...] = ()
    attributes: Mapping[str, float | int | None] = {}
    arguments: str = ""
    form: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is no operation of LwM2M. Raises ValueError."""
        least = {"execute": 3, "create": 1, "delete": 2, "write": 2, "update": 2}.get(self.kind, 1)
        if self.kind in COMPOSITE:
            asked = self.paths or tuple(path for path, _ in self.values)
            if not 0 < len(asked) <= MOST_PATHS:
                raise CodecError(f"{self.kind}: expected 1 to {MOST_PATHS} paths, got {len(asked)}")
        elif len(self.path) < least:
            raise CodecError(
                f"{self.kind}: expected a path of {least} ids or more, got {paths.text(self.path)}"
            )
        for path, _ in self.values:
            if len(path) < 3:
                raise CodecError(f"{self.kind}: expected values of resources, got one of {paths.text(path)}")
        if len(self.arguments) > LONGEST_ARGUMENTS:
            raise CodecError(f"execute: expected arguments of at most {LONGEST_ARGUMENTS} characters")
        if self.kind == "write-attributes":
            unknown = self.attributes.keys() - set(ATTRIBUTES)
            if unknown or not self.attributes:
                raise CodecError(
                    f"write-attributes: expected some of {', '.join(ATTRIBUTES)}, got {shown(', '.join(sorted(unknown)))}"
                )

    @property
    def is_composite(self) -> bool:
        """Whether it is about paths that need not have anything in common."""
        return self.kind in COMPOSITE


class Capabilities(Struct, frozen=True):
    """A device's side of a request: what it understands (``ct`` of its registration), its version of LwM2M, and the path below
    which its objects are."""

    understands: Sequence[int] = ()
    version: str = "1.0"
    root: str = ""


_CODES = {
    "read": n.GET, "discover": n.GET, "observe": n.GET, "cancel": n.GET, "write": n.PUT, "update": n.POST,
    "write-attributes": n.PUT, "execute": n.POST, "create": n.POST, "delete": n.DELETE,
    "read-composite": n.FETCH, "observe-composite": n.FETCH, "cancel-composite": n.FETCH, "write-composite": n.IPATCH,
}  # fmt: skip


def request(operation: Operation, device: Capabilities, type_of: TypeOf = untyped) -> Message:
    """The request of an operation, without Observe. Raises `CodecError` where its values don't fit their resources."""
    where: list[tuple[int, str | int]] = []
    if device.root:
        where += [(n.URI_PATH, segment) for segment in device.root.split("/")]
    payload = b""
    if operation.is_composite:
        form = operation.form or formats.best(device.understands, device.version, is_composite=True)
        where.append((n.CONTENT_FORMAT, form))
        if operation.kind == "write-composite":
            payload = formats.encode(form, _nodes(operation, type_of), ROOT, type_of)
        else:
            where.append((n.ACCEPT, form))
            payload = senml.encode_paths(operation.paths, form == formats.SENML_CBOR)
        return Message(_CODES[operation.kind], payload, options(*where))
    where += [(n.URI_PATH, str(id)) for id in operation.path]
    if operation.kind in ("read", "observe", "cancel"):
        where.append((n.ACCEPT, operation.form if operation.form is not None else best_for(device)))
    elif operation.kind == "discover":
        where.append((n.ACCEPT, LINKS))
    elif operation.kind == "write-attributes":
        where += [(n.URI_QUERY, _attribute(*pair)) for pair in operation.attributes.items()]
    elif operation.kind == "execute":
        payload = operation.arguments.encode()
        if payload:
            where.append((n.CONTENT_FORMAT, n.TEXT_PLAIN))
    elif operation.kind != "delete":
        nodes = _nodes(operation, type_of)
        form = operation.form if operation.form is not None else _form_to_write(operation, nodes, device)
        where.append((n.CONTENT_FORMAT, form))
        payload = formats.encode(form, nodes, operation.path, type_of)
    return Message(_CODES[operation.kind], payload, options(*where))


def best_for(device: Capabilities) -> int:
    """The format in which a device is asked for values."""
    return formats.best(device.understands, device.version)


def _form_to_write(operation: Operation, nodes: Sequence[Node], device: Capabilities) -> int:
    """A single value of bytes goes as it is: it may be large, and needs no encoding."""
    if len(nodes) == 1 and nodes[0].path == operation.path and isinstance(nodes[0].value, bytes):
        return formats.OPAQUE
    return best_for(device)


def _nodes(operation: Operation, type_of: TypeOf) -> list[Node]:
    if not operation.values and operation.kind != "create":
        raise CodecError(f"{operation.kind}: expected a value, got none")
    found = []
    for path, value in operation.values:
        try:
            found.append(Node(path, to_type(value, type_of(path))))
        except CodecError as error:
            raise CodecError(f"{paths.text(path)}: {error}") from error
    return found


def _attribute(name: str, value: float | None) -> str:
    if value is None:
        return name  # takes the attribute away (Core §5.1.2)
    return f"{name}={int(value) if float(value).is_integer() else value}"


def flattened(path: Path, value: object) -> list[tuple[Path, object]]:
    """What a user wrote for a path as values of resources: an object of ids stands for what is below."""
    if not isinstance(value, Mapping):
        return [(path, value)]
    found: list[tuple[Path, object]] = []
    for id, inner in value.items():
        below = paths.parse("/".join(map(str, (*path, id))))
        found += flattened(below, inner)
    return found
