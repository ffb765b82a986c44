"""A datasource that reads from a real broker, with an intake that a test looks into; and a target of the same kind."""

from __future__ import annotations

import msgspec
from twisted.internet import reactor

from iotgw.connect.endpoint import Connector
from iotgw.core.specs import IntegrationSpec, RetrySpec
from iotgw.testing import FakeIntake, datasource_context, integration_context

from .delivering import until


class Reading:
    """The datasource; an async context manager."""

    def __init__(self, source_type, settings, connector=None, **context):
        type_ = source_type(reactor, connector or Connector(reactor))
        self.intake = FakeIntake()
        self.source = type_.build(
            msgspec.convert(settings, type_.settings), datasource_context(self.intake, reactor, **context)
        )

    async def __aenter__(self):
        await self.source.start()
        return self

    async def __aexit__(self, *exc):
        await self.source.stop()

    @property
    def payloads(self):
        return [payload for payload, _ in self.intake.received]

    def is_up(self):
        return self.source.status()["state"] == "connected"

    async def error(self):
        return await until(lambda: self.source.status().get("lastError"))


def quick(type):
    """The context of a target that tries again quickly."""
    spec = IntegrationSpec(name="out", type=type, retry=RetrySpec(initial=0.05, cap=0.5))
    return integration_context(spec, reactor)


def a_target(target_type, settings, connector=None):
    """A target of a type with these settings."""
    type_ = target_type(reactor, connector=connector or Connector(reactor))
    return type_.build(msgspec.convert(settings, type_.settings), quick(type_.name))


def name_of(request):
    """A test's name, as all brokers take it."""
    return "".join(each if each.isalnum() else "-" for each in request.node.name)[:70]
