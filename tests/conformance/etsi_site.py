"""The resources that the ETSI CoAP plugtests (CoAP#4, TD_COAP_*) ask a server for."""

from __future__ import annotations

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.discovery import WELL_KNOWN_CORE, Discovery
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.message import Message, error, options
from iotgw.wire.coap.site import Resource, Site, parse_path
from iotgw.wire.coap.timing import Policy

ALL = frozenset((n.GET, n.POST, n.PUT, n.DELETE))
LONG = bytes(33 + number % 90 for number in range(1400))


class Stored(Resource):
    """A resource with a body that can be read, replaced, removed, and observed where it says so."""

    methods = ALL

    def __init__(self, body=b"welcome", content_format=n.TEXT_PLAIN, created=(), **attributes):
        self.body = body
        self.content_format = content_format
        self.version = 1
        self._created = created
        self.__dict__.update(attributes)

    def exists(self, request):
        return self.body is not None

    def etag(self, request):
        return bytes((self.version,))

    def render(self, request: Message, exchange: Exchange) -> None:
        if request.code == n.GET:
            exchange.reply(self._content(request))
            return
        before, self.version = self.body, self.version + 1
        if request.code == n.DELETE:
            self.body = None
            exchange.reply(Message(n.DELETED))
            exchange.endpoint.server.observers.drop(self, error(n.NOT_FOUND))
            return
        self.body = request.payload
        self.content_format = request.options.get_uint(n.CONTENT_FORMAT) or 0
        if self._created and request.code == n.POST:
            exchange.reply(Message(n.CREATED, b"", options(*self._created)))
        elif request.code == n.POST and self.body == b"answer at length":
            exchange.reply(Message(n.CHANGED, LONG))
        else:
            exchange.reply(Message(n.CREATED if before is None else n.CHANGED))
        exchange.endpoint.changed(self)

    def _content(self, request):
        if self.body is None:
            return error(n.NOT_FOUND)
        pairs = [(n.CONTENT_FORMAT, self.content_format), (n.ETAG, self.etag(request)), (n.MAX_AGE, 30)]
        return Message(n.CONTENT, self.body, options(*pairs))

    def change(self, endpoint, body, content_format=None):
        """The resource changes by itself."""
        self.body = body
        self.version += 1
        if content_format is not None:
            self.content_format = content_format
        endpoint.changed(self)


class Separate(Resource):
    """Answers after two seconds."""

    def render(self, request: Message, exchange: Exchange) -> None:
        endpoint = exchange.endpoint
        response = Message(n.CONTENT, b"separately", options((n.CONTENT_FORMAT, n.TEXT_PLAIN)))
        endpoint.timers.at(endpoint.clock() + 2, lambda now: exchange.reply(response))


class Query(Resource):
    """Shows what it was asked."""

    def render(self, request: Message, exchange: Exchange) -> None:
        text = "&".join(request.options.queries).encode()
        exchange.reply(Message(n.CONTENT, text, options((n.CONTENT_FORMAT, n.TEXT_PLAIN))))


class Formats(Resource):
    """Comes as text and as XML."""

    def render(self, request: Message, exchange: Exchange) -> None:
        wanted = request.options.get_uint(n.ACCEPT) or n.TEXT_PLAIN
        body = b"<text/>" if wanted == 41 else b"text"
        exchange.reply(Message(n.CONTENT, body, options((n.CONTENT_FORMAT, 41 if wanted == 41 else 0))))


class Menu(Resource):
    """Links to what is below it (RFC 6690 §5)."""

    links = {"ct": "40"}

    def render(self, request: Message, exchange: Exchange) -> None:
        body = b"</path/sub1>,</path/sub2>"
        exchange.reply(Message(n.CONTENT, body, options((n.CONTENT_FORMAT, n.LINK_FORMAT))))


def make_site() -> tuple[Site, dict[str, Resource]]:
    """A new site, and its resources by path."""
    location = [(n.LOCATION_PATH, part) for part in ("location1", "location2", "location3")]
    query = [(n.LOCATION_QUERY, part) for part in ("first=1", "second=2")]
    small = Policy(block_size=64)
    resources: dict[str, Resource] = {
        "test": Stored(links={"rt": "Type1 Type2", "if": "If1"}),
        "seg1/seg2/seg3": Stored(b"three segments", links={"rt": "Type2 Type3", "if": "If2"}),
        "query": Query(),
        "separate": Separate(),
        "location-path": Stored(created=location),
        "location-query": Stored(created=query, links={"rt": "Type1 Type3", "if": "foo"}),
        "multi-format": Formats(),
        "validate": Stored(b"to be validated"),
        "create1": Stored(None),
        "large": Stored(LONG, links={"sz": str(len(LONG)), "rt": ""}),
        "large-update": Stored(LONG),
        "large-create": Stored(b"", created=location),
        "large-post": Stored(b""),
        "large-small": Stored(b"", policy=small),
        "obs": Stored(b"first state", is_observable=True),
        "obs-non": Stored(b"first state", is_observable=True, policy=Policy(confirmable_notifications=False)),
        "link1": Stored(links={}),
        "link2": Stored(links={}),
        "link3": Stored(links={}),
        "path": Menu(),
        "path/sub1": Stored(b"/path/sub1"),
        "path/sub2": Stored(b"/path/sub2"),
    }
    site = Site()
    for path, resource in resources.items():
        site.add(parse_path(path), resource)
    site.add(WELL_KNOWN_CORE, Discovery(site))
    return site, resources
