"""What datasources have in common whose broker lends its messages: they ask, hand over, tell the broker of each message when it is durable,
and give the others back at the end."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, Protocol, TypeVar

from msgspec import Meta
from twisted.application.internet import backoffPolicy
from twisted.internet.defer import Deferred, DeferredList
from zope.interface import implementer

from iotgw.connect.json_api import CallProblem, JsonApi, Told
from iotgw.core.ports.datasources import DatasourceContext, IDatasource
from iotgw.datasources.leased import Leases
from iotgw.datasources.polling import Came, Polling
from iotgw.datasources.pulled_source import PATIENCE, PulledSource, ReadsAnEnvelope

SIDE_CONNECTIONS = 4
"""For what is told of messages: a request for messages waits at the broker."""

Requests = Annotated[
    int,
    Meta(
        ge=1,
        le=32,
        description="Requests for messages at once, while many messages come; otherwise it is one.",
    ),
]


class LentSettings(ReadsAnEnvelope, Protocol):
    """Settings of such a datasource."""

    @property
    def requests(self) -> int:
        """Requests for messages at once."""

    @property
    def window(self) -> int:
        """Messages that the gateway has, and hasn't acknowledged."""


class TellsBroker(Protocol):
    """What a broker is told of messages, by their handles. One of which it can't be told comes again, and is known then."""

    def acknowledge(self, handles: Sequence[str]) -> None:
        """These messages are durable."""

    def lend(self, handles: Sequence[str], seconds: int) -> None:
        """Nobody else gets these messages for so many seconds; 0 is that others may have them now."""

    def quiet(self) -> Deferred[None]:
        """Fires when the broker has answered all that it was told."""


S = TypeVar("S", bound=LentSettings)


@implementer(IDatasource)
class LeasedSource(PulledSource[S]):
    """A base. ``reading`` and ``side`` are the connections for asking and for telling, ``address`` is for people, ``seconds`` is how long a
    message is lent, ``longer`` for how long it is lent again, ``many`` as of `Polling`."""

    def __init__(
        self,
        settings: S,
        context: DatasourceContext,
        address: str,
        reading: JsonApi,
        side: JsonApi,
        seconds: int,
        longer: int,
        many: int = 1,
    ) -> None:
        super().__init__(settings, context)
        self._address = address
        self._connections = (reading, side)
        self._longer = longer
        self._telling = self.telling()
        self._polling = Polling(self._clock, self._ask, settings.requests, backoffPolicy(1.0, 60.0), many)
        self._leases = Leases(
            self._intake, self._clock, seconds, settings.window, self._pause, self._polling.resume,
            self._telling.acknowledge, self._extend, self._frames,
        )  # fmt: skip

    @abstractmethod
    def telling(self) -> TellsBroker:
        """What tells the broker. Called once, at the beginning."""

    @abstractmethod
    def ask(self, told: Told) -> None:
        """Ask for messages."""

    @abstractmethod
    def take(self, answer: Any, asked: float) -> int:
        """Hand over what came of a request that was made at ``asked``; returns how many messages that is."""

    # --- IDatasource ---

    def start(self) -> Deferred[None]:
        """Ask in the background, with retries while the broker doesn't answer."""
        return self._intake.recall().addCallback(self._begin)

    def _begin(self, _: None) -> None:
        if not self._is_stopped:
            self._polling.start()

    def stop(self) -> Deferred[None]:
        """Acknowledge what is durable, leave the other messages to others at once, and disconnect."""
        self._is_stopped = True
        self._contact.ends()
        self._polling.stop()
        closed = self._leases.close().addTimeout(PATIENCE, self._clock, lambda _, after: self._leases.end())
        return closed.addCallback(self._leave)

    def _leave(self, handles: list[str]) -> Deferred[None]:
        self._telling.lend(handles, 0)
        quiet = self._telling.quiet().addTimeout(PATIENCE, self._clock, lambda _, after: None)
        quiet.addCallback(
            lambda _: DeferredList([each.close() for each in self._connections], consumeErrors=True)
        )
        return quiet.addCallback(lambda _: None)

    def status(self) -> dict[str, Any]:
        """See `iotgw.core.ports.datasources.IDatasource.status`. ``unsettled`` are messages that the gateway has and hasn't
        acknowledged."""
        return {
            "state": self._contact.state,
            "address": self._address,
            "unsettled": len(self._leases),
            **({"waitsForRoom": True} if self._leases.is_paused else {}),
            **self._contact.shown(),
            **self._counted(),
        }

    # --- messages ---

    def _pause(self) -> None:
        self._paused()
        self._polling.pause()

    def _extend(self, handles: list[str]) -> None:
        self._counts["extended"] += len(handles)
        self._telling.lend(handles, self._longer)

    def _ask(self, came: Came) -> None:
        asked = self._clock.seconds()

        def told(answer: Any, problem: CallProblem | None) -> None:
            if problem is not None:
                self._failed(problem)
                came(-1)
                return
            self._contact.works(f"reading {self._address}")
            came(self.take(answer, asked))

        self.ask(told)

    def _failed(self, problem: CallProblem) -> None:
        self._contact.fails(problem.reason)
        if problem.after is not None:
            self._polling.not_before = self._clock.seconds() + problem.after
