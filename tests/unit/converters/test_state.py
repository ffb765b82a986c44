"""What scripts keep of their devices, in the registry."""

from typing import Any

from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from iotgw.converters.state import KIND, MAX_AGE, SWEEP, WRITE_BEHIND, RegistryStates, device_of
from iotgw.store.sqlite.registry import Registry as StoredRegistry
from iotgw.testing import MemoryRegistry
from iotgw.testing.reactor import clock
from tests.unit.jumps import Jumps


class Registry(MemoryRegistry):
    """Counts what is saved; while ``slow`` is a Deferred, that is there when it fires."""

    slow: Deferred[None] | None = None
    writes = 0

    def create(self, *what: Any) -> Deferred[Any]:
        return self._later(super().create, *what)

    def replace(self, *what: Any) -> Deferred[Any]:
        return self._later(super().replace, *what)

    def _later(self, save: Any, *what: Any) -> Deferred[Any]:
        self.writes += 1
        return (self.slow or succeed(None)).addCallback(lambda _: save(*what))


def test_changes_are_written_behind_and_the_last_one_wins():
    clock = Clock()
    registry = Registry(clock)
    states = RegistryStates(clock, registry)
    for count in range(5):
        states.put("t", "c", "d", b'{"n":%d}' % count)
    assert states.get("t", "c", "d") == b'{"n":4}' and registry.writes == 0
    clock.advance(WRITE_BEHIND)
    assert registry.writes == 1 and states.get("t", "c", "d") == b'{"n":4}'
    assert states.get("t", "c", "other") == states.get("u", "c", "d") == b""


def test_a_state_can_be_read_while_it_is_being_written():
    clock = Clock()
    registry = Registry(clock)
    registry.slow = Deferred()
    states = RegistryStates(clock, registry)
    states.put("t", "c", "d", b'{"n":1}')
    clock.advance(WRITE_BEHIND)
    states.put("t", "c", "d", b'{"n":2}')
    clock.advance(WRITE_BEHIND)
    assert states.get("t", "c", "d") == b'{"n":2}'
    slow, registry.slow = registry.slow, None
    slow.callback(None)
    assert registry.get(KIND, "c/d", "t").body == {"n": 2}


def test_stopping_writes_what_is_not_written():
    clock = Clock()
    registry = Registry(clock)
    states = RegistryStates(clock, registry)
    states.put("t", "c", "d", b'{"n":1}')
    states.stop()
    assert registry.get(KIND, "c/d", "t").body == {"n": 1} and not clock.getDelayedCalls()


def test_old_states_and_the_oldest_of_too_many_are_dropped():
    clock = Clock()
    registry = Registry(clock)
    states = RegistryStates(clock, registry, limit=3)
    for device in "abcde":
        states.put("t", "c", device, b"{}")
        clock.advance(WRITE_BEHIND)
    clock.advance(SWEEP)
    states.put("t", "c", "f", b"{}")
    clock.advance(WRITE_BEHIND)
    names = {resource.name for resource in registry.list(KIND)}
    assert names >= {"c/d", "c/e", "c/f"} and len(names) <= 4
    clock.advance(MAX_AGE + SWEEP)
    states.put("t", "c", "g", b"{}")
    clock.advance(WRITE_BEHIND)
    assert [resource.name for resource in registry.list(KIND)] == ["c/g"]


def test_a_state_from_before_the_clock_was_right_is_not_old():
    time = clock()
    jumps = Jumps(time)
    right = jumps.to_1970()
    registry = Registry(jumps.calendar)
    states = RegistryStates(time, registry, calendar=jumps.calendar)
    states.put("t", "c", "a", b"{}")
    time.advance(WRITE_BEHIND)
    jumps.jump(right)
    time.advance(SWEEP)
    states.put("t", "c", "b", b"{}")
    time.advance(WRITE_BEHIND)
    assert {resource.name for resource in registry.list(KIND)} == {"c/a", "c/b"}


@ensureDeferred
async def test_states_outlive_the_process_in_the_real_registry(tmp_path):
    for expected in (b"", b'{"properties":{"a":1}}'):
        registry = StoredRegistry(reactor, tmp_path)
        await registry.start()
        states = RegistryStates(reactor, registry)
        assert states.get("t", "bundled:a/b", "d") == expected
        states.put("t", "bundled:a/b", "d", b'{"properties":{"a":1}}')
        await states.stop()
        await registry.stop()


def test_a_device_is_known_by_its_metadata():
    assert device_of(b'{"imei":861059067551436,"x":[1]}') == "861059067551436"
    assert device_of(b'{"deviceName":"d","imei":"5"}') == "d"
    assert device_of(b"[1]") == device_of(b"{}") == device_of(b'{"imei":[]}') == ""
