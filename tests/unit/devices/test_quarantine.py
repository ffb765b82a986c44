"""Devices that nobody knows, from their first message to the end of their quarantine, on the real journal and pipeline."""

import msgspec
import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import deferLater

from iotgw import testing
from iotgw.core.clock import PlainCalendar
from iotgw.core.device_entry import DeviceSpec
from iotgw.core.errors import NotFound, SettingsError
from iotgw.core.model import Answer, Conversion, Outcome, Output, State, Status
from iotgw.core.recorder import Recorder
from iotgw.core.specs import Deletion
from iotgw.devices import quarantine as module
from iotgw.devices.fleet import Fleet
from iotgw.devices.quarantine import Quarantine, Releases
from iotgw.pipeline.pipeline import Pipeline
from tests.unit.pipeline.worlds import World


def outputs(job):
    """Each word of the payload is a device."""
    names = job.payload.decode().split()
    body = {"attributes": {}, "telemetry": [{"ts": job.received_ms, "values": {"seq": job.seq}}]}
    return Conversion(
        tuple(Output(name, "t", msgspec.json.encode({"deviceName": name, "deviceType": "t", **body})) for name in names)
    )  # fmt: skip


class Field(World):
    def make(self):
        super().make()
        self.converters = testing.FakeConverters(outputs)
        self.entries = getattr(self, "entries", None) or testing.MemoryDeviceEntries()
        recorder = Recorder(self.events, reactor)
        self.fleet = Fleet(
            self.entries,
            self.devices,
            self.speakers,
            self.registry,
            reactor,
            PlainCalendar(reactor),
            lambda *what: None,
        )
        self.quarantine = Quarantine(self.fleet, recorder)
        self.pipeline = Pipeline(
            sources=self.sources, journal=self.journal, registry=self.registry, converters=self.converters,
            versions=self.versions, credentials=self.credentials, speakers=self.speakers, delivery=self.delivery,
            downlinks=self.downlinks, recorder=recorder, departures=self.departures, listeners=[self.heard, self.fleet],
            types=self.types, reactor=reactor, max_payload=1000, quarantine=self.quarantine,
        )  # fmt: skip
        self.releases = Releases(self.quarantine, self.fleet, self.journal, self.pipeline, recorder, reactor)

    async def start(self):
        await self.registry.start()
        await self.speakers.start()
        await self.journal.start(self.pipeline.journal_listener)
        await self.fleet.start()
        await self.releases.load()
        await self.pipeline.start()
        await self.releases.go_on()

    async def stop(self):
        self.releases.stop()
        await super().stop()
        self.fleet.rest()
        await self.fleet.stop()

    async def open(self, policy, **more):
        spec = {"type": "plain", "converter": "json", "unknownDevices": policy, **more}
        self.resource = await self.registry.create("datasource", "default", "field", spec)
        await self.pipeline.applied(self.resource.id)

    async def send(self, text, **metadata):
        """The answer, when all is settled."""
        answers = []
        intake = self.pipeline._running[self.resource.id].intake
        intake.receive(text.encode(), metadata, answers.append)
        await self.until(lambda: answers and self.pipeline.idle)
        await self.journal.durable()
        return answers[0]

    async def until(self, happened):
        for _ in range(2000):
            if happened():
                return
            await deferLater(reactor, 0.001)
        raise AssertionError("it did not happen")

    @property
    def delivered(self):
        return [record.device_name for record in self.heard.records]

    def waiting(self):
        return {each.name: each.messages for each in self.quarantine.list("default", "", 100)}

    async def states(self):
        return [message.state for message in await self.journal.messages("default", 0, 100)]


@pytest.fixture
def field(tmp_path):
    field = Field(tmp_path)
    pytest_twisted.blockon(ensureDeferred(field.start()))
    yield field
    pytest_twisted.blockon(ensureDeferred(field.stop()))


@pytest_twisted.ensureDeferred
async def test_messages_of_a_device_that_nobody_knows_wait_and_are_delivered_in_order_when_it_is_released(
    field,
):
    await field.open("quarantine")
    await field.fleet.save("default", DeviceSpec(name="known"))
    assert [(await field.send(text)).status for text in ("new", "known", "new")] == [Status.STORED] * 3
    assert (field.delivered, field.waiting(), field.fleet.get("default", "new")) == (
        ["known"],
        {"new": 2},
        None,
    )
    held = field.quarantine.get("default", "new")
    assert msgspec.json.decode(held.output)["deviceName"] == "new"
    assert await field.states() == [State.FILTERED, State.CONVERTED, State.FILTERED]
    (message, *_) = await field.journal.messages("default", 0, 1)
    assert (message.error.name, message.error.devices) == ("Quarantined", ("new",))
    assert await field.releases.release("default", "new") == 2
    assert [
        msgspec.json.decode(each.body)["telemetry"][0]["values"]["seq"] for each in field.heard.records
    ] == [2, 1, 3]
    assert (field.waiting(), await field.states()) == ({}, [State.CONVERTED] * 3)
    await field.send("new")
    assert field.delivered == ["known", "new", "new", "new"]
    counts = field.sources[field.resource.id].counts
    assert counts == {"received": 4, "converted": 4, "filtered": 0, "failed": 0, "refused": 0}
    assert [each.type for each in field.events.emitted if each.device] == [
        "device.quarantined",
        "device.released",
    ]


