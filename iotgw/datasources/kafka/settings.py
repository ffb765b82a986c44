"""The settings of a subscription to a Kafka cluster."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec import Meta, field

from iotgw.connect.kafka_access import KafkaAccess
from iotgw.core.names import unfit
from iotgw.core.regular_expressions import check_expression
from iotgw.datasources.frames import GatherSeconds, GatherWith, check_gathering
from iotgw.envelopes.envelope import Envelope
from iotgw.envelopes.presets.choices import (
    BrokerPresetName,
    ConverterGets,
    Custom,
    DeviceName,
    broker_envelope,
)

LONGEST_TOPIC = 249
TOPIC = re.compile(r"[A-Za-z0-9._-]+")
"""What Kafka takes as a topic's name (org.apache.kafka.common.internals.Topic)."""
LONGEST_GROUP = 256
"""Characters; Event Hubs takes no more."""


class KafkaSourceSettings(KafkaAccess, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of a ``kafka`` datasource."""

    topics: Annotated[list[str], Meta(description="Topics to read.")] = []
    pattern: Annotated[
        str,
        Meta(
            max_length=1000,
            description="A regular expression, in place of `topics`: all topics whose names it matches from their beginning. At most two parts such as `.*`.",
        ),
    ] = ""
    group: Annotated[
        str,
        Meta(
            max_length=LONGEST_GROUP,
            description="Consumer group; empty is `iotgw-` and the datasource's id. Gateways that share the partitions have "
            "the same one.",
        ),
    ] = ""
    start: Annotated[
        Literal["earliest", "latest"],
        Meta(
            description="Where a new group begins: at the oldest message that is kept, or at the next one. From then on it misses none, in partitions that are "
            "added later either."
        ),
    ] = field(default="earliest", name="from")
    key_is_device: Annotated[bool, Meta(description="Whether a message's key names its device.")] = True
    device_header: Annotated[
        str, Meta(description="The header that names the device; it outranks the key.")
    ] = ""
    session_timeout: Annotated[
        float,
        Meta(
            ge=6,
            le=1800,
            description="Seconds without a sign of life after which the brokers give a member's partitions to others.",
        ),
    ] = 30.0
    preset: BrokerPresetName = "none"
    custom: Custom = None
    converter_gets: ConverterGets = "auto"
    device_name: DeviceName = "name"
    gather_seconds: GatherSeconds = None
    gather_with: GatherWith = ""

    def __post_init__(self) -> None:
        """Refuse what can't be read."""
        check_gathering(self, self.envelope())
        self.check_brokers()
        if bool(self.topics) is bool(self.pattern):
            raise ValueError("expected either topics or a pattern")
        for topic in self.topics:
            if not TOPIC.fullmatch(topic) or len(topic) > LONGEST_TOPIC or topic in (".", ".."):
                raise ValueError(
                    f"topics: expected names of letters, digits, '.', '_' and '-', got {topic!r}"
                )
        try:
            check_expression(self.pattern, LONGEST_TOPIC)
        except ValueError as error:
            raise ValueError(f"pattern: {error}") from None
        if unfit(self.group):
            raise ValueError("group: expected no control characters")

    def envelope(self) -> Envelope:
        """What the messages are. Raises ValueError."""
        return broker_envelope(self.preset, self.custom, self.converter_gets, self.device_name)

    def group_of(self, id: str) -> str:
        """The consumer group of the datasource with this id."""
        return self.group or f"iotgw-{id}"
