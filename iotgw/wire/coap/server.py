"""The request layer: routes a new request to its resource, and fits the response to the request's options."""

from __future__ import annotations

from iotgw.wire.coap import blockwise, observe, uploads
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.blockwise import Block, entity_tag, slice_response
from iotgw.wire.coap.deduplication import ANY_CONTENT
from iotgw.wire.coap.defence import Echo, size_of, wait_for_token
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.lenient import mend
from iotgw.wire.coap.message import Message, Options, error, options
from iotgw.wire.coap.message_layer import MessageLayer
from iotgw.wire.coap.peers import Peer
from iotgw.wire.coap.site import Resource, Site
from iotgw.wire.coap.upload import lacking

SAFE = frozenset((n.GET, n.FETCH))


class Server:
    """What an endpoint does with requests to the resources of ``site``."""

    def __init__(self, layer: MessageLayer, site: Site) -> None:
        self._layer = layer
        self._site = site
        limits = layer.limits
        self.budget = blockwise.Budget(limits.body_bytes)
        self.uploads = uploads.Uploads(layer.timers, self.budget, self._assembled)
        self.bodies = blockwise.Bodies(layer.timers, self.budget)
        self.observers = observe.Observers(layer, limits.observers, self.render, self.notification)
        self._echo = Echo(layer.random.randbytes(32))

    # --- requests ---------------------------------------------------------------------------------

    def request(self, request: Message, exchange: Exchange, now: float) -> None:
        """Take a request that is no duplicate."""
        opts = request.options
        if opts.is_clear:
            found = self._site.find(opts.path)
        elif opts.flaw is not None:
            self._refuse(exchange, *opts.flaw)
            return
        else:
            request, found = mend(request, exchange, self._site, self.uploads)
            exchange.request, opts = request, request.options
        if found is None:
            self._not_found(exchange, opts)
            return
        resource, exchange.rest = found
        policy = resource.policy
        if exchange.peer.block_size < policy.block_size:
            policy = policy.within(exchange.peer.block_size)
        exchange.policy = policy
        is_stranger = resource.admits is not None and not resource.admits(exchange.remote)
        if is_stranger or (exchange.multicast and not resource.takes_multicast):
            exchange.ignore()
        elif request.code not in resource.methods:
            self._refuse(exchange, n.METHOD_NOT_ALLOWED)
        elif len(request.payload) > policy.max_body:
            exchange.reply(blockwise.too_large(policy.max_body))
        elif policy.rate and (wait := wait_for_token(exchange.peer, policy, now)):
            self._limit(exchange, wait)
        else:
            if not policy.match_content:
                exchange.content = ANY_CONTENT
            if opts.is_plain:
                self.render(resource, request, exchange)
            else:
                self._serve(resource, request, exchange, now)

    def _not_found(self, exchange: Exchange, opts: Options) -> None:
        """Nobody serves the path; whoever is told of that may want that the peer isn't."""
        missing = lacking(exchange, self.uploads.of(exchange)) if opts.is_odd else ""
        is_told = not missing and not exchange.multicast
        if is_told and self._layer.notice("unserved", exchange.remote, "/".join(opts.path)):
            exchange.ignore()
        else:
            self._refuse(exchange, n.REQUEST_ENTITY_INCOMPLETE if missing else n.NOT_FOUND, missing)

    def _serve(self, resource: Resource, request: Message, exchange: Exchange, now: float) -> None:
        """Take a request whose options ask for more than a plain one."""
        opts = request.options
        echo = opts.get(n.ECHO)
        if echo is not None and self._echo.is_fresh(echo, exchange.remote, now):
            exchange.peer.answered(now)
        try:
            block1 = Block.of(opts, n.BLOCK1)
            block2 = Block.of(opts, n.BLOCK2)
        except ValueError as problem:
            self._refuse(exchange, n.BAD_REQUEST, str(problem))
            return
        if block1 is not None and request.code not in (n.GET, n.DELETE):
            taken = self.uploads.take(exchange, block1, now)
            if taken is None:
                return
            if isinstance(taken, Message):
                self._layer.respond_raw(exchange, taken)
                return
            request = Message(request.code, taken, opts, request.type, request.mid, request.token)
        elif block2 is not None and block2.number:
            body = self.bodies.find(exchange, block2, now)
            if body is not None:
                exchange.reply(body)
                return
            if request.code not in SAFE:
                self._refuse(
                    exchange, n.REQUEST_ENTITY_INCOMPLETE, "that body is not kept, or not known from another"
                )
                return
        self._handle(resource, request, exchange)

    def _assembled(self, exchange: Exchange, body: bytes) -> None:
        """A body is whole, some time after its last block came."""
        last = exchange.request
        found = self._site.find(last.options.path)
        if found is None:
            self._refuse(exchange, n.NOT_FOUND)
            return
        request = Message(last.code, body, last.options, last.type, last.mid, last.token)
        self._handle(found[0], request, exchange)

    def _handle(self, resource: Resource, request: Message, exchange: Exchange) -> None:
        """Take a whole request."""
        opts = request.options
        if not resource.takes(request):
            self._refuse(exchange, n.PRECONDITION_FAILED)
        else:
            if opts.get_uint(n.OBSERVE) == observe.DEREGISTER:
                self.observers.remove((exchange.peer.serial, exchange.token))
            self.render(resource, request, exchange)

    def render(self, resource: Resource, request: Message, exchange: Exchange) -> None:
        """Let the resource handle a whole request; an exception in it is a 5.00."""
        try:
            resource.render(request, exchange)
        except Exception as problem:
            self._layer.fail(exchange, problem)

    def _refuse(self, exchange: Exchange, code: int, reason: str = "") -> None:
        self._layer.counters.refused += 1
        if exchange.multicast or (code == n.BAD_OPTION and exchange.type == n.NON):
            exchange.ignore()  # rejected silently (RFC 7252 §5.4.1), so that a forged address gets nothing
            return
        exchange.reply(error(code, reason))

    def _limit(self, exchange: Exchange, wait: float) -> None:
        self._layer.counters.limited += 1
        if exchange.type == n.NON:
            exchange.ignore()
        else:
            exchange.reply(error(n.TOO_MANY_REQUESTS, "", (n.MAX_AGE, max(1, round(wait)))))  # RFC 8516

    # --- responses --------------------------------------------------------------------------------

    def shape(self, exchange: Exchange, response: Message) -> Message | None:
        """Fit a response to its request: Accept, ETag, Observe, Block1, Block2, Echo, No-Response."""
        opts = exchange.request.options
        now = self._layer.clock()
        if response.code < n.BAD_REQUEST and exchange.request.code in SAFE:
            response = _negotiated(exchange.request, response)
        if opts.get_uint(n.OBSERVE) == observe.REGISTER and response.code in (n.CONTENT, n.VALID):
            response = self._observed(exchange, response, now)
        if response.code < n.BAD_REQUEST:
            response = self._sliced(exchange, response, now)
        if opts.get(n.BLOCK1) is not None and exchange.request.code not in (n.GET, n.DELETE):
            value = opts.get_uint(n.BLOCK1) or 0
            response = Message(response.code, response.payload, response.options.replaced((n.BLOCK1, value)))
            for again in self.uploads.completed(exchange, response):
                self._layer.respond_raw(again, response)
        if exchange.policy.amplification and self._is_too_much(exchange, response, now):
            echo = self._echo.value(exchange.remote, now)
            response = Message(n.UNAUTHORIZED, b"", options((n.ECHO, echo)))
        suppressed = opts.get_uint(n.NO_RESPONSE) or 0
        return None if suppressed >> (response.code >> 5) - 1 & 1 else response  # RFC 7967 §2.1

    def notification(self, observation: observe.Observation, response: Message, now: float) -> Message:
        """A notification as it goes out: with its number, in blocks."""
        exchange = observe.Notification.of(self._layer, observation)
        numbered = response.options.replaced((n.OBSERVE, observation.next_number()))
        return self._sliced(exchange, Message(response.code, response.payload, numbered), now)

    def _observed(self, exchange: Exchange, response: Message, now: float) -> Message:
        found = self._site.find(exchange.request.options.path)
        if found is None or exchange.request.code not in SAFE:
            return response
        resource = found[0]
        if not resource.can_be_observed(exchange.request):
            return response
        number = self.observers.register(exchange, resource, response, now)
        if number is None:
            return response
        return Message(response.code, response.payload, response.options.replaced((n.OBSERVE, number)))

    def _sliced(self, exchange: Exchange, response: Message, now: float) -> Message:
        if response.options.get(n.BLOCK2) is not None:
            return response  # its resource has cut it, since the body is not in memory as a whole
        opts = exchange.request.options
        wanted = None if opts.get(n.BLOCK2) is None else Block.of(opts, n.BLOCK2)
        if wanted is None and len(response.payload) <= exchange.policy.block_size:
            return response
        sliced = slice_response(
            response, wanted, exchange.policy.block_size, with_size=opts.get(n.SIZE2) is not None
        )
        if (wanted is None or not wanted.number) and len(sliced.payload) < len(response.payload):
            self.bodies.keep(exchange, response, now, len(sliced.payload))
        return sliced

    def _is_too_much(self, exchange: Exchange, response: Message, now: float) -> bool:
        """Whether the response could be used to flood a forged address (RFC 9175 §2.4)."""
        if exchange.request.code not in SAFE or exchange.peer.verified > now:
            return False
        return size_of(response) > exchange.policy.amplification * size_of(exchange.request)

    # --- the rest ---------------------------------------------------------------------------------

    def reset(self, peer: Peer, mid: int) -> bool:
        """A peer has reset a Non-confirmable message; returns whether that was a notification."""
        return self.observers.reset(peer, mid)

    def changed_at(self, path: tuple[str, ...], now: float) -> None:
        """What is at a path has changed: tell its observers."""
        found = self._site.find(path)
        if found is not None:
            self.observers.changed(found[0], now, found[1])

    def forget(self, peer: Peer) -> None:
        """A peer is gone."""
        self.observers.forget(peer)
        self.uploads.forget(peer.serial)
        self.bodies.forget(peer.serial)


def _negotiated(request: Message, response: Message) -> Message:
    """A response to GET or FETCH after Accept (RFC 7252 §5.10.4) and ETag (§5.10.6.2)."""
    opts = request.options
    accept = opts.get_uint(n.ACCEPT)
    if accept is not None and response.payload and accept != response.options.get_uint(n.CONTENT_FORMAT):
        return Message(n.NOT_ACCEPTABLE)
    known = opts.get_all(n.ETAG)
    if known and response.code == n.CONTENT:
        tag = response.options.get(n.ETAG) or entity_tag(response.payload)
        if tag in known:
            return Message(n.VALID, b"", response.options.replaced((n.ETAG, tag), (n.CONTENT_FORMAT, None)))
    return response