@pytest_twisted.ensureDeferred
async def test_what_waits_is_known_after_a_restart_and_a_release_that_was_cut_off_goes_on(field):
    await field.open("quarantine")
    await field.send("new")
    await field.send("other")
    await field.again()
    assert field.waiting() == {"new": 1, "other": 1}
    await field.entries.write([await field.fleet.save("acme", DeviceSpec(name="other"))])
    assert field.waiting() == {"new": 1, "other": 1}, "another tenant's"
    field.entries.stored["default", "new"] = msgspec.structs.replace(
        field.entries.stored["acme", "other"], tenant="default", spec=DeviceSpec(name="new")
    )
    await field.again()
    await field.until(lambda: field.waiting() == {"other": 1})
    assert field.delivered == ["new"]


@pytest_twisted.ensureDeferred
async def test_a_device_that_somebody_creates_is_released_by_that(field):
    await field.open("quarantine")
    await field.send("new")
    await field.fleet.save("default", DeviceSpec(name="new", label="mine"))
    await field.until(lambda: field.delivered == ["new"])
    await field.until(lambda: not field.waiting())
    assert field.fleet.get("default", "new").spec.label == "mine"


@pytest_twisted.ensureDeferred
async def test_of_a_message_about_several_devices_only_what_nobody_knows_waits(field):
    await field.open("quarantine")
    await field.fleet.save("default", DeviceSpec(name="known"))
    await field.send("known a b")
    assert (field.delivered, field.waiting()) == (["known"], {"a": 1, "b": 1})
    await field.releases.release("default", "b")
    assert (field.delivered, field.waiting()) == (["known", "b"], {"a": 1})
    await field.again()
    assert field.waiting() == {"a": 1}
    await field.releases.release("default", "a")
    assert field.delivered == ["a"]


@pytest_twisted.ensureDeferred
async def test_what_is_dropped_waits_no_more_and_stays_in_the_journal(field):
    await field.open("quarantine")
    await field.send("new")
    assert await field.releases.drop("default", "new") == 1
    assert (field.waiting(), field.delivered, await field.states()) == ({}, [], [State.FILTERED])
    await field.again()
    assert field.waiting() == {}
    with pytest.raises(NotFound):
        await field.releases.drop("default", "new")
    with pytest.raises(NotFound):
        await field.releases.release("acme", "new")


@pytest_twisted.ensureDeferred
async def test_a_name_that_no_device_may_have_cannot_be_released(field):
    await field.open("quarantine")
    await field.send("..")
    with pytest.raises(SettingsError):
        await field.releases.release("default", "..")
    assert await field.releases.drop("default", "..") == 1


@pytest_twisted.ensureDeferred
async def test_a_full_quarantine_refuses_and_keeps_the_message_as_failed(field, monkeypatch):
    monkeypatch.setattr(module, "MOST_DEVICES", 1)
    await field.open("quarantine")
    await field.send("a")
    await field.send("b")
    await field.send("a")
    assert field.waiting() == {"a": 2}
    assert await field.states() == [State.FILTERED, State.FAILED, State.FILTERED]


@pytest_twisted.ensureDeferred
async def test_no_tenant_fills_the_quarantine_of_another_one(field, monkeypatch):
    monkeypatch.setattr(module, "MOST_MESSAGES", 1)
    await field.open("quarantine")
    quarantine = field.quarantine
    quarantine.hold("acme", "a", "web", 1, 0)
    assert [quarantine.has_room(tenant, ["b"]) for tenant in ("acme", "other")] == [False, True]
    quarantine.settled("acme", "a", 1)
    assert quarantine.has_room("acme", ["b"])


@pytest_twisted.ensureDeferred
async def test_a_message_that_is_converted_again_while_it_waits_waits_once(field):
    await field.open("quarantine")
    await field.send("new")
    (message,) = await field.journal.messages("default", 0, 1)
    assert await field.pipeline.reprocess(message) is State.FILTERED
    assert field.waiting() == {"new": 1}


