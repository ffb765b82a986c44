"""Long actions: what somebody starts, looks at, and may end, while the gateway does it beside everything else."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from iotgw.core.times import DateMs

JobState = Literal["waiting", "running", "done", "cancelled", "failed"]


class JobView(Struct, frozen=True, rename="camel"):
    """A job as people see it."""

    id: Annotated[str, Meta(description="Its id.")]
    kind: Annotated[str, Meta(description="What it does, such as `reprocess`.")]
    state: Annotated[
        JobState,
        Meta(
            description="How far it is. One that is `waiting` begins at `startsAt`, or as soon as its tenant has less under way."
        ),
    ]
    what: Annotated[dict[str, Any], Meta(description="What it is about: what was asked for.")]
    total: Annotated[
        int | None, Meta(description="How many things it has to do; null until they are counted.")
    ]
    done: Annotated[int, Meta(description="How many are done.")]
    counts: Annotated[dict[str, int], Meta(description="How those that are done ended.")]
    before: Annotated[dict[str, int], Meta(description="Figures of what it changes, from before it began.")]
    after: Annotated[dict[str, int], Meta(description="The same figures from when it ended.")]
    created_at: Annotated[int, Meta(description="When it was asked for: milliseconds since 1970.")]
    ended_at: Annotated[int, Meta(description="When it ended: milliseconds since 1970; 0 while it hasn't.")]
    problem: Annotated[str, Meta(description="Why it failed; else empty.")]
    by: Annotated[str, Meta(description="Who asked for it.")]
    starts_at: Annotated[
        int, Meta(description="When it begins: milliseconds since 1970; 0 is as soon as may be.")
    ] = 0


class IJobRun(Interface):
    """A job under way, as its work sees it."""

    tenant: str = Attribute("whose it is")
    what: dict[str, Any] = Attribute("what it is about, as it was started")
    created_ms: DateMs = Attribute("when it was begun")
    cursor: int = Attribute("where it goes on after a restart; 0 at first")
    is_cancelled: bool = Attribute("whether it has to end for good, not only until the gateway starts again")
    place: str = Attribute("the same as a text, for work that goes by names; set it before `went`")
    before: dict[str, int] = Attribute("figures of what it changes, at its beginning; empty at first")
    id: str = Attribute("of the job")

    def expect(total: int, before: dict[str, int]) -> None:
        """So many things have to be done besides those that are done; ``before`` as the attribute. After a restart, that stays."""

    def went(cursor: int, **counts: int) -> Deferred[None]:
        """Things were done, and how they ended; it goes on after ``cursor``. Fires in a later turn, so that the gateway does other things in
        between. Fails when the job is cancelled, or the gateway stops: its work has to end then."""

    def ended(after: dict[str, int]) -> None:
        """The figures at its end."""


class IJobKind(Interface):
    """What a kind of job does."""

    name: str = Attribute("of the kind")
    at_a_time: int = Attribute("how many of them a tenant may have under way")
    is_of_partition: bool = Attribute(
        "whether it does what it does for one node's messages, so that each node has to"
    )

    def run(job: IJobRun) -> Deferred[None]:
        """Do it, from its cursor on. What has been done since it last `went` may be done twice, after a kill. An IotgwError that it fails with is what the
        job failed of."""

    def forget(id: str) -> None:
        """A job that is over isn't listed any more: drop what is kept for it."""


class IJobs(Interface):
    """The jobs of all tenants. They go on over restarts."""

    def begin(kind: str, tenant: str, what: dict[str, Any], by: str, starts_at: int = 0) -> Deferred[JobView]:
        """Start one, or have it wait for a date (ms); fires when it is durable. Fails with TooMany if the tenant has too many under way,
        or waiting."""

    def list(tenant: str) -> list[JobView]:
        """A tenant's jobs, the newest first."""

    def get(tenant: str, id: str) -> JobView:
        """One of them. Raises NotFound."""

    def cancel(tenant: str, id: str) -> Deferred[JobView]:
        """End one after what it is just doing; fires when it has ended. One that is over stays as it is. Fails with NotFound."""
