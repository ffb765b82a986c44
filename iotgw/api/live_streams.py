"""Streams of what happens now: each reader goes through one ring at his own pace, and nobody waits for another one.

Ten times a second, each reader who reads gets what has come since, as one piece. Who reads too slowly is not written to until he has read what there is, and is then told how
much he missed; who doesn't read at all for `STALLED` seconds is disconnected. So a reader costs no memory, whatever he does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.web.server import Request
from zope.interface import implementer

from iotgw.api.problems import Problem
from iotgw.core.ports.live import Happening, ILive, Topic

TICK = 0.1
HEARTBEAT = 15.0
STALLED = 30.0
"""Seconds after which a reader who takes nothing is disconnected."""
LOOK = 1.0
"""Seconds between two looks whether readers' tokens are still good."""
MOST = 64
OF_TOKEN = 16
"""Streams at a time, in all and of one token."""
STILL_HERE = b": still here\n\n"

Render = Callable[[Happening], bytes]


class StreamFilter(Struct, frozen=True):
    """What a reader wants to see. ``datasource`` is an id and ``datasource_name`` its name; empty texts say nothing. ``rate`` is events a second."""

    tenant: str
    topics: frozenset[Topic]
    datasource: str = ""
    datasource_name: str = ""
    device: str = ""
    state: str = ""
    rate: int = 50

    def taken(self, come: list[Happening]) -> list[Happening]:
        """What of this it wants to see."""
        tenant, topics = self.tenant, self.topics
        ours = [each for each in come if each.tenant == tenant and each.topic in topics]
        return (
            [each for each in ours if self._takes(each)]
            if self.device or self.datasource or self.state
            else ours
        )

    def _takes(self, happening: Happening) -> bool:
        """Whether it wants to see this of its tenant's."""
        topic = happening.topic
        if topic == "stats":
            return True
        if self.device and self.device not in happening.devices:
            return False
        if topic == "events":
            return not self.datasource or happening.datasource == self.datasource_name
        return self.datasource in ("", happening.datasource) and self.state in ("", happening.state)


def line(name: str, value: Any, id: str = "") -> bytes:
    """One server-sent event."""
    head = f"id: {id}\nevent: {name}\n" if id else f"event: {name}\n"
    return head.encode() + b"data: " + msgspec.json.encode(value, enc_hook=str) + b"\n\n"


@implementer(IPushProducer)
class Onlooker:
    """One reader. ``number`` is that of what he has seen last, None where he comes from another run of the gateway."""

    def __init__(self, request: Request, selection: StreamFilter, number: int, now: float) -> None:
        self.request = request
        self.selection = selection
        self.number = number
        self.ended: Deferred[None] = Deferred()
        self.paused_since: float | None = None
        self.written_at = now
        self._now = now
        self._credit = float(selection.rate)
        self._is_new = True
        self.missed: int | None = 0
        self.is_unsure = False

    # --- how fast ---

    def pauseProducing(self) -> None:
        """He has to read first."""
        if self.paused_since is None:
            self.paused_since = self._now

    def resumeProducing(self) -> None:
        """He has read."""
        self.paused_since = None

    def stopProducing(self) -> None:
        """He is gone; see `iotgw.api.live_streams.LiveStreams`, which hears of it by the request."""

    # --- what ---

    def write(self, content: bytes) -> None:
        """Write something."""
        self.written_at = self._now
        self.request.write(content)

    def tick(self, live: ILive, now: float, render: Render, id_of: Callable[[int], str]) -> None:
        """Write what has come, if he reads."""
        passed, self._now = now - self._now, now
        rate = self.selection.rate
        self._credit = min(float(rate), self._credit + passed * rate)
        if self.paused_since is not None:
            return
        come = live.after(self.number) if live.head > self.number else []
        if come:
            if (lost := come[0].number - self.number - 1) > 0:
                self._miss(lost)
                self.is_unsure = True
            self.number = come[-1].number
        wanted = self.selection.taken(come)
        more = max(0, len(wanted) - int(self._credit))
        self._miss(more)
        shown = wanted[more:]
        self._credit -= len(shown)
        pieces = [render(each) for each in shown]
        if self.missed != 0 and (shown or not come):
            pieces.insert(0, self._gap(id_of(shown[0].number - 1 if shown else self.number)))
        if pieces:
            self.write(b"".join(pieces))
        elif now - self.written_at >= HEARTBEAT:
            self.write(STILL_HERE)

    def _miss(self, count: int) -> None:
        if self.missed is not None:
            self.missed += count

    def _gap(self, id: str) -> bytes:
        said: dict[str, Any] = {"missed": self.missed}
        if self.is_unsure:
            said["atMost"] = True
        self.missed, self.is_unsure = 0, False
        return line("gap", said, id)


