"""A tenant as an admin saves it: what it may use."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from iotgw.core.rate_limit import FORM
from iotgw.core.specs import BeyondLimit, Spec


class QuotaSpec(Spec, frozen=True, kw_only=True):
    """How many resources of a kind a tenant may have; none is no limit."""

    datasources: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="How many datasources it may have; no limit where it is missing."),
    ] = None
    integrations: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="How many integrations it may have; no limit where it is missing."),
    ] = None
    converters: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="How many converters it may have; no limit where it is missing."),
    ] = None
    devices: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="How many devices it may have; no limit where it is missing."),
    ] = None


class TenantSpec(Spec, frozen=True, kw_only=True):
    """What a tenant may use. The limits are as those of a datasource; that of its devices holds where their datasource has none."""

    name: Annotated[str, Meta(description="What it is called; the API's query has it.")]
    limit: Annotated[
        str,
        Meta(
            pattern=FORM,
            description="How much all its datasources take together, such as `100:1,5000:60`: messages and seconds.",
        ),
    ] = ""
    device_limit: Annotated[
        str,
        Meta(
            pattern=FORM,
            description="How much each of its devices may send, in the same form, where its datasource says nothing.",
        ),
    ] = ""
    beyond_limit: Annotated[BeyondLimit, Meta(description="What becomes of more than that.")] = "refuse"
    quota: Annotated[QuotaSpec, Meta(description="How many things of each kind it may have.")] = field(
        default_factory=QuotaSpec
    )
    description: Annotated[str, Meta(description="For people.")] = ""
