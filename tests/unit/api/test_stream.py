"""`GET /stream`: what happens now, for each reader at his own pace."""

from __future__ import annotations

import json
from typing import Any

import pytest
import pytest_twisted
from msgspec import Struct
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater

from iotgw.api.live_streams import HEARTBEAT, OF_TOKEN, STALLED, TICK
from iotgw.core.model import ConversionError, Event, Outcome, Output, State, StoredUplink, Uplink
from iotgw.core.ports.rates import Figures
from iotgw.core.times import DateMs


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


class Said(Struct):
    id: str
    event: str
    data: Any


class Tap(Protocol):
    """Reads a stream with a bare connection, until it is closed."""

    def __init__(self) -> None:
        self.text = b""
        self.closed: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.text += data

    def connectionLost(self, reason: Any = None) -> None:
        self.closed.callback(None)

    @property
    def body(self) -> bytes:
        """Without the head, and without the lengths of chunks."""
        rest, found = self.text.partition(b"\r\n\r\n")[2], b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size or b"0", 16)
            found, rest = found + rest[:length], rest[length + 2 :]
        return found

    @property
    def events(self) -> list[Said]:
        found = []
        for block in self.body.decode().split("\n\n")[:-1]:  # the last one may come in pieces
            fields = dict(each.split(": ", 1) for each in block.splitlines() if not each.startswith(":"))
            if fields:
                found.append(Said(fields.get("id", ""), fields["event"], json.loads(fields["data"])))
        return found

    @property
    def named(self) -> list[str]:
        return [each.event for each in self.events]


class World:
    """Readers of the bench's API, and messages that come."""

    def __init__(self, bench: Any, connect: Any) -> None:
        self.bench, self.connect = bench, connect
        self.taps: list[Tap] = []
        self.seq = 0

    async def read(self, query: str = "", client: Any = None, **headers: str) -> Tap:
        client = client or self.connect("viewer", "default")
        if client.saved is not None:
            await client.saved
            client.saved = None
        host, port = client.base.removeprefix("http://").split(":")
        given = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        tap = Tap()
        self.taps.append(tap)

        class Made(Protocol):
            pass

        factory: Any = Factory.forProtocol(lambda: tap)
        factory.clientConnectionFailed = factory.clientConnectionLost = lambda *args: None
        factory.startedConnecting = lambda connector: None
        reactor.connectTCP(host, int(port), factory)  # type: ignore[attr-defined]
        while not tap.transport:
            await self.moment()
        text = (
            f"GET /api/v1/stream{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {client.token}\r\n"
            f"{given}\r\n"
        )
        tap.transport.write(text.encode())
        while b"event: hello" not in tap.text and b"problem" not in tap.text:
            await self.moment()
        return tap

    async def moment(self) -> None:
        await deferLater(reactor, 0.005, lambda: None)

    async def tick(self, seconds: float = TICK) -> None:
        """Time passes, and what is written comes."""
        self.bench.clock.advance(seconds)
        for _ in range(4):
            await self.moment()

    def come(
        self, device: str = "lamp", state: State = State.CONVERTED, tenant: str = "default", source: str = "web",
        payload: bytes = b"\x01\x02",
    ) -> None:  # fmt: skip
        """A message has come, and was converted."""
        self.seq += 1
        uplink = StoredUplink(self.seq, Uplink(tenant, source, DateMs(self.seq * 1000), payload, b"{}"))
        outputs = (Output(device, "default", b"{}"),) if state is State.CONVERTED else ()
        error = ConversionError("boom", line=3, stack="at line 3") if state is State.FAILED else None
        outcome = Outcome(self.seq, state, "c/1", outputs, error)
        self.bench.live.has_ended(tenant, source, [uplink], [outcome])
        self.bench.live.settled([outcome], [])


@pytest.fixture
def world(bench: Any, connect: Any) -> Any:
    made = World(bench, connect)
    yield made
    for tap in made.taps:
        tap.transport.abortConnection()
        pytest_twisted.blockon(tap.closed)


@inline
async def test_a_message_is_a_row_of_the_list(world: Any) -> None:
    tap = await world.read()
    assert b"text/event-stream" in tap.text and b"X-Accel-Buffering: no" in tap.text
    world.come()
    await world.tick()
    hello, message = tap.events
    assert (hello.event, hello.data["topics"]) == ("hello", ["messages"])
    assert message.data == {
        "id": world.bench.journal.epochs.message_id(1), "receivedAt": 1000, "datasource": "web", "state": "converted", "size": 2,
        "head": "0102", "devices": ["lamp"], "error": None,
    }  # fmt: skip


@inline
@pytest.mark.parametrize(
    ("query", "seen"),
    [
        ("", ["lamp", "door", None]),
        ("?device=door", ["door"]),
        ("?state=failed", [None]),
        ("?datasource=other", ["door"]),
        ("?topics=events", []),
    ],
)
async def test_filters_are_the_servers(query: str, seen: list[Any], world: Any) -> None:
    tap = await world.read(query)
    world.come("lamp")
    world.come("door", source="other")
    world.come(state=State.FAILED)
    world.come("secret", tenant="north")
    await world.tick()
    assert [next(iter(each.data["devices"]), None) for each in tap.events if each.event == "message"] == seen
    assert b"secret" not in tap.text


@inline
async def test_a_failure_comes_with_its_place_and_without_its_stack(world: Any) -> None:
    tap = await world.read("?state=failed")
    world.come(state=State.FAILED)
    await world.tick()
    assert tap.events[1].data["error"]["line"] == 3 and "stack" not in tap.events[1].data["error"]