class _Entry(Struct):
    """A reader with the token that he came with: its id, and whether it is still good."""

    reader: Onlooker
    token: str
    is_good: Callable[[], bool]


class LiveStreams:
    """All streams over ``live``. ``render`` gives the text of what happened; ``boot`` tells this run of the gateway from others."""

    _log = Logger()

    def __init__(
        self, live: ILive, clock: IReactorTime, render: Callable[[Happening, str], bytes], boot: str
    ) -> None:
        self._live = live
        self._clock = clock
        self._render = render
        self._boot = boot
        self._entries: dict[Onlooker, _Entry] = {}
        self._looked_at = 0.0
        self._loop = LoopingCall(self._tick)
        self._loop.clock = clock

    def check_room(self, token: str) -> None:
        """Raise Problem 429 or 503 where there are too many streams."""
        later = {"Retry-After": "10"}
        if sum(each.token == token for each in self._entries.values()) >= OF_TOKEN:
            raise Problem(429, f"a token has {OF_TOKEN} streams at a time; end another one first", later)
        if len(self._entries) >= MOST:
            raise Problem(503, f"there are {MOST} streams already; come back later", later)

    def open(
        self, request: Request, selection: StreamFilter, after: str, token: str, is_good: Callable[[], bool], now_ms: int
    ) -> Deferred[None]:  # fmt: skip
        """Begin one; fires when it is over. ``after`` is the id of what was seen last, empty for nothing."""
        boot, _, text = after.partition("-")
        known = (
            int(text) if boot == self._boot and text.isascii() and text.isdigit() and len(text) < 16 else None
        )
        head = self._live.head
        reader = Onlooker(
            request, selection, head if known is None else min(known, head), self._clock.seconds()
        )
        if after and known is None:
            reader.missed = None
        self._entries[reader] = _Entry(reader, token, is_good)
        self._live.join(selection.topics)
        request.notifyFinish().addErrback(lambda failure: self._leave(reader))
        request.registerProducer(reader, True)
        hello = {"now": now_ms, "topics": sorted(selection.topics)}
        reader.write(line("hello", hello, self._id(reader.number)))
        if not self._loop.running:
            self._loop.start(TICK, now=False)
        return reader.ended

    def _id(self, number: int) -> str:
        return f"{self._boot}-{number}"

    def _text(self, happening: Happening) -> bytes:
        if not happening.text:
            happening.text = self._render(happening, self._id(happening.number))
        return happening.text

    def _tick(self) -> None:
        now = self._clock.seconds()
        looks = now - self._looked_at >= LOOK
        if looks:
            self._looked_at = now
        for entry in list(self._entries.values()):
            try:
                self._serve(entry, now, looks)
            except Exception:  # one reader's trouble is nobody else's
                self._log.failure("a stream failed")
                self.end(entry.reader, "the gateway failed")

    def _serve(self, entry: _Entry, now: float, looks: bool) -> None:
        reader = entry.reader
        if looks and not entry.is_good():
            self.end(reader, "the token or session has ended")
        elif reader.paused_since is not None and now - reader.paused_since > STALLED:
            channel: Any = reader.request.channel
            channel.transport.abortConnection()
        else:
            reader.tick(self._live, now, self._text, self._id)

    def end(self, reader: Onlooker, reason: str) -> None:
        """Say why, and close the connection."""
        reader.write(line("end", {"reason": reason}))
        reader.request.unregisterProducer()
        self._leave(reader)

    def _leave(self, reader: Onlooker) -> None:
        if self._entries.pop(reader, None) is None:
            return
        self._live.leave(reader.selection.topics)
        if not self._entries and self._loop.running:
            self._loop.stop()
        reader.ended.callback(None)
