"""The links of a registration and of a discovery (RFC 6690; Core §6.2.1 and §6.4): which objects a device has.

Devices write them in many ways, so they are read leniently: ``ct`` several times or quoted, ``ver`` on an instance or in
quotes, attributes without a value, links to what is no path of LwM2M.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

from iotgw.core.numbers import whole
from iotgw.wire.lwm2m import paths
from iotgw.wire.lwm2m.paths import Path
from iotgw.wire.lwm2m.values import CodecError

MOST_LINKS = 10_000
MOST_ATTRIBUTES = 32
"""Of a link."""
_LINK = re.compile(r"\s*<([^<>]{0,255})>\s*")
_ATTRIBUTE = re.compile(r'\s*;\s*([^\s=;,"<>]{1,64})(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;,"]*)))?\s*')
_VERSION = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}")


class Link(Struct, frozen=True, gc=False):
    """A link: its target as it is written, and its attributes; a value of None is an attribute that has none."""

    target: str
    attributes: dict[str, str | None] = {}


class Objects(Struct, frozen=True, omit_defaults=True):
    """What a device has: the instances of each object, and the versions that it names (without, it is 1.0).

    ``root`` is the path below which all of it is (``rt="oma.lwm2m"``), ``formats`` are the Content-Formats that it
    understands.
    """

    instances: dict[int, list[int]] = {}
    versions: dict[int, str] = {}
    root: str = ""
    formats: list[int] = []

    def version(self, object: int) -> str:
        """The version of an object."""
        return self.versions.get(object, "1.0")


def parse(data: bytes) -> list[Link]:
    """The links of a payload of application/link-format. Raises `CodecError`."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CodecError(f"links: expected UTF-8, got {error.reason}") from error
    return [*_parse(text)]


def _parse(text: str) -> Iterator[Link]:
    text = text.strip("\0 \r\n\t")
    at, count = 0, 0
    while at < len(text):
        link = _LINK.match(text, at)
        if link is None:
            raise CodecError(f"links: expected <path> at character {at}")
        at = link.end()
        attributes: dict[str, str | None] = {}
        while (found := _ATTRIBUTE.match(text, at)) is not None:
            name, quoted, bare = found.groups()
            value = quoted if quoted is not None else None if bare is None else bare.strip()
            before = attributes.get(name)
            attributes[name] = f"{before} {value}" if before and value else value
            at = found.end()
            if len(attributes) > MOST_ATTRIBUTES:
                raise CodecError(f"links: expected at most {MOST_ATTRIBUTES} attributes, got more")
        count += 1
        if count > MOST_LINKS:
            raise CodecError(f"links: expected at most {MOST_LINKS}, got more")
        yield Link(link.group(1), attributes)
        if at < len(text) and text[at] != ",":
            raise CodecError(f"links: expected a comma at character {at}")
        at += 1


def objects_of(links: Iterable[Link]) -> Objects:
    """The objects that the links of a registration name. What is no object or instance is ignored."""
    links = list(links)
    root, formats = "", []
    for link in links:
        if (link.attributes.get("rt") or "").find("oma.lwm2m") >= 0:
            root = link.target.strip("/")
        if link.target in ("/", "") or link.target.strip("/") == root:
            numbers = (whole(part, 0, 65535) for part in (link.attributes.get("ct") or "").split())
            formats += [number for number in numbers if number is not None]
    instances: dict[int, list[int]] = {}
    versions: dict[int, str] = {}
    for link in links:
        path = _path(link.target, root)
        if not path:
            continue
        found = instances.setdefault(path[0], [])
        if len(path) > 1 and path[1] not in found[-1:]:
            found.append(path[1])
        version = link.attributes.get("ver") or ""
        if _VERSION.fullmatch(version) and len(path) <= 2:
            versions[path[0]] = version
    return Objects(
        {id: sorted(set(ids)) for id, ids in instances.items()}, versions, root, sorted(set(formats))
    )


def _path(target: str, root: str) -> Path:
    if root:
        target = target.removeprefix("/")
        if not target.startswith(root + "/"):
            return ()
        target = target[len(root) :]
    try:
        return paths.parse(target)
    except CodecError:
        return ()
