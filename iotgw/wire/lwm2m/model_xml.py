"""Object models from OMA's XML (LWM2M.xsd), as its registry and vendors publish them.

The text may be anybody's: document types and entities are refused, which rules out entity bombs and outside references, and
the size, the depth and the number of resources are bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.parsers import expat

from iotgw.core.numbers import shown, whole
from iotgw.wire.lwm2m.models import ObjectModel, Operations, ResourceModel
from iotgw.wire.lwm2m.paths import LARGEST
from iotgw.wire.lwm2m.values import CodecError, ValueType

MOST_BYTES = 1 << 20
MOST_OBJECTS = 100
MOST_RESOURCES = 4096
LONGEST_TEXT = 256
"""Characters that are kept of a name."""
_DEEPEST = 16
_TYPES: dict[str, ValueType | None] = {
    "": None,
    "string": "string",
    "integer": "integer",
    "unsigned integer": "unsigned",
    "float": "float",
    "boolean": "boolean",
    "opaque": "opaque",
    "time": "time",
    "objlnk": "objlnk",
    "corelnk": "corelnk",
}
_OPERATIONS: dict[str, Operations] = {"": "", "R": "R", "W": "W", "RW": "RW", "E": "E"}
_KEPT = frozenset(("Name", "ObjectID", "ObjectVersion", "MultipleInstances", "Operations", "Type", "Units"))


def models_of(data: bytes) -> list[ObjectModel]:
    """The objects that an XML text defines. Raises `CodecError`."""
    if len(data) > MOST_BYTES:
        raise CodecError(f"expected XML of at most {MOST_BYTES} bytes, got {len(data)}")
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.begin
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(data, True)
    except CodecError:
        raise
    except (expat.ExpatError, LookupError, ValueError) as error:  # or an encoding that Python doesn't know
        raise CodecError(f"expected XML: {error}") from error
    if not reader.objects:
        raise CodecError("expected an <Object> of LWM2M.xsd, got none")
    return [*_models(reader.objects)]


def _refuse(*_: object) -> None:
    raise CodecError("expected XML without a document type and entities")


class _Reader:
    """Collects the fields of objects and of their items."""

    def __init__(self) -> None:
        self.objects: list[tuple[dict[str, str], list[dict[str, str]]]] = []
        self._open: list[str] = []
        self._fields: dict[str, str] | None = None
        self._items = 0

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        self._open.append(name)
        if len(self._open) > _DEEPEST:
            raise CodecError(f"expected at most {_DEEPEST} levels of elements, got more")
        if name == "Object":
            self._fields = {}
            self.objects.append((self._fields, []))
            if len(self.objects) > MOST_OBJECTS:
                raise CodecError(f"expected at most {MOST_OBJECTS} objects, got more")
        elif name == "Item" and self.objects:
            self._fields = {"ID": attributes.get("ID", "")}
            self.objects[-1][1].append(self._fields)
            self._items += 1
            if self._items > MOST_RESOURCES:
                raise CodecError(f"expected at most {MOST_RESOURCES} resources, got more")

    def end(self, name: str) -> None:
        self._open.pop()
        if name == "Item" and self.objects:
            self._fields = self.objects[-1][0]

    def characters(self, text: str) -> None:
        # <Name> is of the innermost <Item>, or of the <Object>
        name = self._open[-1] if self._open else ""
        if self._fields is not None and name in _KEPT:
            self._fields[name] = (self._fields.get(name, "") + text)[:LONGEST_TEXT]


def _models(objects: list[tuple[dict[str, str], list[dict[str, str]]]]) -> Iterator[ObjectModel]:
    for fields, items in objects:
        number = whole(fields.get("ObjectID", "").strip(), 0, LARGEST)
        if number is None:
            raise CodecError(f"expected an <ObjectID>, got {shown(fields.get('ObjectID', ''))}")
        resources = dict(_resource(number, item) for item in items)
        version = fields.get("ObjectVersion", "").strip() or "1.0"
        name = fields.get("Name", "").strip() or str(number)
        yield ObjectModel(number, version, name, _is_multiple(fields), resources)


def _resource(object: int, fields: dict[str, str]) -> tuple[int, ResourceModel]:
    number = whole(fields["ID"].strip(), 0, LARGEST)
    if number is None:
        raise CodecError(f"object {object}: expected the ID of an <Item>, got {shown(fields['ID'])}")
    name = fields.get("Name", "").strip() or str(number)
    type_ = fields.get("Type", "").strip().lower()
    if type_ not in _TYPES:
        raise CodecError(f"object {object}, resource {number}: expected a type of LwM2M, got {shown(type_)}")
    operations = _OPERATIONS.get(fields.get("Operations", "").strip().upper(), "")
    units = fields.get("Units", "").strip()
    return number, ResourceModel(name, _TYPES[type_], operations, _is_multiple(fields), units)


def _is_multiple(fields: dict[str, str]) -> bool:
    return fields.get("MultipleInstances", "").strip().lower() == "multiple"
