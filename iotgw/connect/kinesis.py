"""A stream of Amazon Kinesis: where it is, and what its actions answer, used by the datasource and the target alike."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from msgspec import Meta, Struct

from iotgw.connect.aws import AwsAccess, AwsApi, check_region, endpoint_of
from iotgw.connect.json_api import Told
from iotgw.core.destination import origin
from iotgw.core.errors import SettingsError
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.reactor import IReactor

LARGEST_ANSWER = 32 << 20
"""Bytes of an answer that is read: 10 MiB of records as base64 and JSON (Kinesis API reference, "GetRecords"), and more."""
STREAM = re.compile(r"[a-zA-Z0-9_.-]{1,128}")


class KinesisPlace(AwsAccess, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings that say which stream, for a way in and a way out alike."""

    stream: Annotated[str, Meta(description="The stream's name.")]
    region: Annotated[str, Meta(description="Such as `eu-central-1`.")]
    endpoint: Annotated[
        str,
        Meta(description="URL of Kinesis, if not that of the region: a VPC endpoint, or a service like it."),
    ] = ""

    def __post_init__(self) -> None:
        """Refuse what is no stream."""
        if not STREAM.fullmatch(self.stream):
            raise ValueError("stream: expected a name of letters, digits, '_', '.' and '-'")
        check_region(self.region)
        try:
            origin(self.url, "configuration.endpoint")
        except SettingsError as error:
            raise ValueError(f"endpoint: {error}") from None

    @property
    def url(self) -> str:
        """Where Kinesis is."""
        return self.endpoint or endpoint_of("kinesis", self.region)

    @property
    def name(self) -> str:
        """The stream as no other one is called."""
        return f"{self.url.rstrip('/')}/{self.stream}"

    def destination(self) -> object:
        """See `iotgw.core.destination.Destined`."""
        return self.way(self.url, "configuration.endpoint")


class KinesisShard(Struct, frozen=True, rename="pascal"):
    """A shard; one that came of a split has a parent, one that came of a merge two."""

    shard_id: str
    parent_shard_id: str | None = None
    adjacent_parent_shard_id: str | None = None

    @property
    def parents(self) -> list[str]:
        """The shards that it follows."""
        return [each for each in (self.parent_shard_id, self.adjacent_parent_shard_id) if each]


class KinesisShards(Struct, frozen=True, rename="pascal"):
    """What ``ListShards`` answers."""

    shards: list[KinesisShard] = []
    next_token: str | None = None


class KinesisIterator(Struct, frozen=True, rename="pascal"):
    """What ``GetShardIterator`` answers."""

    shard_iterator: str


class KinesisRecord(Struct, frozen=True, rename="pascal"):
    """A record. ``approximate_arrival_timestamp`` is in seconds since 1970."""

    sequence_number: str
    data: bytes = b""
    partition_key: str = ""
    approximate_arrival_timestamp: float | None = None


class KinesisRecords(Struct, frozen=True, rename="pascal"):
    """What ``GetRecords`` answers. Without a next iterator the shard has ended."""

    records: list[KinesisRecord] = []
    next_shard_iterator: str | None = None
    millis_behind_latest: int = 0


class KinesisPut(Struct, frozen=True, rename="pascal"):
    """What became of one record."""

    sequence_number: str | None = None
    error_code: str | None = None
    error_message: str | None = None


class KinesisPuts(Struct, frozen=True, rename="pascal"):
    """What ``PutRecords`` answers, in the order of the records."""

    records: list[KinesisPut] = []


class KinesisApi(AwsApi):
    """The actions on one stream."""

    def __init__(
        self,
        reactor: IReactor,
        connector: IConnector,
        place: KinesisPlace,
        date: Callable[[], float],
        *,
        connections: int,
        timeout: float,
    ) -> None:
        super().__init__(
            reactor, connector, place, place.url, place.region, "kinesis", "Kinesis_20131202", "1.1", date,
            connections=connections, timeout=timeout, kept=LARGEST_ANSWER,
        )  # fmt: skip
        self._stream = place.stream

    def shards(self, told: Told, token: str = "") -> None:
        """A page of the stream's shards; ``token`` is what the page before gave."""
        body = {"NextToken": token} if token else {"StreamName": self._stream}
        self.act("ListShards", body, told, KinesisShards)

    def iterator(self, shard: str, kind: str, told: Told, **more: Any) -> None:
        """Where to read in a shard."""
        body = {"StreamName": self._stream, "ShardId": shard, "ShardIteratorType": kind, **more}
        self.act("GetShardIterator", body, told, KinesisIterator)

    def records(self, iterator: str, most: int, told: Told) -> None:
        """The next records of a shard."""
        self.act("GetRecords", {"ShardIterator": iterator, "Limit": most}, told, KinesisRecords)

    def put(self, records: list[dict[str, Any]], told: Told) -> None:
        """Add records to the stream."""
        self.act("PutRecords", {"StreamName": self._stream, "Records": records}, told, KinesisPuts)

    def describe(self, told: Told) -> None:
        """Ask for the stream itself."""
        self.act("DescribeStreamSummary", {"StreamName": self._stream}, told)