@pytest_twisted.ensureDeferred
async def test_a_device_that_nobody_knows_is_refused_and_its_next_messages_are_not_even_stored(field):
    await field.open("refuse")
    assert (await field.send("new", identity="i-1", remoteIp="192.0.2.1")).status is Status.REFUSED
    assert (await field.states(), field.delivered) == ([State.FAILED], [])
    assert await field.send("new", identity="i-1") == Answer(Status.REFUSED)
    assert len(await field.states()) == 1
    counts = field.sources[field.resource.id].counts
    assert (counts["failed"], counts["refused"]) == (1, 1)
    assert field.pipeline.status(field.resource.id)["refusals"] == {"device": 2}
    told = [each.message for each in field.events.emitted if each.type == "refused"]
    assert told[0] == "192.0.2.1: device 'new' is not known"
    await field.fleet.save("default", DeviceSpec(name="new"))
    assert (await field.send("new", identity="i-1")).status is Status.STORED
    assert field.delivered == ["new"]


@pytest_twisted.ensureDeferred
async def test_another_policy_looks_at_everybody_again(field):
    await field.open("refuse")
    await field.send("new", identity="i-1")
    body = {**field.resource.body, "unknownDevices": "create"}
    await field.registry.replace("datasource", field.resource.id, body)
    await field.pipeline.applied(field.resource.id)
    assert (await field.send("new", identity="i-1")).status is Status.STORED
    assert field.fleet.get("default", "new") is not None


@pytest_twisted.ensureDeferred
async def test_an_asset_is_no_device(field):
    await field.open("refuse")
    body = b'{"assetName":"house","attributes":{},"telemetry":[]}'
    made = (Output("house", "t", body),)
    strangers = field.pipeline._running[field.resource.id].conversions._strangers
    outcome = Outcome(1, State.CONVERTED, "c/1", made)
    assert strangers.judged(outcome, b"{}") is outcome


@pytest.mark.parametrize("is_released", [True, False])
@pytest_twisted.ensureDeferred
async def test_what_waits_of_a_deleted_datasource_is_let_go_of_for_good_and_that_is_said(field, is_released):
    await field.open("quarantine")
    await field.send("new")
    await field.registry.retire("datasource", field.resource.id, Deletion("drop"))
    await field.departures.end("datasource", field.resource.id, 20)
    if is_released:
        assert await field.releases.release("default", "new") == 0
        (event,) = [each for each in field.events.emitted if each.type == "device.released"]
        assert (event.severity, event.detail["lost"]) == ("warning", 1)
    else:
        assert await field.releases.drop("default", "new") == 1
    assert (field.waiting(), field.delivered) == ({}, [])
    await field.again()
    assert field.waiting() == {}


@pytest_twisted.ensureDeferred
async def test_what_waits_of_one_device_is_told_apart_by_the_datasource_that_it_came_by(field):
    await field.open("quarantine")
    quarantine, ours = field.quarantine, field.resource.id
    await field.send("a b")
    await field.send("a")
    quarantine.hold("default", "a", "another", 1000, 0)
    assert quarantine.came_by("default", ours) == {"a": 2, "b": 1}
    assert quarantine.came_by("default", "another") == {"a": 1}
    assert (quarantine.came_by("acme", ours), field.waiting()) == ({}, {"a": 3, "b": 1})
    quarantine.settled("default", "a", 1000)
    assert quarantine.came_by("default", "another") == {}
    await field.releases.release("default", "a")
    assert (quarantine.came_by("default", ours), field.delivered) == ({"b": 1}, ["a", "a"])


@pytest_twisted.ensureDeferred
async def test_a_datasource_that_is_drained_goes_only_when_nothing_of_it_waits_in_quarantine(field):
    await field.open("quarantine")
    await field.send("new")
    await field.registry.retire("datasource", field.resource.id, Deletion("drain"))
    assert await field.departures.end("datasource", field.resource.id, 1.5) is None
    await field.again()
    assert await field.departures.end("datasource", field.resource.id, 1.5) is None
    assert await field.releases.release("default", "new") == 1
    assert field.delivered == ["new"]
    assert await field.departures.end("datasource", field.resource.id, 20) is not None


@pytest_twisted.ensureDeferred
async def test_a_datasource_whose_messages_wait_in_quarantine_may_be_dropped_after_all(field):
    await field.open("quarantine")
    await field.send("new")
    await field.registry.retire("datasource", field.resource.id, Deletion("drain"))
    await field.registry.retire("datasource", field.resource.id, Deletion("drop"))
    assert await field.departures.end("datasource", field.resource.id, 20) is not None
