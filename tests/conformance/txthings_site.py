"""The ETSI plugtests' resources as a txThings tree, for a running gateway to mount.

Californium's plugtest checker, a program of its own, asks a server for them::

    resources: "tests.conformance.txthings_site:root"

What the tree does at a request is what Californium's own plugtest server does.
"""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.task import LoopingCall, deferLater
from txthings import coap, resource

TEXT, LINKS, XML, JSON, CBOR = 0, 40, 41, 50, 60
LINE = b"/" + 61 * b"-" + b"\\\n"
LONG = 20 * LINE
INTERVAL = 5.0  # seconds between two notifications; also what they are fresh for


def answer(code, payload=b"", content_format=None, etag=b"", max_age=None):
    """A txThings response."""
    message = coap.Message(code=code, payload=payload)
    if content_format is not None:
        message.opt.content_format = content_format
    if etag:
        message.opt.etag = etag
    if max_age is not None:
        message.opt.max_age = max_age
    return message


def values(request, number):
    """The values of an option."""
    return [option.value for option in request.opt.getOption(number) or ()]


class Node(resource.CoAPResource):
    """A resource with a text, children and link attributes."""

    def __init__(self, text=b"welcome", visible=True, **attributes):
        super().__init__()
        self.text, self.visible = text, visible
        for name, value in attributes.items():
            for word in value.split():
                self.addParam(resource.LinkParam(name, word))

    def render_GET(self, request):
        return answer(coap.CONTENT, self.text, TEXT)


class Test(Node):
    """Takes each method, and creates at a location."""

    def render_GET(self, request):
        return answer(coap.CONTENT, self.text, TEXT, max_age=30)

    def render_POST(self, request):
        response = answer(coap.CREATED)
        response.opt.location_path = (b"location1", b"location2", b"location3")
        return response

    def render_PUT(self, request):
        return answer(coap.PRECONDITION_FAILED if values(request, coap.IF_NONE_MATCH) else coap.CHANGED)

    def render_DELETE(self, request):
        return answer(coap.DELETED)


class Separate(Node):
    """Answers after two seconds."""

    def render_GET(self, request):
        return deferLater(reactor, 2, answer, coap.CONTENT, b"separately", TEXT)


class Query(Node):
    """Shows what it was asked."""

    def render_GET(self, request):
        return answer(coap.CONTENT, b"?" + b"&".join(request.opt.uri_query), TEXT)


class LocationQuery(Node):
    """Creates at a location with a query."""

    def render_POST(self, request):
        response = answer(coap.CREATED)
        for value in (b"first=1", b"second=2"):
            response.opt.addOption(coap.StringOption(coap.LOCATION_QUERY, value))
        return response


class Formats(Node):
    """Comes as text, XML, JSON and CBOR."""

    bodies = {TEXT: b"text", XML: b"<text/>", JSON: b'{"text": 1}', CBOR: b"\xa1\x64text\x01"}

    def render_GET(self, request):
        wanted = request.opt.accept or TEXT
        if wanted not in self.bodies:
            return answer(coap.NOT_ACCEPTABLE)
        return answer(coap.CONTENT, self.bodies[wanted], wanted)


class Validated(Node):
    """Has an entity tag, and takes a PUT under conditions."""

    version = 1

    @property
    def etag(self):
        return self.version.to_bytes(4, "big")

    def render_GET(self, request):
        if self.etag in values(request, coap.ETAG):
            return answer(coap.VALID, etag=self.etag)
        return answer(coap.CONTENT, self.text, TEXT, self.etag)

    def render_PUT(self, request):
        matches = values(request, coap.IF_MATCH)
        if matches and self.etag not in matches:
            return answer(coap.PRECONDITION_FAILED)
        self.text = request.payload
        self.version += 1
        return answer(coap.CHANGED, b"", TEXT, self.etag)


