"""`/stream`: what happens now, as server-sent events."""

from __future__ import annotations

from typing import Any, cast

import msgspec
from twisted.web.server import Request

from iotgw.api.auth import Permission, Tokens
from iotgw.api.live_streams import LiveStreams, StreamFilter, line
from iotgw.api.message_views import MessageRow
from iotgw.api.queries import Query
from iotgw.api.routes import Call, Reply, Route
from iotgw.core.epochs import Epochs
from iotgw.core.errors import NotFound, SettingsError
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.journal import IMessages
from iotgw.core.ports.live import TOPICS, Happening, ILive, LiveMessage, Topic
from iotgw.core.ports.pipeline import IPipeline
from iotgw.core.ports.rates import FIGURES, Figures
from iotgw.core.ports.registry import IRegistry

STREAM = (
    Query("topics", str, "messages", f"of {', '.join(TOPICS)}, with commas between them"),
    Query("datasource", str, None, "messages that came by it, and its events; id or name"),
    Query("device", str, None, "messages and events of this device"),
    Query("state", str, None, "messages that have become this", choices=("converted", "filtered", "failed")),
    Query("rate", int, 50, "events a second at most; what is more is skipped, and counted", range=(1, 5000)),
    Query("after", str, None, "the `id` of the last event that was seen, as the header Last-Event-ID; the stream goes on behind it"),
)  # fmt: skip


class StreamRoutes:
    """The route of streams."""

    def __init__(
        self, streams: LiveStreams, tokens: Tokens, registry: IRegistry, calendar: ICalendar
    ) -> None:
        self._streams = streams
        self._tokens = tokens
        self._registry = registry
        self._calendar = calendar

    def routes(self) -> list[Route]:
        """One."""
        return [
            Route(
                "GET", "/stream", Permission.READ, self.open, "What happens now, as server-sent events",
                query=STREAM, answer_text="text/event-stream",
            ),
        ]  # fmt: skip

    async def open(self, call: Call) -> Reply:
        """A stream."""
        selection = self._selection(call)
        self._streams.check_room(call.token.id)
        after = call.query("after") or call.header("last-event-id") or ""
        text = (call.header("authorization") or "").partition(" ")[2].strip()
        now_ms = self._calendar.now_ms()

        def is_good() -> bool:
            token = self._tokens.recognise(text, int(self._calendar.seconds() * 1000))
            return token is not None and (token.role, token.tenant) == (call.token.role, call.token.tenant)

        def begin(request: Request) -> Any:
            return self._streams.open(request, selection, after, call.token.id, is_good, now_ms)

        headers = {"X-Accel-Buffering": "no"}  # nginx would hold it back
        return Reply(headers=headers, content_type="text/event-stream", stream=begin)

    def _selection(self, call: Call) -> StreamFilter:
        topics = call.query("topics").split(",")
        for topic in topics:
            if topic not in TOPICS:
                raise SettingsError("topics", f"expected some of {', '.join(TOPICS)}, got {topic!r}")
        name = call.query("datasource")
        id, known = name or "", name or ""
        if name:
            try:
                found = self._registry.get("datasource", name, call.tenant)
                id, known = found.id, found.name
            except NotFound:  # as with messages: the id of one that is gone
                pass
        return StreamFilter(
            call.tenant, frozenset(cast(list[Topic], topics)), id, known, call.query("device") or "",
            call.query("state") or "", call.query("rate"),
        )  # fmt: skip


class Rendering:
    """Makes the text of what happened."""

    def __init__(self, journal: IMessages, pipeline: IPipeline, calendar: ICalendar) -> None:
        self._journal = journal
        self._pipeline = pipeline
        self._calendar = calendar

    def __call__(self, happening: Happening, id: str) -> bytes:
        """One server-sent event."""
        value = happening.value
        if isinstance(value, LiveMessage):
            return line("message", self._row(happening, value, self._journal.epochs), id)
        if happening.topic == "stats":
            return line("stats", self._counts(value), id)
        return line("event", value, id)

    def _row(self, happening: Happening, message: LiveMessage, epochs: Epochs) -> MessageRow:
        error = message.error
        if error is not None and error.stack:
            error = msgspec.structs.replace(error, stack="")
        return MessageRow(
            epochs.message_id(message.seq), message.received_ms, self._pipeline.datasource_name(happening.datasource),
            happening.state, message.size, message.head.hex(), list(happening.devices), error,
        )  # fmt: skip

    def _counts(self, samples: list[Figures]) -> dict[str, Any]:
        said: dict[str, Any] = {"at": self._calendar.now_ms(), "datasources": [], "integrations": []}
        for each in samples:
            figures = dict(zip(FIGURES[each.kind], each.figures, strict=True))
            said[f"{each.kind}s"].append({"id": each.id, "name": each.name, **figures})
        return said


def streams_of(
    live: ILive, journal: IMessages, pipeline: IPipeline, clock: Any, calendar: ICalendar
) -> LiveStreams:
    """The streams of a gateway that has just started."""
    return LiveStreams(live, clock, Rendering(journal, pipeline, calendar), f"{calendar.now_ms():x}")
