"""`/integration-presets`: the targets that many have, and the integration that is made of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct

from iotgw.api.auth import Permission
from iotgw.api.catalogue import Page
from iotgw.api.routes import Call, Route
from iotgw.core.errors import NotFound
from iotgw.core.target_presets import Question, TargetPreset


class PresetView(Struct, frozen=True):
    """A preset, and what it asks."""

    name: Annotated[str, Meta(description="Its name, as `iotgwctl integration add` takes it.")]
    title: Annotated[str, Meta(description="What people read in a list.")]
    about: Annotated[str, Meta(description="What it does, in a sentence.")]
    type: Annotated[str, Meta(description="The type of integration that it makes.")]
    ask: Annotated[list[Question], Meta(description="What is to be said about the target.")]
    unverified: Annotated[
        str, Meta(description="What was not tried with the real system; empty where all was.")
    ]


class PresetAnswers(Struct, frozen=True, forbid_unknown_fields=True):
    """The new integration's name, and the answers by the names of the questions."""

    name: Annotated[str, Meta(description="The new integration's name.")]
    answers: Annotated[dict[str, str], Meta(description="The answers, by the names of the questions.")] = {}


class TargetPresetRoutes:
    """The routes of presets."""

    def __init__(self, presets: Mapping[str, TargetPreset]) -> None:
        self._presets = presets

    def routes(self) -> list[Route]:
        """List them, and fill one in."""
        one = "/integration-presets/<name>"
        return [
            Route("GET", "/integration-presets", Permission.READ, self.list, "List the presets of targets", answer=Page),
            Route("GET", one, Permission.READ, self.read, "Read a preset and what it asks", answer=PresetView),
            Route(
                "POST", one, Permission.READ, self.fill, "Make an integration's spec of a preset; it isn't saved",
                PresetAnswers, dict,
            ),
        ]  # fmt: skip

    async def list(self, call: Call) -> Page:
        """All, by name."""
        return Page([self._view(name) for name in self._presets])

    async def read(self, call: Call, name: str) -> PresetView:
        """One of them."""
        return self._view(name)

    async def fill(self, call: Call, name: str) -> dict[str, Any]:
        """The spec to be sent to `/integrations`."""
        body = call.body()
        return self._find(name).spec(body.name, body.answers)

    def _find(self, name: str) -> TargetPreset:
        if name not in self._presets:
            raise NotFound(f"no preset {name!r}; there are {', '.join(self._presets)}")
        return self._presets[name]

    def _view(self, name: str) -> PresetView:
        preset = self._find(name)
        return PresetView(name, preset.title, preset.about, preset.type, preset.ask, preset.unverified)
