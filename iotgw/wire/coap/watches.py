"""The observations of the client role: notifications are handed up fresh and once, and each end is told (RFC 7641)."""

from __future__ import annotations

from collections.abc import Callable

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.blockwise import Block, Budget
from iotgw.wire.coap.message import Message
from iotgw.wire.coap.message_layer import MessageLayer, response_key
from iotgw.wire.coap.observe import DEREGISTER, REGISTER
from iotgw.wire.coap.pending import INCONSISTENT, Conversation, PendingRequest, Unanswered, Watch
from iotgw.wire.coap.watching import Arrival, Ended

MAX_UNSTORED = 16
"""Notifications of one observation that may be waiting to be stored."""


class Watches:
    """What a client does with notifications.

    ``enqueue(call)`` sends a request; ``tidy(conversation)`` is called when an observation is gone.
    """

    def __init__(
        self,
        layer: MessageLayer,
        budget: Budget,
        enqueue: Callable[[PendingRequest], None],
        tidy: Callable[[Conversation], None],
    ) -> None:
        self._layer = layer
        self._budget = budget
        self._enqueue = enqueue
        self._tidy = tidy

    def notified(self, watch: Watch, message: Message, now: float) -> bool:
        """Take a notification; returns False if it is to be rejected."""
        layer, peer = self._layer, watch.conversation.peer
        key = response_key(peer, message)
        if key in watch.unstored:
            return True  # a copy of one that is not stored yet
        flaw = message.options.flaw
        block: Block | None = None
        try:
            block = Block.of(message.options, n.BLOCK2)
        except ValueError as problem:
            flaw = n.BAD_OPTION, str(problem)
        if flaw is not None or (block is not None and block.number):
            self._end(
                watch, Ended("rejected", flaw[1] if flaw else "a notification began with a later block")
            )
            return False
        watch.heard = now
        if message.code >= n.BAD_REQUEST:
            layer.accept(peer, message)
            self._end(watch, Ended("error", n.dotted(message.code), message))
            return True
        number = message.options.get_uint(n.OBSERVE)
        stamp = (watch.newest[0] + 1 if watch.newest else 0) if number is None else number, now
        if number is not None and not watch.is_fresh(stamp):
            layer.counters.stale += 1
            layer.accept(peer, message)
        elif len(watch.unstored) < MAX_UNSTORED:
            watch.unstored[key] = stamp
            self._hand_over(watch, Arrival(message, stamp, self._settling(watch, key, message)), block)
        if number is None:
            self._end(watch, Ended("unobserved", "the peer notifies no longer"))
        return True

    def complete(
        self,
        watch: Watch,
        message: Message,
        block: Block,
        done: Callable[[Message], None],
        failed: Callable[[Unanswered], None],
    ) -> None:
        """Fetch the rest of the response that began an observation."""

        def could_not(unanswered: Unanswered) -> None:
            self._close(watch)
            failed(unanswered)

        self._fetch(watch, message, block, done, could_not)

    def cancel(self, watch: Watch) -> None:
        """See `Client.cancel`."""
        self._end(watch, Ended("cancelled"))

    def deregister(self, watch: Watch) -> None:
        """See `Client.deregister`."""
        if watch.is_deregistering:
            return
        watch.is_deregistering = True
        opts = watch.request.options.replaced((n.OBSERVE, DEREGISTER))
        call = PendingRequest(
            watch.conversation,
            Message(watch.request.code, watch.request.payload, opts),
            watch.policy,
            lambda response: self._end(watch, Ended("deregistered", response=response)),
            lambda unanswered: self._end(watch, Ended("deregistered", unanswered.reason)),
        )
        call.token = watch.token
        self._enqueue(call)

    def forget(self, conversation: Conversation) -> None:
        """The peer is gone."""
        for watch in [*conversation.watches.values()]:
            self._end(watch, Ended("gone", "the peer is gone"))

    def _settling(self, watch: Watch, key: int, message: Message) -> Callable[[bool], None]:
        def settle(is_stored: bool) -> None:
            watch.settle(key, is_stored)
            if is_stored:
                self._layer.accept(watch.conversation.peer, message)

        return settle

    def _hand_over(self, watch: Watch, arrival: Arrival, block: Block | None) -> None:
        if block is None or not block.more:
            self._notify(watch, arrival)
            return

        def whole(response: Message) -> None:
            if watch.is_overtaken(arrival.stamp):
                self._layer.counters.stale += 1
                arrival.stored()
            elif watch.is_open:
                arrival.response = response
                self._notify(watch, arrival)

        def could_not(unanswered: Unanswered) -> None:
            if unanswered.reason == INCONSISTENT:
                arrival.stored()  # a newer state will follow, which may wait for the acknowledgement
            else:
                arrival.refused()

        self._fetch(watch, arrival.response, block, whole, could_not)

    def _notify(self, watch: Watch, arrival: Arrival) -> None:
        """Hand a notification up. If the observer fails, it is not stored: the next copy may fare better."""
        if not self._layer.tell(watch.request, watch.watcher.notified, arrival):
            arrival.refused()

    def _fetch(
        self,
        watch: Watch,
        message: Message,
        block: Block,
        done: Callable[[Message], None],
        failed: Callable[[Unanswered], None],
    ) -> None:
        """Get the rest of a response by a request of its own: the token stays the observation's."""
        request = watch.request
        asked = Message(request.code, b"", request.options.replaced((n.OBSERVE, None)))
        rest = PendingRequest(watch.conversation, asked, watch.policy, done, failed)
        flaw = rest.misfit(message, block)
        if flaw or not self._budget.take(len(message.payload)):
            failed(Unanswered(flaw or "too many responses are under way", first=message))
            return
        rest.take(message, block)
        self._enqueue(rest)

    def _end(self, watch: Watch, end: Ended) -> None:
        if self._close(watch):
            self._layer.tell(watch.request, watch.watcher.ended, end)

    def _close(self, watch: Watch) -> bool:
        """Take no more notifications; returns False if that is so already."""
        if not watch.is_open:
            return False
        watch.is_open = False
        conversation = watch.conversation
        del conversation.watches[watch.token]
        self._tidy(conversation)
        return True


def observing(request: Message) -> Message:
    """A request that observes; one that does so already as it is, since many observations may have the same."""
    if request.options.get_uint(n.OBSERVE) == REGISTER:
        return request
    asked = request.options.replaced((n.OBSERVE, REGISTER))
    return Message(request.code, request.payload, asked, request.type)
