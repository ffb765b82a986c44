"""Fuzzing the CoAP endpoint in process: mutated and random datagrams, in the engine's own time.

Everything that it sends is read back by the prober's own codec. It must never raise, its tables must stay
under their limits. When nobody sends any more they must be empty within the hour, but for observers that
acknowledge nothing: those are found out by the first notification after a day.
"""

from __future__ import annotations

from random import Random

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.endpoint import Endpoint
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.limits import EndpointLimits
from iotgw.wire.coap.message import Message, encode, options, uri_options
from iotgw.wire.coap.timing import Policy
from tests.conformance.probe import Answer
from tests.conformance.site import Large, make_site

LIMITS = EndpointLimits(
    remembered=20_000, peers=5_000, unacknowledged=2_000, body_bytes=2 << 20, observers=200
)
PATHS = (
    "i",
    "i",
    "count",
    "slow",
    "large",
    "clock",
    "no/such",
    ".well-known/core",
    "i?a=1&b",
    "large?x",
    "guarded",
    "guarded",
)


GUARDED = Policy(
    rate=0.05,
    burst=2,
    amplification=3,
    match_content=False,
    max_body=2000,
    confirmable_notifications=False,
    max_observers=10,
)


class Guarded(Large):
    """A resource with every limit on, observable, that takes everything and sometimes fails."""

    methods = frozenset(n.METHOD_NAMES)
    is_observable = True

    def render(self, request: Message, exchange: Exchange) -> None:
        if len(request.payload) == 3:
            raise ZeroDivisionError("three bytes")
        super().render(request, exchange)
        if request.code != n.GET:
            exchange.endpoint.changed(self)


