"""What older versions stored as plain text is encrypted at the start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from iotgw.app.parts import DATASOURCES, INTEGRATIONS
from iotgw.app.sealing import seal_what_is_plain
from iotgw.connect.endpoint import Connector
from iotgw.core.secrets import revealed
from iotgw.core.specs import Deletion, Resource
from iotgw.core.types import Types
from iotgw.integrations.http_settings import HttpSettings
from iotgw.store.sqlite.registry import Registry
from iotgw.testing import ThreadClock

OLDER = {"url": "https://h/p?token=hush1", "headers": {"Authorization": "Bearer hush2"}}


class World:
    """A registry on a disk, and the types of a gateway."""

    def __init__(self, data_dir: Path) -> None:
        from twisted.internet import reactor

        connector = Connector(reactor)  # type: ignore[arg-type]
        self.types: dict[str, Types[Any]] = {
            "datasource": Types("iotgw.none", reactor, DATASOURCES, connector),  # type: ignore[arg-type]
            "integration": Types("iotgw.none", reactor, INTEGRATIONS, connector),  # type: ignore[arg-type]
        }
        self.data_dir = data_dir
        self.clock = ThreadClock()
        self.start()

    def start(self) -> None:
        self.registry = Registry(self.clock, self.data_dir)
        self.clock.wait(self.registry.start())

    def stop(self) -> None:
        self.clock.wait(self.registry.stop())

    def add(self, name: str, type_: str, configuration: dict[str, Any]) -> Resource:
        body = {"type": type_, "configuration": configuration}
        return self.clock.wait(self.registry.create("integration", "default", name, body))

    def seal(self) -> None:
        self.clock.wait(seal_what_is_plain(self.registry, self.types))

    def body(self, name: str) -> dict[str, Any]:
        return self.registry.get("integration", name).body

    def files(self) -> bytes:
        return b"".join(path.read_bytes() for path in self.data_dir.glob("registry.db*"))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.stop()


def test_plain_secrets_are_sealed_and_gone_from_the_disk(world: World) -> None:
    world.add("older", "http", OLDER)
    world.stop()
    assert b"hush1" in world.files()
    world.start()
    world.seal()
    assert b"hush" not in world.files()
    assert revealed(world.body("older")["configuration"], HttpSettings, world.registry.unseal) == OLDER


def test_what_is_sealed_stays_as_it_is(world: World) -> None:
    world.add("older", "http", OLDER)
    world.seal()
    sealed = world.registry.get("integration", "older")
    world.seal()
    assert world.registry.get("integration", "older") == sealed


def test_a_type_that_is_not_installed_is_left_alone(world: World) -> None:
    made = world.add("foreign", "acme", OLDER)
    world.seal()
    assert world.registry.get("integration", "foreign") == made


def test_sealing_makes_no_revision_and_does_not_stop_at_one_that_is_being_deleted(world: World) -> None:
    made = world.add("older", "http", OLDER)
    world.clock.wait(world.registry.retire("integration", made.id, Deletion("drain")))
    world.seal()
    assert world.registry.get("integration", "older").revision == 2
    assert b"hush" not in world.files()
    assert revealed(world.body("older")["configuration"], HttpSettings, world.registry.unseal) == OLDER
