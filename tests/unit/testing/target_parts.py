"""The parts that stand before a target."""

from iotgw import testing
from iotgw.core.epochs import Epochs
from iotgw.core.specs import IntegrationSpec
from iotgw.delivery.accepted_parts import AcceptedParts
from iotgw.delivery.parted_target import PartedTarget
from iotgw.delivery.shared_target import Share, SharedTargets


def targets_around_others():
    """One of each."""
    return [parted_target(), shared_target()]


def parted_target():
    """A target around another."""
    clock = testing.ThreadClock()
    type_ = testing.FakeIntegrationType()
    target = type_.build(type_.settings(), testing.integration_context())
    return PartedTarget(target, "value", ["telemetry"], AcceptedParts("", "value", clock), str, clock)


def shared_target():
    """A partition's share of a target."""
    type_, targets, epochs = testing.FakeIntegrationType(), SharedTargets(), Epochs("own")
    targets.epochs = epochs
    targets.make = lambda *which: type_.build(type_.settings(), testing.integration_context())
    share = Share(1, epochs, lambda *said, **more: None, lambda: None, lambda text: None)
    return targets.join("id", "name", "default", IntegrationSpec(name="name", type="any", single=True), share)
