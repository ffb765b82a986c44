"""One frame that a network delivers several times: held for a moment, so that it is one message with all gateways that heard
it. Nobody is answered before that message is durable.

A frame is known by the key that its platform gives it, and by the device, its counter, port and bytes. By the latter, datasources that
gather together (`FrameGroups`) know a frame of each other, too: it is a message of the datasource that it came through first.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Annotated, Any, Protocol

from msgspec import Meta, Struct
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from iotgw.core.model import Answer, Metadata
from iotgw.core.ports.datasources import DatasourceContext
from iotgw.core.ports.intake import Reply
from iotgw.core.shared import SharedResource
from iotgw.envelopes.envelope import Envelope

MOST = 1_000
"""Frames held at once; with more, the oldest goes on at once."""
MOST_GATEWAYS = 64
TOGETHER = 1.0
"""Seconds that a frame is held for other networks, if nothing else is said."""
_OF_GATEWAYS = ("gatewayId", "rssi", "snr", "gateways")
_EUI = re.compile(r"[0-9A-F]{16}")

GatherSeconds = Annotated[
    Annotated[float, Meta(ge=0, le=30)] | None,
    Meta(
        description="Seconds that a message of a preset is held, so that a frame that comes several times is one message "
        "with all gateways. If not given: as the preset says."
    ),
]
GatherWith = Annotated[
    str,
    Meta(
        max_length=100,
        description="A name that datasources of several networks have in common: a frame that comes through more than one of "
        "them while it is held is one message, of the datasource that it came through first. It is held for a second if `gatherSeconds` "
        "says nothing.",
    ),
]


class Gathers(Protocol):
    """Settings of a datasource that gathers."""

    @property
    def gather_seconds(self) -> float | None:
        """See `GatherSeconds`."""

    @property
    def gather_with(self) -> str:
        """See `GatherWith`."""


class Receive(Protocol):
    """Hands a message to the gateway, as `IIntake.receive`."""

    def __call__(
        self, payload: bytes, metadata: Metadata, answer: Reply, *, listens: bool = True, key: str = ""
    ) -> None:
        """Hand it over."""


class _Frame(Struct, eq=False):
    payload: bytes
    metadata: Metadata
    listens: bool
    answers: list[Reply]
    ends: float
    name: str
    """See `frame_name`."""
    holder: HeldFrames


FrameGroup = dict[str, _Frame]
"""The frames that one or several datasources hold now, by `frame_name`."""


class FrameGroups(SharedResource):
    """The groups of datasources that gather the frames of several networks, by tenant and name."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str], FrameGroup] = {}

    def group(self, tenant: str, name: str) -> FrameGroup:
        """A group; it is made when it is first asked for."""
        return self._groups.setdefault((tenant, name), {})


class HeldFrames:
    """The frames of one datasource that may come again within ``window`` seconds. ``group`` are those of the datasources that gather
    with it."""

    def __init__(
        self, clock: IReactorTime, window: float, receive: Receive, group: FrameGroup | None = None
    ) -> None:
        self._clock = clock
        self._window = window
        self._receive = receive
        self._held: OrderedDict[str, _Frame] = OrderedDict()
        self._timer: IDelayedCall | None = None
        self._group = {} if group is None else group
        self.gathered = 0
        """How many frames went with a message of another datasource."""

    def __len__(self) -> int:
        return len(self._held)

    def receive(
        self, payload: bytes, metadata: Metadata, answer: Reply, *, listens: bool = True, key: str = ""
    ) -> None:
        """Take a message; one without a key goes on at once."""
        if key:
            self.take(payload, metadata, answer, listens, key)
        else:
            self._receive(payload, metadata, answer, listens=listens)

    def take(self, payload: bytes, metadata: Metadata, answer: Reply, listens: bool, key: str) -> None:
        """Take a message with its key."""
        name = frame_name(metadata)
        elsewhere = self._group.get(name) if name else None
        known = self._held.get(key)
        if known is None and elsewhere is not None and elsewhere.holder is self:
            known = elsewhere
        if known is not None:
            known.answers.append(answer)
            if len(gateways(metadata)) > len(gateways(known.metadata)):
                known.payload, metadata, known.metadata = payload, known.metadata, metadata
            known.metadata = joined(known.metadata, metadata)
            known.listens = known.listens or listens
            return
        if elsewhere is not None:
            elsewhere.answers.append(answer)
            elsewhere.metadata = with_gateways(elsewhere.metadata, metadata)
            self.gathered += 1
            return
        frame = _Frame(payload, metadata, listens, [answer], self._clock.seconds() + self._window, name, self)
        self._held[key] = frame
        if name:
            self._group[name] = frame
        if len(self._held) > MOST:
            self._go_on(next(iter(self._held)))
        if self._timer is None:
            self._timer = self._clock.callLater(self._window, self._look)

    def flush(self) -> None:
        """Hand over everything now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for key in list(self._held):
            self._go_on(key)

    def _look(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        for key, frame in list(self._held.items()):
            if frame.ends > now:
                self._timer = self._clock.callLater(frame.ends - now, self._look)
                return
            self._go_on(key)

    def _go_on(self, key: str) -> None:
        frame = self._held.pop(key)
        if self._group.get(frame.name) is frame:
            del self._group[frame.name]

        def answered(answer: Answer) -> None:
            first, *others = frame.answers
            first(answer)
            for reply in others:
                reply(Answer(answer.status, answer.message_id, answer.retry_after))

        self._receive(frame.payload, frame.metadata, answered, listens=frame.listens, key=key)

    def status(self) -> dict[str, Any]:
        """What a datasource's status says of it."""
        return {"gatheredElsewhere": self.gathered} if self.gathered else {}