class Fuzz:
    """One run: the same seed sends the same datagrams."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = 1000.0
        self.sent = 0
        self.failures: list[Exception] = []
        self.endpoint = Endpoint(
            make_site(),
            self._send,
            lambda: self.now,
            limits=LIMITS,
            random=Random(seed),
            failed=lambda error, request: self.failures.append(error),
        )
        self.guarded = Guarded()
        self.guarded.policy = GUARDED
        self.endpoint.site.add(("guarded",), self.guarded)
        self._answers: list[tuple[Answer, object]] = []

    def _send(self, data: bytes, remote: object) -> None:
        answer = Answer.of(data)  # what goes out must be well-formed by another codec's reckoning
        self.sent += 1
        if len(self._answers) < 64:
            self._answers.append((answer, remote))

    def run(self, datagrams: int) -> None:
        """Send this many datagrams; time passes by some milliseconds, now and then by seconds."""
        random, endpoint = self.random, self.endpoint
        for number in range(datagrams):
            data, remote = self._next()
            endpoint.datagram(data, remote, self.now, multicast=random.random() < 0.01)
            self.now += random.random() * 0.004
            if not number % 16:
                endpoint.poll(self.now)
            if random.random() < 0.0005:
                self.now += random.random() * 40
            if random.random() < 0.0005:
                endpoint.request(
                    Message(n.POST, bytes(random.randrange(3000)), options(*uri_options("x"))),
                    remote,
                    lambda response: None,
                    lambda reason: None,
                )

    def _next(self) -> tuple[bytes, object]:
        random = self.random
        remote = ("198.51.100.7", 1024 + random.randrange(200 if random.random() < 0.9 else 60_000))
        kind = random.random()
        if kind < 0.1:
            return random.randbytes(random.randrange(40)), remote
        if kind < 0.3 and self._answers:
            return self._reaction()
        data = self._request()
        if kind < 0.6:
            data = self._mutated(data)
        return data, remote

    def _request(self) -> bytes:
        random = self.random
        pairs: list[tuple[int, int | bytes | str]] = list(uri_options(random.choice(PATHS)))
        for number in (n.BLOCK1, n.BLOCK2):
            if random.random() < 0.25:
                pairs.append(
                    (number, random.choice((0, 8, 14, 6, 22, 16, 24, 34, 7, random.randrange(1 << 24))))
                )
        if random.random() < 0.2:
            pairs.append((n.OBSERVE, random.randrange(3)))
        if random.random() < 0.15:
            number = random.choice((*n.OPTIONS, 350, 2048, 9999))
            pairs.append((number, random.randbytes(random.randrange(6))))
        size = random.choice((0, 3, 16, 32, 64, 64, 1024))
        return encode(
            random.choice((n.CON, n.CON, n.NON)),
            random.choice((n.GET, n.GET, n.POST, n.PUT, n.DELETE, n.FETCH, random.randrange(256))),
            random.randrange(0x10000 if random.random() < 0.5 else 64),
            random.randbytes(random.randrange(9)),
            options(*pairs),
            bytes(size),
        )

    def _reaction(self) -> tuple[bytes, object]:
        """An ACK, a Reset or a response to something that was sent, from its receiver or from another."""
        random = self.random
        answer, remote = self._answers.pop(random.randrange(len(self._answers)))
        if random.random() < 0.1:
            remote = ("203.0.113.9", 9)
        kind = random.random()
        if kind < 0.5:
            return encode(n.ACK, n.EMPTY, answer.mid), remote
        if kind < 0.6:
            return encode(n.RST, n.EMPTY, answer.mid), remote
        code = random.choice((n.CHANGED, n.CONTENT, n.CONTINUE, n.BAD_REQUEST, n.UNAUTHORIZED))
        pairs: list[tuple[int, int | bytes | str]] = []
        for number in (n.BLOCK1, n.BLOCK2, n.OBSERVE, n.ECHO):
            if random.random() < 0.3:
                pairs.append((number, random.choice((8, 14, 30, 24, random.randrange(1 << 24)))))
        type_ = random.choice((n.CON, n.NON, n.ACK))
        return encode(type_, code, answer.mid, answer.token, options(*pairs), bytes(64)), remote

    def _mutated(self, data: bytes) -> bytes:
        random = self.random
        changed = bytearray(data)
        for _ in range(random.randrange(1, 4)):
            at = random.randrange(len(changed)) if changed else 0
            kind = random.randrange(4)
            if kind == 0 and changed:
                changed[at] = random.randrange(256)
            elif kind == 1 and changed:
                changed[at] ^= 1 << random.randrange(8)
            elif kind == 2:
                changed[at:at] = random.randbytes(random.randrange(1, 5))
            else:
                del changed[at : at + random.randrange(1, 5)]
        return bytes(changed)

    def check(self) -> None:
        """What must hold at any time."""
        endpoint = self.endpoint
        unexpected = [error for error in self.failures if not isinstance(error, ZeroDivisionError)]
        assert not unexpected, unexpected[0]
        sizes = self.sizes()
        assert sizes["remembered"] <= LIMITS.remembered * 17 // 16 + 1, sizes
        assert sizes["peers"] <= 2 * LIMITS.peers + LIMITS.unacknowledged + LIMITS.observers, sizes
        assert sizes["unacknowledged"] <= LIMITS.unacknowledged, sizes
        assert sizes["observers"] <= LIMITS.observers, sizes
        assert sizes["body bytes"] <= LIMITS.body_bytes, sizes
        assert endpoint.remembered.size >= 0

    def end(self) -> None:
        """Nobody sends any more. Who observes without acknowledging is found out after a day."""
        self.idle(25 * 3600)
        self.endpoint.changed(self.guarded)
        self.idle(3600)

    def idle(self, seconds: float) -> None:
        """Let time pass with nobody sending."""
        end = self.now + seconds
        while (due := self.endpoint.poll(self.now)) is not None and due <= end:
            self.now = max(self.now, due)
        self.now = end
        self.endpoint.poll(end)

    def sizes(self) -> dict[str, int]:
        """How much the endpoint holds."""
        endpoint, server = self.endpoint, self.endpoint.server
        return {
            "remembered": len(endpoint.remembered),
            "remembered bytes": endpoint.remembered.size,
            "peers": len(endpoint.peers),
            "unacknowledged": len(endpoint.transmissions),
            "uploads": len(server.uploads),
            "bodies": len(server.bodies),
            "body bytes": server.budget.used,
            "observers": len(server.observers),
            "requests": len(endpoint.client),
            "timers": len(endpoint.timers),
        }
