"""The client role (RFC 7252 §5): requests to peers, block-wise both ways, and observing.

It works on an endpoint that may be a server as well, as downlinks and LwM2M need it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.blockwise import Block, szx_of
from iotgw.wire.coap.message import Message, encode
from iotgw.wire.coap.message_layer import MessageLayer
from iotgw.wire.coap.peers import Peer
from iotgw.wire.coap.timers import Timer
from iotgw.wire.coap.timing import DEFAULT_POLICY, Policy
from iotgw.wire.coap.transmission import FORGOTTEN, NO_ROOM, Transmission

NO_RESPONSE = "acknowledged, but no response came"
CANCELLED = "cancelled"
TOO_LARGE = "the response is larger than allowed"
INCONSISTENT = "the response changed between its blocks"
MAX_QUEUED = 100
"""Requests that wait for a peer to answer an earlier one (NSTART is 1, RFC 7252 §4.7)."""


class PendingRequest:
    """A request on its way.

    ``done(response)`` is called with the whole response, whatever its code, or ``failed(reason)`` when there
    is none; one of them, once. With ``notified``, the request observes, and that is called with each further
    response until `cancel`.
    """

    __slots__ = (
        "block_size",
        "body",
        "done",
        "etag",
        "failed",
        "first",
        "is_observing",
        "notified",
        "options",
        "peer",
        "policy",
        "request",
        "timer",
        "token",
        "transmission",
        "upload",
    )

    def __init__(
        self,
        request: Message,
        peer: Peer,
        policy: Policy,
        done: Callable[[Message], None],
        failed: Callable[[str], None],
        notified: Callable[[Message], None] | None,
    ) -> None:
        self.request = request
        self.options = request.options
        self.peer = peer
        self.policy = policy
        self.block_size = min(policy.block_size, peer.block_size)
        self.done = done
        self.failed = failed
        self.notified = notified
        self.token = b""
        self.transmission: Transmission | None = None
        self.timer: Timer | None = None
        self.upload: Block | None = None  # the block that was sent last
        self.first: Message | None = None  # the response's first block
        self.body = bytearray()
        self.is_observing = False


class Client:
    """The requests of an endpoint, one at a time per peer."""

    def __init__(self, layer: MessageLayer) -> None:
        self._layer = layer
        self._calls: dict[tuple[int, bytes], PendingRequest] = {}
        self._queues: dict[int, deque[PendingRequest]] = {}  # by peer: the first one is under way

    def __len__(self) -> int:
        return len(self._calls)

    def request(
        self,
        request: Message,
        remote: Hashable,
        done: Callable[[Message], None],
        failed: Callable[[str], None],
        policy: Policy = DEFAULT_POLICY,
        notified: Callable[[Message], None] | None = None,
    ) -> PendingRequest:
        """Send ``request`` (its code, options and payload; CON or NON by its type) to a peer."""
        peer = self._layer.peers.get(remote, self._layer.clock())
        call = PendingRequest(request, peer, policy, done, failed, notified)
        self._enqueue(call)
        return call

    def _enqueue(self, call: PendingRequest) -> None:
        queue = self._queues.setdefault(call.peer.serial, deque())
        if len(queue) >= MAX_QUEUED:
            call.failed(NO_ROOM)
            return
        call.peer.pins += 1
        queue.append(call)
        if len(queue) == 1:
            self._begin(call)

    def cancel(self, call: PendingRequest) -> None:
        """Forget a request. An observation's next notification is reset (RFC 7641 §3.6)."""
        if call.is_observing:
            self._calls.pop((call.peer.serial, call.token), None)
            call.is_observing = False
            call.peer.pins -= 1
        elif call in self._queues.get(call.peer.serial, ()):
            self._fail(call, CANCELLED)

    def forget(self, peer: Peer) -> None:
        """A peer is gone."""
        for call in list(self._queues.get(peer.serial, ())):
            self._fail(call, FORGOTTEN)
        for key in [key for key in self._calls if key[0] == peer.serial]:
            del self._calls[key]

    def response(self, peer: Peer, message: Message) -> bool:
        """Handle a separate response; returns whether it matches a request."""
        call = self._calls.get((peer.serial, message.token))
        if call is None:
            return False
        flaw = message.options.flaw
        if flaw is not None:
            self._fail(call, flaw[1])  # the message layer rejects it (RFC 7252 §5.4.1)
            return False
        if call.transmission is not None:
            self._layer.transmissions.cancel(call.transmission)  # it stands for the ACK as well
        self._handle(call, message)
        return True

    # --- out --------------------------------------------------------------------------------------

    def _begin(self, call: PendingRequest) -> None:
        """Send a call's request, or its first block."""
        payload, size = call.request.payload, call.block_size
        if len(payload) > size:
            call.upload = Block(0, True, szx_of(size))
            self._send(call, payload[:size], (n.BLOCK1, call.upload.value), (n.SIZE1, len(payload)))
        else:
            self._send(call, payload)

    def _send(self, call: PendingRequest, payload: bytes, *pairs: tuple[int, int]) -> None:
        layer, peer = self._layer, call.peer
        self._calls.pop((peer.serial, call.token), None)
        while not call.token or (peer.serial, call.token) in self._calls:
            call.token = layer.random.randbytes(4)
        self._calls[(peer.serial, call.token)] = call
        mid = peer.next_mid()
        opts = call.options.replaced(*pairs) if pairs else call.options
        data = encode(call.request.type, call.request.code, mid, call.token, opts, payload)
        now = layer.clock()
        if call.request.type == n.NON:
            self._await(call, now)
            layer.send(data, peer.remote)
            return
        call.transmission = layer.transmissions.start(
            peer,
            mid,
            data,
            call.policy.timing,
            now,
            lambda message: self._settled(call, message),
            lambda reason: self._fail(call, reason),
        )

    def _settled(self, call: PendingRequest, message: Message) -> None:
        call.transmission = None
        if message.code and message.token == call.token:
            self._handle(call, message)
        else:
            self._await(call, self._layer.clock())  # an empty ACK: the response comes by itself

    def _await(self, call: PendingRequest, now: float) -> None:
        call.timer = self._layer.timers.at(
            now + call.policy.timing.max_transmit_wait, lambda then: self._fail(call, NO_RESPONSE)
        )

    # --- in ---------------------------------------------------------------------------------------

    def _handle(self, call: PendingRequest, message: Message) -> None:
        call.transmission = None
        if call.timer is not None:
            call.timer.cancel()
            call.timer = None
        try:
            block1 = Block.of(message.options, n.BLOCK1)
            block2 = Block.of(message.options, n.BLOCK2)
        except ValueError as problem:
            self._fail(call, str(problem))
            return
        echo = message.options.get(n.ECHO)
        if message.code == n.UNAUTHORIZED and echo is not None and call.options.get(n.ECHO) is None:
            call.options = call.options.replaced((n.ECHO, echo))
            self._begin(call)
        elif call.upload is not None and message.code == n.CONTINUE and call.upload.more:
            self._send_next_block(call, block1 or call.upload)
        elif _wants_smaller_blocks(call, message, block1):
            assert block1 is not None
            call.block_size = block1.size
            self._begin(call)
        elif block2 is not None and (block2.more or block2.number) and message.code < n.BAD_REQUEST:
            self._take_block(call, message, block2)
        else:
            self._finish(call, message)

    def _send_next_block(self, call: PendingRequest, wanted: Block) -> None:
        assert call.upload is not None
        body = call.request.payload
        offset = call.upload.offset + call.upload.size
        szx = min(call.upload.szx, wanted.szx)  # a server may ask for smaller blocks (RFC 7959 §2.5)
        end = offset + (16 << szx)
        call.upload = Block(offset >> (szx + 4), end < len(body), szx)
        self._send(call, body[offset:end], (n.BLOCK1, call.upload.value))

    def _take_block(self, call: PendingRequest, message: Message, block: Block) -> None:
        if call.notified is not None and message.options.get(n.OBSERVE) is not None:
            self._fetch_rest(call, message, block)
            return
        if block.number == 0 or call.first is None:
            call.first = message
            call.body.clear()
        if block.offset != len(call.body) or message.options.get(n.ETAG) != call.first.options.get(n.ETAG):
            self._fail(call, INCONSISTENT)
        elif block.offset + len(message.payload) > call.policy.max_body:
            self._fail(call, TOO_LARGE)
        else:
            call.body += message.payload
            if block.more:
                following = Block((block.offset + block.size) >> (block.szx + 4), False, block.szx)
                self._send(call, b"", (n.BLOCK2, following.value))
            else:
                first = call.first
                self._finish(
                    call, Message(message.code, bytes(call.body), first.options.replaced((n.BLOCK2, None)))
                )

    def _fetch_rest(self, call: PendingRequest, message: Message, block: Block) -> None:
        """Get the rest of a notification by a request of its own: the token stays the observation's."""
        deliver, failed = call.done, call.failed
        if call.is_observing:
            deliver, failed = call.notified or call.done, _ignore
        else:
            call.is_observing = True
            self._leave(call)
        following = Block((block.offset + block.size) >> (block.szx + 4), False, block.szx)
        opts = call.request.options.replaced((n.OBSERVE, None), (n.BLOCK2, following.value))
        rest = PendingRequest(
            Message(call.request.code, b"", opts), call.peer, call.policy, deliver, failed, None
        )
        rest.first = message
        rest.body += message.payload
        self._enqueue(rest)

    # --- the end ----------------------------------------------------------------------------------

    def _finish(self, call: PendingRequest, response: Message) -> None:
        if call.is_observing:
            if call.notified is not None:
                call.notified(response)
            return
        observed = call.notified is not None and response.options.get(n.OBSERVE) is not None
        call.is_observing = observed and response.code < n.BAD_REQUEST
        self._leave(call)
        call.done(response)

    def _fail(self, call: PendingRequest, reason: str) -> None:
        if call.is_observing:
            return
        if call.transmission is not None:
            self._layer.transmissions.cancel(call.transmission)
            call.transmission = None
        self._leave(call)
        call.failed(reason)

    def _leave(self, call: PendingRequest) -> None:
        """A call is over: the next one to its peer may begin."""
        peer = call.peer
        if call.timer is not None:
            call.timer.cancel()
        if not call.is_observing:
            self._calls.pop((peer.serial, call.token), None)
            peer.pins -= 1
        queue = self._queues.get(peer.serial)
        if not queue or call not in queue:
            return
        is_first = queue[0] is call
        queue.remove(call)
        if not queue:
            del self._queues[peer.serial]
        elif is_first:
            self._begin(queue[0])


def _wants_smaller_blocks(call: PendingRequest, message: Message, block: Block | None) -> bool:
    """Whether a 4.13 to the first block says that a smaller one would do (RFC 7959 §2.9.3)."""
    return (
        message.code == n.REQUEST_ENTITY_TOO_LARGE
        and block is not None
        and call.upload is not None
        and call.upload.number == 0
        and block.szx < call.upload.szx
    )


def _ignore(reason: str) -> None:
    """A notification that can't be had whole is followed by a newer one."""
