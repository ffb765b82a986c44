"""What scripts keep of their devices, in the registry."""

from typing import Any

from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from iotgw.converters.state import KIND, MAX_AGE, SWEEP, WRITE_BEHIND, RegistryStates, device_of
from iotgw.core.errors import NotFound
from iotgw.core.specs import Resource
from iotgw.store.sqlite.registry import Registry as StoredRegistry


class Registry:
    """As much of `IRegistry` as states need, in memory."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.resources: dict[str, Resource] = {}
        self.slow: Deferred[None] | None = None
        self.writes = 0

    def list(self, kind: str) -> list[Resource]:
        return list(self.resources.values())

    def get(self, kind: str, name: str, tenant: str) -> Resource:
        for resource in self.resources.values():
            if (resource.kind, resource.name, resource.tenant) == (kind, name, tenant):
                return resource
        raise NotFound(name)

    def _put(self, id: str, tenant: str, name: str, body: dict[str, Any]) -> Deferred[Any]:
        self.writes += 1

        def write(_: object) -> None:
            now = int(self.clock.seconds() * 1000)
            self.resources[id] = Resource(KIND, id, tenant, name, 1, now, now, body)

        return (self.slow or succeed(None)).addCallback(write)

    def create(self, kind: str, tenant: str, name: str, body: dict[str, Any]) -> Deferred[Any]:
        return self._put(f"id-{tenant}-{name}", tenant, name, body)

    def replace(self, kind: str, id: str, body: dict[str, Any]) -> Deferred[Any]:
        return self._put(id, self.resources[id].tenant, self.resources[id].name, body)

    def delete(self, kind: str, id: str) -> Deferred[Any]:
        del self.resources[id]
        return succeed(None)


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
    assert {r.name for r in registry.resources.values()} >= {"c/d", "c/e", "c/f"} and len(
        registry.resources
    ) <= 4
    clock.advance(MAX_AGE + SWEEP)
    states.put("t", "c", "g", b"{}")
    clock.advance(WRITE_BEHIND)
    assert [r.name for r in registry.resources.values()] == ["c/g"]


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
