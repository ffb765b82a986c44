"""Who is silent, whose battery is low, and when that is over."""

import msgspec
import pytest
from twisted.internet.task import Clock

from iotgw.core.device_entry import HealthSpec
from iotgw.devices.watching import MOST, DeviceWatch, Rules, Watching


class World:
    def __init__(self):
        self.clock = Clock()
        self.told = []
        self.watching = Watching(self.clock, lambda: 1_000 + int(self.clock.seconds()), self.tell)
        self.watching.start()

    def tell(self, watch, what, is_wrong, value):
        self.told.append((watch.name, what, is_wrong, value))

    def watch(self, name="d", tenant="default", **settings):
        rules = Rules.of([HealthSpec(**settings)])
        watch = DeviceWatch(tenant, name, rules, self.clock.seconds())
        self.watching.begin(watch)
        return watch

    def wait(self, seconds):
        self.clock.pump([1.0] * seconds)

    def heard(self, watch, *points, at=None, **attributes):
        telemetry = [{"ts": ts, "values": values} for ts, values in points]
        body = {"deviceName": watch.name, "attributes": attributes, "telemetry": telemetry}
        self.watching.heard(watch, msgspec.json.encode(body), self.clock.seconds() if at is None else at)


@pytest.fixture
def world():
    return World()


def test_a_device_that_is_not_heard_in_time_is_silent_once_and_back_once(world):
    watch = world.watch(report_every=60)
    world.wait(59)
    assert world.told == []
    world.wait(300)
    assert world.told == [("d", "silent", True, None)]
    assert watch.silent_ms == 1_060
    world.heard(watch)
    world.heard(watch)
    assert world.told[1:] == [("d", "silent", False, None)]
    assert watch.silent_ms == 0
    world.wait(60)
    assert world.told[2:] == [("d", "silent", True, None)]


def test_a_message_of_before_that_is_converted_again_is_no_sign_of_life_and_has_old_readings(world):
    watch = world.watch(report_every=60, battery_below=20)
    world.wait(50)
    world.heard(watch, (1, {"battery": 90}))
    world.wait(100)
    assert world.told == [("d", "silent", True, None)]
    world.heard(watch, (1, {"battery": 5}), at=10)
    assert (world.told[1:], watch.heard) == ([], 50)
    world.heard(watch, (1, {"battery": 15}), at=140)  # converted late, and its device is not overdue since
    assert world.told[1:] == [("d", "silent", False, None), ("d", "battery", True, 15)]
    world.wait(50)
    assert world.told[3:] == [("d", "silent", True, None)]


def test_a_device_that_reports_in_time_is_never_silent(world):
    watch = world.watch(report_every=60)
    for _ in range(10):
        world.wait(50)
        world.heard(watch)
    assert world.told == []


def test_a_device_stands_in_the_heap_once_however_often_it_reports(world):
    watch = world.watch(report_every=60)
    for _ in range(1000):
        world.heard(watch)
    assert len(world.watching._due) == 1


def test_many_that_become_silent_at_once_are_told_some_at_a_time(world):
    for number in range(MOST + 100):
        world.watch(f"d{number}", report_every=10)
    world.wait(10)
    assert len(world.told) == MOST
    world.wait(1)
    assert len(world.told) == MOST + 100


def test_a_longer_period_ends_the_silence_of_who_was_heard_within_it(world):
    watch = world.watch(report_every=60)
    world.wait(70)
    world.watching.change(watch, Rules(every=100.0))
    assert world.told == [("d", "silent", True, None), ("d", "silent", False, None)]
    world.wait(30)
    assert world.told[2:] == [("d", "silent", True, None)]


def test_a_shorter_period_counts_from_when_the_device_was_heard(world):
    watch = world.watch(report_every=3600)
    world.wait(100)
    world.watching.change(watch, Rules(every=60.0))
    world.wait(1)
    assert world.told == [("d", "silent", True, None)]


def test_nobody_waits_any_more_for_a_device_without_a_period(world):
    watch = world.watch(report_every=60, battery_below=20)
    world.wait(60)
    world.watching.change(watch, Rules.of([HealthSpec(battery_below=20)]))
    world.wait(600)
    assert world.told == [("d", "silent", True, None), ("d", "silent", False, None)]


def test_a_device_that_is_gone_is_not_told_of(world):
    watch = world.watch(report_every=60)
    world.watching.end(watch)
    world.wait(600)
    assert world.told == []


def test_troubles_are_counted_for_each_tenant(world):
    one, other = world.watch("a", "acme", report_every=5), world.watch("b", "bolt", report_every=5)
    world.wait(5)
    troubled = world.watching.troubled
    assert (troubled["acme"]["silent"], troubled["bolt"]["silent"]) == ({"a"}, {"b"})
    world.heard(one)
    world.watching.end(other)
    assert (troubled["acme"]["silent"], troubled["bolt"]["silent"]) == (set(), set())


def test_a_battery_is_low_below_its_threshold_and_well_again_a_little_above_it(world):
    watch = world.watch(battery_below=20)
    for value in (50, 20, 19.9, 19, 20.5, 21):
        world.heard(watch, (1, {"battery": value}))
    assert world.told == [("d", "battery", True, 19.9), ("d", "battery", False, 21.0)]


def test_a_signal_is_negative_and_weak_below_its_threshold(world):
    watch = world.watch(signal_below=-110)
    for value in (-90, -111, -107, -104):
        world.heard(watch, (1, {"rssi": value}))
    assert world.told == [("d", "signal", True, -111.0), ("d", "signal", False, -104.0)]


def test_the_latest_reading_of_a_message_counts(world):
    watch = world.watch(battery_below=20)
    world.heard(watch, (9, {"battery": 10}), (5, {"battery": 90}))
    assert world.told == [("d", "battery", True, 10.0)]


def test_a_named_key_counts_and_no_other(world):
    watch = world.watch(battery_below=3.3, battery_key="vbat")
    world.heard(watch, (1, {"battery": 1}))
    assert world.told == []
    world.heard(watch, vbat=3.1)
    assert world.told == [("d", "battery", True, 3.1)]


@pytest.mark.parametrize("value", ["low", None, True, [1], {"v": 1}])
def test_what_is_no_number_says_nothing(world, value):
    watch = world.watch(battery_below=20)
    world.heard(watch, (1, {"battery": value}))
    assert world.told == []


def test_a_body_of_another_form_is_a_sign_of_life_only(world):
    watch = world.watch(report_every=5, battery_below=20)
    world.wait(5)
    world.watching.heard(watch, b'{"telemetry": "?"}', world.clock.seconds())
    assert world.told[1:] == [("d", "silent", False, None)]


def test_what_is_said_of_the_device_goes_before_its_type_and_its_groups(world):
    own, type_, group = (
        HealthSpec(report_every=5),
        HealthSpec(report_every=6, battery_below=1),
        HealthSpec(signal_below=2),
    )
    rules = Rules.of([own, type_, group])
    assert (rules.every, rules.battery.below, rules.signal.below) == (5, 1, 2)
    assert Rules.of([HealthSpec(report_every=0), HealthSpec(report_every=6)]) is None
    assert Rules.of([HealthSpec(), HealthSpec(battery_key="x")]) is None
