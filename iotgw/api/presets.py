"""`/presets`: the platforms that datasources know by name."""

from __future__ import annotations

from iotgw.api.auth import Permission
from iotgw.api.catalogue import Page
from iotgw.api.routes import Call, Route
from iotgw.core.ports.datasources import IDatasourceType, IHasPresets
from iotgw.core.types import Types


class PresetRoutes:
    """The route of presets, from all ``types`` that have some."""

    def __init__(self, types: Types[IDatasourceType]) -> None:
        self._types = types

    def routes(self) -> list[Route]:
        """List them."""
        about = "The platforms that a datasource's `preset` may name"
        return [Route("GET", "/presets", Permission.READ, self.list, about, answer=Page, of_tenant=False)]

    async def list(self, call: Call) -> Page:
        """All of them."""
        having = [IHasPresets(each) for each in self._types if IHasPresets.providedBy(each)]
        return Page([about for type_ in having for about in type_.presets()])
