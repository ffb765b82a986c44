"""The test site that the conformance rows ask: small resources, each for one question.

As a program (``python -m tests.conformance.site PORT``) it serves them on a loopback UDP port.
"""

from __future__ import annotations

import sys

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.discovery import WELL_KNOWN_CORE, Discovery
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.message import Message, options
from iotgw.wire.coap.site import Resource, Site, parse_path
from iotgw.wire.coap.timing import Policy

TEXT = options((n.CONTENT_FORMAT, n.TEXT_PLAIN))
LARGE = bytes(32 + number % 90 for number in range(3000))
POLICY = Policy(max_body=1 << 20)


class Inbox(Resource):
    """``/i``: GET gives what the last POST brought; ``runs`` counts the POSTs."""

    methods = frozenset((n.GET, n.POST, n.PUT, n.DELETE))
    policy = POLICY
    links = {"rt": "inbox"}

    def __init__(self):
        self.body = b"nothing yet"
        self.runs = 0

    def render(self, request: Message, exchange: Exchange) -> None:
        if request.code == n.GET:
            exchange.reply(Message(n.CONTENT, self.body, TEXT))
            return
        self.runs += 1
        self.body = request.payload
        exchange.reply(Message(n.CHANGED))


class Count(Resource):
    """``/count``: how often the inbox was posted to."""

    def __init__(self, inbox: Inbox):
        self._inbox = inbox

    def render(self, request: Message, exchange: Exchange) -> None:
        exchange.reply(Message(n.CONTENT, b"%d" % self._inbox.runs, TEXT))


class Slow(Resource):
    """``/slow``: answers after a second."""

    def render(self, request: Message, exchange: Exchange) -> None:
        endpoint = exchange.endpoint
        endpoint.timers.at(
            endpoint.clock() + 1, lambda now: exchange.reply(Message(n.CONTENT, b"at last", TEXT))
        )


class Large(Resource):
    """``/large``: 3000 bytes."""

    links = {"sz": "3000"}

    def render(self, request: Message, exchange: Exchange) -> None:
        exchange.reply(Message(n.CONTENT, LARGE, TEXT))


class Boom(Resource):
    """``/boom``: fails."""

    def render(self, request: Message, exchange: Exchange) -> None:
        raise ZeroDivisionError("boom")


class Clock(Resource):
    """``/clock``: observable; changes once a second while somebody watches."""

    is_observable = True
    links = {"rt": "clock"}

    def __init__(self):
        self._ticks = 0
        self._is_ticking = False

    def render(self, request: Message, exchange: Exchange) -> None:
        if not self._is_ticking:
            self._is_ticking = True
            self._arm(exchange.endpoint, exchange.endpoint.clock())
        exchange.reply(Message(n.CONTENT, b"tick %d" % self._ticks, TEXT))

    def _arm(self, endpoint, now):
        def tick(now):
            self._ticks += 1
            endpoint.changed(self)
            self._is_ticking = bool(endpoint.server.observers.count(self))
            if self._is_ticking:
                self._arm(endpoint, now)

        endpoint.timers.at(now + 1, tick)


def make_site() -> Site:
    """A new site with all of them."""
    site = Site()
    inbox = Inbox()
    for path, resource in {
        "i": inbox,
        "count": Count(inbox),
        "slow": Slow(),
        "large": Large(),
        "boom": Boom(),
        "clock": Clock(),
    }.items():
        site.add(parse_path(path), resource)
    site.add(WELL_KNOWN_CORE, Discovery(site))
    return site


def serve(port: int) -> None:
    """Serve the site until killed; the port is printed."""
    from twisted.internet import reactor

    from iotgw.datasources.coap.port import CoapPort
    from iotgw.wire.coap.timing import DEFAULT

    coap = CoapPort(reactor, port, "127.0.0.1")
    site = make_site()
    site.remove(WELL_KNOWN_CORE)  # the port has its own
    coap.add(dict(site), DEFAULT, discovery=POLICY)
    print(coap.address[1], flush=True)
    reactor.run()


if __name__ == "__main__":
    serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
