"""What is known of an integration to which this process delivers, or another node."""

from __future__ import annotations

from msgspec import Struct

from iotgw.core.ports.integrations import IIntegration, Tell
from iotgw.core.specs import IntegrationSpec
from iotgw.delivery.outbox import Outbox
from iotgw.delivery.route import RecordRoute
from iotgw.delivery.standing import Standing


class Running(Struct):
    """An integration and its parts."""

    name: str
    tenant: str
    spec: IntegrationSpec
    tell: Tell
    route: RecordRoute
    outbox: Outbox
    target: IIntegration | None = None
    warnings: list[str] = []
    """What its target says that a user should know."""

    @property
    def standing(self) -> Standing:
        """What tells of its deliveries."""
        return self.outbox.standing


class Elsewhere(Struct, frozen=True):
    """An integration to which another node delivers, also what is in this partition."""

    name: str
    route: RecordRoute