class Created(Node):
    """Is not there before its first PUT; a PUT that finds it removes it, so that the case can be run again."""

    text = None

    def __init__(self):
        super().__init__(None, visible=False)

    def render_GET(self, request):
        return answer(coap.NOT_FOUND) if self.text is None else super().render_GET(request)

    def render_PUT(self, request):
        if self.text is not None and values(request, coap.IF_NONE_MATCH):
            self.text = None
            return answer(coap.PRECONDITION_FAILED)
        self.text = request.payload
        return answer(coap.CREATED)


class LargeUpdate(Node):
    """A text that can be replaced."""

    def render_PUT(self, request):
        self.text = request.payload
        return answer(coap.CHANGED)


class LargeCreate(Node):
    """Each POST makes a child."""

    def render_POST(self, request):
        name = b"%d" % (len(self.children) + 1)
        self.putChild(name, Node(request.payload))
        response = answer(coap.CREATED)
        response.opt.location_path = (b"large-create", name)
        return response


class LargePost(Node):
    """Gives back what it was sent, in capitals."""

    def render_POST(self, request):
        return answer(coap.CHANGED, request.payload.upper(), TEXT)


class Menu(Node):
    """Links to its children (RFC 6690 section 5)."""

    def render_GET(self, request):
        links = ",".join(f"</path/{name.decode()}>" for name in self.children)
        return answer(coap.CONTENT, links.encode(), LINKS)


class Observed(Node):
    """Changes every five seconds; a PUT is told to whoever watches, and a DELETE ends their watch."""

    observable = True

    def __init__(self, text):
        super().__init__(text, rt="observe")
        self.state = text
        self.final = None  # the code that ends the watches
        self.clock = LoopingCall(self._tick)
        self.clock.start(INTERVAL, now=False)

    def _tick(self):
        self.text = self.state
        self.updatedState()

    def render_GET(self, request):
        if self.final is not None:
            return answer(self.final)
        return answer(coap.CONTENT, self.text, TEXT, max_age=int(INTERVAL))

    def render_PUT(self, request):
        if request.opt.content_format:
            self._end(coap.NOT_ACCEPTABLE)  # whoever watches was promised text
        else:
            self.text = request.payload
            self.updatedState()
        return answer(coap.CHANGED)

    def render_DELETE(self, request):
        self._end(coap.NOT_FOUND)
        return answer(coap.DELETED)

    def _end(self, code):
        self.final = code
        self.updatedState()
        self.final = None
        self.observers.clear()


class Forgetting(Node):
    """Lets an open-sesame make the others forget who watches them, as a restart would."""

    def __init__(self, observed):
        super().__init__()
        self.observed = observed

    def render_POST(self, request):
        if request.payload != b"sesame":
            return answer(coap.FORBIDDEN)
        for node in self.observed:
            node.observers.clear()
        return answer(coap.CHANGED)


def root():
    """A new tree."""
    tree = Node(visible=False)
    watched = [Observed(b"state"), Observed(b"state"), Observed(LONG)]
    segments = Node(), Node(), Node(b"three segments")
    segments[0].putChild(b"seg2", segments[1])
    segments[1].putChild(b"seg3", segments[2])
    menu = Menu(ct="40")
    for name in (b"sub1", b"sub2", b"sub3"):
        menu.putChild(name, Node(b"/path/" + name))
    for name, node in {
        b"test": Test(title="Default"),
        b"seg1": segments[0],
        b"separate": Separate(),
        b"query": Query(),
        b"location-query": LocationQuery(),
        b"multi-format": Formats(),
        b"validate": Validated(),
        b"create1": Created(),
        b"large": Node(LONG, sz=str(len(LONG)), rt="block"),
        b"large-update": LargeUpdate(LONG, rt="block"),
        b"large-create": LargeCreate(rt="block"),
        b"large-post": LargePost(rt="block"),
        b"link1": Node(rt="Type1 Type2", **{"if": "If1"}),
        b"link2": Node(rt="Type2 Type3", **{"if": "If2"}),
        b"link3": Node(rt="Type1 Type3", **{"if": "foo"}),
        b"path": menu,
        b"obs": watched[0],
        b"obs-non": watched[1],
        b"obs-large": watched[2],
        b"obs-reset": Forgetting(watched),
    }.items():
        tree.putChild(name, node)
    return tree
