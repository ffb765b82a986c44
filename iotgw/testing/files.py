"""The operator's files, in memory."""

from __future__ import annotations

from collections.abc import Collection

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from iotgw.core.model import DEFAULT_TENANT
from iotgw.core.ports.files import IOperatorFiles


@implementer(IOperatorFiles)
class MemoryFiles:
    """``put`` what a tenant's directory holds."""

    def __init__(self) -> None:
        self._contents: dict[tuple[str, str], bytes] = {}

    def put(self, name: str, content: bytes, tenant: str = DEFAULT_TENANT) -> None:
        """Keep a file, in the place of an earlier one."""
        self._contents[tenant, name] = content

    def read(self, tenant: str, names: Collection[str]) -> Deferred[dict[str, bytes]]:
        """See `IOperatorFiles.read`."""
        return succeed(
            {name: self._contents[tenant, name] for name in names if (tenant, name) in self._contents}
        )
