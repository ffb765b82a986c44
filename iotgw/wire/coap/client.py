"""The client role (RFC 7252 §5): requests to peers, block-wise both ways, and observing.

It works on an endpoint that may be a server as well, as downlinks and LwM2M need it. One request to a peer is outstanding
at a time (NSTART is 1, RFC 7252 §4.7). It is no longer outstanding when the peer has acknowledged it, so a peer that
acknowledges and never answers holds up nothing but that request.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap import pending as reasons
from iotgw.wire.coap import proving
from iotgw.wire.coap.blockwise import Block, Budget
from iotgw.wire.coap.message import Message
from iotgw.wire.coap.message_layer import MessageLayer
from iotgw.wire.coap.peers import PING_SIZE, Peer
from iotgw.wire.coap.pending import Conversation, LongBody, PendingRequest, Unanswered, Watch
from iotgw.wire.coap.proving import UNPROVED
from iotgw.wire.coap.timing import DEFAULT_POLICY, Policy, Timing
from iotgw.wire.coap.transmission import FORGOTTEN, GAVE_UP, NO_ROOM, RESET
from iotgw.wire.coap.watches import Watches, observing
from iotgw.wire.coap.watching import Watcher

MAX_QUEUED = 100
"""Requests to a peer that have no response yet."""


class Client:
    """The requests and observations of an endpoint. ``budget`` bounds the bodies that come in.

    Many methods: a request has its queue, its way out, its blocks and its end.
    """

    def __init__(self, layer: MessageLayer, budget: Budget) -> None:
        self._layer = layer
        self._budget = budget
        self._conversations: dict[int, Conversation] = {}  # by the peer's serial
        self.watches = Watches(layer, budget, self._enqueue, self._tidy)

    def __len__(self) -> int:
        """Requests without a response, and observations."""
        return sum(len(each) + len(each.watches) for each in self._conversations.values())

    def request(
        self,
        request: Message,
        remote: Hashable,
        done: Callable[[Message], None],
        failed: Callable[[Unanswered], None],
        policy: Policy = DEFAULT_POLICY,
        begun: Callable[[], None] | None = None,
        within: float = 0.0,
        body: LongBody | None = None,
    ) -> PendingRequest:
        """Send ``request`` (its code, options and payload; CON or NON by its type) to a peer; see `PendingRequest`.

        It fails when there is no whole response ``within`` so many seconds, the time in the peer's queue included;
        0 leaves that to the policy. A ``body`` is sent instead of the request's payload; it is read block by block.
        """
        call = PendingRequest(self._with(remote), request, policy, done, failed, begun, body)
        self._enqueue(call, within)
        return call

    def observe(
        self,
        request: Message,
        remote: Hashable,
        done: Callable[[Message], None],
        failed: Callable[[Unanswered], None],
        watcher: Watcher,
        policy: Policy = DEFAULT_POLICY,
        within: float = 0.0,
        token: bytes = b"",
    ) -> Watch:
        """Send a GET or FETCH that observes (RFC 7641). ``done`` and ``failed`` are about its response, as in `request`.

        The observation ``is_open`` if the peer agreed. Then ``watcher`` is notified, and told when it ends. With the
        ``token`` of an earlier observation, this one stands in its place, at the peer as well (RFC 7641 §4.1): it may have
        another address now, or doesn't notify any more.
        """
        request = observing(request)
        conversation = self._with(remote)
        call = PendingRequest(conversation, request, policy, done, failed)
        call.watch = watch = Watch(conversation, request, policy, watcher)
        call.token = token if conversation.is_free(token, but_watches=True) else b""
        self._enqueue(call, within)
        return watch

    def adopt(
        self,
        request: Message,
        remote: Hashable,
        token: bytes,
        watcher: Watcher,
        policy: Policy = DEFAULT_POLICY,
    ) -> Watch:
        """Go on with an observation that an earlier process began by ``request``, whose token was ``token``. Notifications are
        taken as if it had been begun here."""
        conversation = self._with(remote)
        watch = Watch(conversation, observing(request), policy, watcher)
        watch.resume(token)
        return watch

    def cancel(self, what: PendingRequest | Watch) -> None:
        """Forget a request or an observation. The next notification of that is reset (RFC 7641 §3.6)."""
        if isinstance(what, Watch) and what.is_open:
            self.watches.cancel(what)
            return
        conversation = what.conversation
        for call in [*conversation.waiting, *conversation.calls.values()]:
            if what in (call, call.watch):
                self._fail(call, reasons.CANCELLED)

    def deregister(self, watch: Watch) -> None:
        """End an observation by a request (RFC 7641 §3.6). Its watcher is told when that is answered or has failed."""
        if watch.is_open:
            self.watches.deregister(watch)
        else:
            self.cancel(watch)

    def proved(self, peer: Peer, now: float) -> None:
        """A peer has shown in another way that it gets what is sent to its address: what waited for its ping is sent."""
        peer.answered(now)
        conversation = self._conversations.get(peer.serial)
        call = None if conversation is None else conversation.outstanding
        if call is not None and call.transmission is not None and not call.was_sent:
            self._layer.transmissions.cancel(call.transmission)
            self._send_part(call, now, call.policy.timing)

    def forget(self, peer: Peer) -> None:
        """A peer is gone: its requests fail, and its observations end."""
        conversation = self._conversations.pop(peer.serial, None)
        if conversation is None:
            return
        waiting = [*conversation.waiting]
        conversation.waiting.clear()
        for call in [*conversation.calls.values(), *waiting]:
            self._fail(call, FORGOTTEN)
        self.watches.forget(conversation)

    def response(self, peer: Peer, message: Message, now: float) -> bool:
        """See `Responses.response`."""
        conversation = self._conversations.get(peer.serial)
        if conversation is None:
            return False
        call = conversation.calls.get(message.token)
        watch = conversation.watches.get(message.token)
        is_begun_anew = call is not None and call.watch is not None
        if (
            watch is not None
            and not is_begun_anew
            and (call is None or message.options.get(n.OBSERVE) is not None)
        ):
            return self.watches.notified(watch, message, now)
        if call is None:
            return False
        flaw = message.options.flaw
        if flaw is not None:
            self._fail(call, flaw[1])  # the message layer rejects it (RFC 7252 §5.4.1)
            return False
        if call.transmission is not None:
            self._layer.transmissions.cancel(call.transmission)  # it stands for the ACK as well
        self._layer.accept(peer, message)
        self._answered(call, message)
        return True

    # --- out --------------------------------------------------------------------------------------

    def _with(self, remote: Hashable) -> Conversation:
        peer = self._layer.peers.get(remote, self._layer.clock(), PING_SIZE)
        conversation = self._conversations.get(peer.serial)
        if conversation is None:
            conversation = self._conversations[peer.serial] = Conversation(peer)
            peer.pins += 1
        return conversation

    def _enqueue(self, call: PendingRequest, within: float = 0.0) -> None:
        conversation = call.conversation
        if len(conversation) >= MAX_QUEUED:
            self._fail(call, NO_ROOM)
            return
        if within:
            call.deadline = self._layer.timers.at(
                self._layer.clock() + within, lambda then: self._timed_out(call, then)
            )
        conversation.waiting.append(call)
        self._advance(conversation)

    def _advance(self, conversation: Conversation) -> None:
        """Send what waits for a peer, if nothing is outstanding."""
        if conversation.outstanding is None and conversation.waiting:
            conversation.outstanding = conversation.waiting.pop(0)
            self._send(conversation.outstanding)
        else:
            self._tidy(conversation)

    def _tidy(self, conversation: Conversation) -> None:
        """Forget a conversation in which nothing is left."""
        peer = conversation.peer
        is_over = not conversation and not conversation.watches
        if is_over and self._conversations.get(peer.serial) is conversation:
            del self._conversations[peer.serial]
            peer.pins -= 1

    def _send(self, call: PendingRequest) -> None:
        layer, conversation = self._layer, call.conversation
        token = call.token  # one for all blocks, as some servers tell bodies apart by it (RFC 9175 §3.4)
        while not token:
            drawn = layer.random.randbytes(4)
            token = call.token = drawn if conversation.is_free(drawn) else b""
        conversation.calls[token] = call
        now = layer.clock()
        if call.policy.proves and conversation.peer.verified <= now:
            self._prove(call, now)
        else:
            self._send_part(call, now, call.policy.timing)

    def _prove(self, call: PendingRequest, now: float) -> None:
        """Find out whether a peer is where it seems to be, by no more bytes than came from there; see `proving`."""
        peer, timing, size = call.conversation.peer, call.policy.timing, len(call.encoded(0))

        def told(reason: str) -> None:
            call.transmission = None
            then = self._layer.clock()
            few = proving.spent(peer, size, timing) if reason == UNPROVED else None
            if not reason:
                peer.answered(then)
                self._send_part(call, then, timing)
            elif few is not None:
                self._send_part(call, then, few)
            else:
                self._lost(call, reason)

        few = proving.allowed(peer, size, timing)
        if few is not None:
            self._send_part(call, now, few)
        else:
            call.transmission = proving.ping(self._layer.transmissions, peer, timing, now, told)

    def _send_part(self, call: PendingRequest, now: float, timing: Timing) -> None:
        """Send a request, or the next block of it."""
        layer, peer = self._layer, call.conversation.peer
        if not call.was_sent:
            call.was_sent = True
            if call.begun is not None:
                layer.tell(call.request, call.begun)
        mid = peer.next_mid()
        data = call.encoded(mid)
        if call.request.type == n.NON:
            self._await(call, now)
            layer.send(data, peer.remote)
            return
        call.transmission = layer.transmissions.start(
            peer,
            mid,
            data,
            timing,
            now,
            lambda message: self._settled(call, message),
            lambda reason: self._lost(call, reason),
        )

    def _settled(self, call: PendingRequest, message: Message) -> None:
        """A request was acknowledged; its response is in the acknowledgement, or comes by itself."""
        call.transmission = None
        if message.code and message.token == call.token:
            self._answered(call, message)
            return
        self._await(call, self._layer.clock())
        if not call.is_uploading:  # another upload in between might be mixed with this one (RFC 7959 §2.5)
            self._release(call)

    def _await(self, call: PendingRequest, now: float) -> None:
        patience = call.policy.response_timeout or call.policy.timing.max_transmit_wait
        call.timer = self._layer.timers.at(now + patience, lambda then: self._fail(call, reasons.NO_RESPONSE))

    def _timed_out(self, call: PendingRequest, now: float) -> None:
        """The time of a request is over; those behind it whose time is over as well are not sent in its place."""
        for each in [*call.conversation.waiting, call]:
            if each.deadline is not None and each.deadline.due <= now:
                self._fail(each, reasons.TIMED_OUT)

    def _lost(self, call: PendingRequest, reason: str) -> None:
        """A request was not acknowledged. What waits behind it fails with it, rather than after a minute each."""
        call.transmission = None
        waiting: list[PendingRequest] = []
        if reason != RESET:
            waiting += call.conversation.waiting
            call.conversation.waiting.clear()
        self._fail(call, reason)
        for each in waiting:
            self._fail(each, reasons.UNREACHABLE if reason in (GAVE_UP, UNPROVED) else reason)

    # --- in ---------------------------------------------------------------------------------------

    def _answered(self, call: PendingRequest, message: Message) -> None:
        call.transmission = None
        if call.timer is not None:
            call.timer.cancel()
            call.timer = None
        call.conversation.calls.pop(call.token, None)
        call.conversation.peer.answered(self._layer.clock())
        if message.options.flaw is not None:  # in an acknowledgement
            self._fail(call, message.options.flaw[1])
            return
        try:
            block1 = Block.of(message.options, n.BLOCK1)
            block2 = Block.of(message.options, n.BLOCK2)
        except ValueError as problem:
            self._fail(call, str(problem))
            return
        echo = message.options.get(n.ECHO)
        if message.code == n.UNAUTHORIZED and echo is not None and call.options.get(n.ECHO) is None:
            call.options = call.options.replaced((n.ECHO, echo))  # and the same part again (RFC 9175 §2.3)
            self._continue(call)
        elif message.code == n.CONTINUE or (call.is_uploading and message.code < n.BAD_REQUEST):
            self._continue_unless(call, call.next_block(block1, message.code))
        elif message.code == n.REQUEST_ENTITY_TOO_LARGE and call.shrink(block1):
            self._continue(call)
        elif call.first is not None or (block2 is not None and block2.more and message.code < n.BAD_REQUEST):
            self._take_block(call, message, block2)
        else:
            self._finish(call, message)

    def _continue_unless(self, call: PendingRequest, flaw: str) -> None:
        if flaw:
            self._fail(call, flaw)
        else:
            self._continue(call)

    def _continue(self, call: PendingRequest) -> None:
        """Send the next part of a request, ahead of what waits."""
        conversation = call.conversation
        if conversation.outstanding is None or conversation.outstanding is call:
            conversation.outstanding = call
            self._send(call)
        else:
            conversation.waiting.insert(0, call)

    def _take_block(self, call: PendingRequest, message: Message, block: Block | None) -> None:
        if call.watch is not None and call.first is None and block is not None:
            begun = call.watch.begin(call.token, message, self._layer.clock())
            if begun:
                self._over(call)
                self.watches.complete(call.watch, message, block, call.done, call.failed)
                return
        flaw = call.misfit(message, block)
        if not flaw and not self._budget.take(len(message.payload)):
            flaw = reasons.NO_MEMORY
        if flaw or block is None:
            call.first = call.first or message
            self._fail(call, flaw)
            return
        whole = call.take(message, block)
        if whole is None:
            self._continue(call)
        else:
            self._finish(call, whole)

    # --- the end ----------------------------------------------------------------------------------

    def _finish(self, call: PendingRequest, response: Message) -> None:
        if call.watch is not None:
            call.watch.begin(call.token, response, self._layer.clock())
        self._over(call)
        self._layer.tell(call.request, call.done, response)

    def _fail(self, call: PendingRequest, reason: str) -> None:
        if call.is_over:
            return
        if call.transmission is not None:
            self._layer.transmissions.cancel(call.transmission)
            call.transmission = None
            if not call.was_sent:
                call.conversation.peer.is_mute = True  # a ping that had no answer in the time of the request
        self._over(call)
        self._layer.tell(call.request, call.failed, Unanswered(reason, call.was_sent, call.first))

    def _over(self, call: PendingRequest) -> None:
        """A request is over: the next one to its peer may begin."""
        call.is_over = True
        self._budget.give_back(len(call.body))
        for timer in (call.timer, call.deadline):
            if timer is not None:
                timer.cancel()
        conversation = call.conversation
        if conversation.calls.get(call.token) is call:
            del conversation.calls[call.token]
        if call in conversation.waiting:
            conversation.waiting.remove(call)
        self._release(call)

    def _release(self, call: PendingRequest) -> None:
        conversation = call.conversation
        if conversation.outstanding is call:
            conversation.outstanding = None
        self._advance(conversation)
