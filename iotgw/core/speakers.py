"""The rule of who may speak for a device, where there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zope.interface import implementer

from iotgw.core.model import Output
from iotgw.core.ports.speakers import ISpeakers
from iotgw.core.proof import Proved


@implementer(ISpeakers)
class Anybody:
    """Anybody may speak for any device."""

    def objection(self, tenant: str, datasource: str, device: str, proved: Proved = "") -> str:
        """See `ISpeakers.objection`."""
        return ""

    def taking_objection(self, tenant: str, datasource: str, device: str, proved: Proved = "") -> str:
        """See `ISpeakers.taking_objection`."""
        return self.objection(tenant, datasource, device, proved)

    def identity_objection(self, tenant: str, datasource: str, identity: str, proved: Proved = "") -> str:
        """See `ISpeakers.identity_objection`."""
        return ""

    def has_credentials(self, tenant: str) -> bool:
        """See `ISpeakers.has_credentials`."""
        return False

    def familiar(self, tenant: str, datasource: str) -> Callable[[str], bool] | None:
        """See `ISpeakers.familiar`."""
        return None

    def heard(self, tenant: str, datasource: str, outputs: Sequence[Output], proved: Proved = "") -> None:
        """See `ISpeakers.heard`."""