def check_gathering(settings: Gathers, envelope: Envelope) -> None:
    """Raise ValueError for settings by which nothing could be gathered."""
    if settings.gather_with and settings.gather_seconds == 0:
        raise ValueError("gatherSeconds: expected more than 0 with `gatherWith`")
    if settings.gather_with and not envelope.keys_last:
        raise ValueError("gatherWith: expected a preset that tells frames apart")


def held_frames(settings: Gathers, envelope: Envelope, context: DatasourceContext) -> HeldFrames | None:
    """Where a datasource holds frames that may come again; None where it holds none."""
    window = envelope.gathers if settings.gather_seconds is None else settings.gather_seconds
    group = None
    if settings.gather_with:
        group = context.shared(FrameGroups).group(context.tenant, settings.gather_with)
        window = window or TOGETHER
    return HeldFrames(context.reactor, window, context.intake.receive, group) if window else None


def gateways(metadata: Metadata) -> list[dict[str, Any]]:
    """The gateways that heard a message: ``gateways``, or the one that the metadata names."""
    found = metadata.get("gateways")
    if isinstance(found, list):
        return [each for each in found if isinstance(each, dict)]
    named: dict[str, Any] = {
        name: metadata[name] for name in ("gatewayId", "rssi", "snr") if name in metadata
    }
    return [named] if "gatewayId" in named else []


def frame_name(metadata: Metadata) -> str:
    """What a frame is called on any network: the device's EUI, the frame's counter, its port and its bytes; empty for one that lacks
    the first two."""
    eui, counter = metadata.get("devEui"), metadata.get("fCnt")
    if not isinstance(eui, str) or type(counter) is not int:
        return ""
    digits = eui.replace("-", "").replace(":", "").upper()
    if _EUI.fullmatch(digits) is None:
        return ""
    return f"{digits}/{counter}/{metadata.get('fPort')}/{metadata.get('frame')}"


def with_gateways(main: Metadata, other: Metadata) -> Metadata:
    """The metadata of a frame with the gateways, and nothing else, of what another network says of it."""
    told = joined(main, {name: other[name] for name in _OF_GATEWAYS if name in other})
    return told if gateways(main) else {**told, **main}


def joined(main: Metadata, other: Metadata) -> Metadata:
    """The metadata of a frame with the gateways of another delivery of it; the one with the best signal is told first."""
    known = {each.get("gatewayId"): each for each in gateways(other)} | {
        each.get("gatewayId"): each for each in gateways(main)
    }
    heard = sorted(known.values(), key=_strength, reverse=True)[:MOST_GATEWAYS]
    if len(heard) < 2:
        return {**other, **main}
    return {**other, **main, **heard[0], "gateways": heard}


def _strength(gateway: dict[str, Any]) -> float:
    rssi = gateway.get("rssi")
    return rssi if isinstance(rssi, int | float) else float("-inf")  # an integer may be too large for a float
