"""A registered device while the gateway runs: where it is, what it is observed for, and whether it listens now."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from functools import lru_cache

from iotgw.core.model import Downlink
from iotgw.datasources.coap.port import CoapPort
from iotgw.datasources.lwm2m.profile import ProfilePlan
from iotgw.datasources.lwm2m.registration import Lwm2mRegistration
from iotgw.wire.coap.pending import Watch
from iotgw.wire.lwm2m.operations import Capabilities
from iotgw.wire.lwm2m.paths import Path

Step = Callable[[Callable[[bool], None]], None]
"""``step(done)`` asks the device something and calls ``done(went_on)``; False means that it can't be reached now."""


class Lwm2mDevice:
    """``remote`` is None while nobody knows where it is: after a restart, behind DTLS. ``ends`` and ``heard`` are gateway time
    in seconds: when its registration expires, and when it was heard last."""

    __slots__ = (
        "asked_at",
        "ends",
        "heard",
        "is_asked",
        "is_asleep",
        "is_fresh",
        "items",
        "plan",
        "port",
        "registration",
        "remote",
        "steps",
        "watches",
    )

    def __init__(self, registration: Lwm2mRegistration, plan: ProfilePlan, ends: float) -> None:
        self.registration = registration
        self.plan = plan
        self.ends = ends
        self.heard = float("-inf")
        self.asked_at = float("-inf")
        """When it was asked for all that its profile names."""
        self.remote: Hashable | None = None
        self.port: CoapPort | None = None
        self.is_asked = False
        """Whether the first of its steps is under way."""
        self.is_asleep = False
        self.is_fresh = False
        """Whether it has been asked for all that its profile names, over the remote that it has now."""
        self.steps: deque[Step] | None = None
        self.items: dict[str, Downlink] = {}
        """The downlinks that it was sent and hasn't answered, by id."""
        self.watches: dict[str, Watch] = {}
        """Its open observations, by what is observed (`key_of`)."""

    @property
    def sleeps(self) -> bool:
        """Whether it sleeps between its messages: it says so, or its profile does."""
        return self.registration.queue or self.plan.profile.client_settings.power_mode != "DRX"

    def listens_for(self, awake: float, now: float) -> float:
        """Seconds for which it can be sent something; 0 is not now, infinity is always. ``awake`` is the datasource's."""
        if self.remote is None or self.is_asleep:
            return 0.0
        if not self.sleeps:
            return float("inf")
        return max(0.0, self.heard + self.plan.profile.awake(awake) - now)

    @property
    def asked(self) -> Capabilities:
        """Its side of a request."""
        objects = self.registration.objects
        return Capabilities(objects.formats, self.registration.version, objects.root)


@lru_cache(maxsize=4096)
def key_of(paths: tuple[Path, ...]) -> str:
    """What is observed, as a text."""
    return " ".join("/" + "/".join(map(str, path)) for path in paths)