@inline
async def test_events_and_counts_come_by_their_topics(world: Any) -> None:
    tap = await world.read("?topics=events,stats")
    world.bench.live.happened(Event(5, "started", "datasource", "web", "it runs"))
    world.bench.sampled.rows = [Figures("integration", "default", "id7", "out", (9, 8, 0, 0, 0, 1))]
    world.bench.rates.take()
    world.come()
    await world.tick()
    _, event, stats = tap.events
    assert (event.event, event.data["message"]) == ("event", "it runs")
    assert stats.data["integrations"] == [
        {"id": "id7", "name": "out", "queued": 9, "delivered": 8, "expired": 0, "dead": 0, "dropped": 0, "waiting": 1}
    ]  # fmt: skip


@inline
async def test_who_comes_again_goes_on_where_he_was(world: Any) -> None:
    first = await world.read()
    await world.read()  # somebody else keeps the ring
    world.come("lamp")
    await world.tick()
    seen = first.events[-1].id
    first.transport.abortConnection()
    await first.closed
    world.come("door")
    for how in ({"Last_Event_ID": seen}, None):
        tap = await (world.read(**how) if how else world.read(f"?after={seen}"))
        await world.tick()
        assert [each.data.get("devices") for each in tap.events[1:]] == [["door"]]


@inline
async def test_after_a_restart_nobody_knows_how_much_was_missed(world: Any) -> None:
    tap = await world.read("?after=1a2b-17")
    await world.tick()
    assert [(each.event, each.data) for each in tap.events[1:]] == [("gap", {"missed": None})]


@inline
async def test_more_than_the_rate_is_counted_and_the_newest_are_shown(world: Any) -> None:
    tap = await world.read("?rate=2")
    for _ in range(7):
        world.come()
    await world.tick()
    assert [(each.event, each.data.get("missed")) for each in tap.events[1:]] == [
        ("gap", 5),
        ("message", None),
        ("message", None),
    ]
    assert tap.events[-1].data["receivedAt"] == 7000


@inline
async def test_it_is_alive_where_nothing_happens(world: Any) -> None:
    tap = await world.read()
    await world.tick(HEARTBEAT)
    assert tap.body.endswith(b": still here\n\n")


@inline
async def test_it_ends_with_its_token(world: Any) -> None:
    admin, client = world.connect(), world.connect("viewer", "default")
    tap = await world.read(client=client)
    name = (await client.ok("GET", "/session"))["name"].replace(" ", "%20")
    assert (await admin("DELETE", f"/tokens/{name}")).status == 204
    await world.tick(1.0)
    assert tap.named == ["hello", "end"]
    assert not world.bench.live.is_watched


@inline
async def test_it_ends_with_the_session(world: Any) -> None:
    client = world.connect("viewer", "default")
    client.token = (await client.ok("POST", "/session"))["session"]
    tap = await world.read(client=client)
    assert (await client("DELETE", "/session")).status == 204
    await world.tick(1.0)
    assert tap.named == ["hello", "end"]


@inline
async def test_nobody_is_waited_for_when_he_has_left(world: Any) -> None:
    tap = await world.read()
    tap.transport.abortConnection()
    await tap.closed
    while world.bench.live.is_watched:
        await world.moment()
    assert not any("LiveStreams" in str(each) for each in world.bench.clock.getDelayedCalls())


@inline
async def test_a_token_has_so_many_streams_and_no_more(world: Any) -> None:
    client = world.connect("viewer", "default")
    for _ in range(OF_TOKEN):
        await world.read(client=client)
    assert (await client("GET", "/stream")).status == 429
    assert b"event: hello" in (await world.read()).text  # of another token


@inline
@pytest.mark.parametrize("query", ["topics=all", "rate=0", "state=gone", "what=1", "topics="])
async def test_what_it_does_not_know_is_refused(query: str, world: Any) -> None:
    assert (await world.connect("viewer")("GET", f"/stream?{query}")).status in (400, 422)


@inline
async def test_a_viewer_of_one_tenant_sees_that_one(world: Any) -> None:
    tap = await world.read(client=world.connect("viewer", "north"))
    world.come("here", tenant="north")
    world.come("there", tenant="default")
    await world.tick()
    assert [each.data["devices"] for each in tap.events[1:]] == [["here"]]


@inline
async def test_who_reads_nothing_is_disconnected(world: Any) -> None:
    tap, other = await world.read("?rate=5000"), await world.read("?rate=1")
    tap.transport.pauseProducing()
    while world.bench.live.watchers("messages") > 1:  # the kernel takes a few megabytes
        for _ in range(1500):
            world.come("x" * 255)
        await world.tick(STALLED + 1)
    tap.transport.resumeProducing()
    await tap.closed
    assert not other.closed.called
    size = len(tap.text)
    assert 0 < size < 16 << 20


@inline
async def test_who_reads_again_is_told_what_he_missed(world: Any) -> None:
    tap = await world.read("?rate=5000")
    tap.transport.pauseProducing()
    for _ in range(40):
        for _ in range(1500):
            world.come("x" * 255)
        await world.tick(0.6)
    tap.transport.resumeProducing()
    for _ in range(2000):
        if f'"receivedAt":{world.seq * 1000},'.encode() in tap.text[-1000:]:
            break
        world.come()
        await world.tick(0.01)
    gaps = [each.data for each in tap.events if each.event == "gap"]
    seen = sum(each.event == "message" for each in tap.events)
    assert gaps and all(each["atMost"] for each in gaps)
    assert seen + sum(each["missed"] for each in gaps) == world.seq
