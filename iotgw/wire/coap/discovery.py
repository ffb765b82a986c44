"""``/.well-known/core``: the links of a site, in link format, filtered (RFC 6690, RFC 7252 §7.2)."""

from __future__ import annotations

from collections.abc import Iterator

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.message import Message, options
from iotgw.wire.coap.site import Attributes, Path, Resource, Site
from iotgw.wire.coap.timing import DEFAULT_POLICY, Policy

WELL_KNOWN_CORE: Path = (".well-known", "core")

_LINK_FORMAT = options((n.CONTENT_FORMAT, n.LINK_FORMAT))
_UNQUOTED = frozenset(("ct", "sz"))
_LISTS = frozenset(("rt", "if", "ct", "rel"))  # values of these are separated by spaces (RFC 6690 §4.1)


class Discovery(Resource):
    """Lists the resources of a site that have ``links``. A multicast request is answered only when something
    matches."""

    takes_multicast = True

    def __init__(self, site: Site, policy: Policy = DEFAULT_POLICY) -> None:
        self.policy = policy
        self._site = site

    def render(self, request: Message, exchange: Exchange) -> None:
        """Answer with the links that the query's one filter lets through."""
        filters = [query.partition("=") for query in request.options.queries]
        links: dict[str, None] = {}  # a set that keeps the order
        for path, resource in self._site:
            links.update(dict.fromkeys(_matching(path, resource, filters)))
        exchange.reply(Message(n.CONTENT, ",".join(links).encode(), _LINK_FORMAT))


def _matching(path: Path, resource: Resource, filters: list[tuple[str, str, str]]) -> Iterator[str]:
    for place, attributes in resource.entries(path):
        href = "/" + "/".join(place)
        if all(_passes(href, attributes, name, wanted) for name, _, wanted in filters):
            yield link(href, attributes)


def _passes(href: str, attributes: Attributes, name: str, wanted: str) -> bool:
    """RFC 6690 §4.1: a value, or a prefix that ends in ``*``."""
    if name == "href":
        values = [href]
    elif name in attributes:
        value = attributes[name]
        values = [""] if value is None else [value] if isinstance(value, str) else list(value)
        if name in _LISTS:
            values = [part for text in values for part in text.split() or [""]]
    else:
        return False
    if wanted.endswith("*"):
        return any(value.startswith(wanted[:-1]) for value in values)
    return wanted in values


def link(href: str, attributes: Attributes) -> str:
    """One link, as ``</a>;rt="x y";ct=50``."""
    parts = [f"<{href}>"]
    for name, value in attributes.items():
        if value is None:
            parts.append(name)
        else:
            text = value if isinstance(value, str) else " ".join(value)
            parts.append(f"{name}={text}" if name in _UNQUOTED and " " not in text else f'{name}="{text}"')
    return ";".join(parts)
