"""What the log says of the datasources when the gateway has started: where a fresh one's devices send to, and which listeners
take what anybody sends."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from iotgw.app.ordered import PartService
from iotgw.app.parts import Gateway
from iotgw.core.urls import urls

WHERE = "docs/datasources/index.md, Who may send"
MOST = 20
"""Datasources that are named; the others are counted."""


class StartReport(PartService):
    """The last part to start. ``url()`` is the API's; ``is_first()`` says whether the datasources were made just now."""

    _log = Logger()

    def __init__(self, gateway: Gateway, url: Callable[[], str], is_first: Callable[[], bool]) -> None:
        super().__init__("start-report", self._say)
        self._gateway = gateway
        self._url = url
        self._is_first = is_first

    def _say(self) -> None:
        if self._is_first():
            self._say_where()
        self._say_who_is_open()

    def _say_where(self) -> None:
        pipeline = self._gateway.pipeline
        for resource in self._gateway.registry.list("datasource"):
            if found := urls(pipeline.status(resource.id), self._url()):
                self._log.info(
                    "devices of datasource {name} send to {urls}", name=resource.name, urls=", ".join(found)
                )

    def _say_who_is_open(self) -> None:
        found = self._gateway.pipeline.open_to_all()
        for source, reason in found[:MOST]:
            assert source.datasource is not None
            self._log.warn(
                "datasource {name} takes what anybody sends to {address}: {reason}. Name the networks of its devices in "
                "allow, or see {where}",
                name=source.spec.name,
                address=source.datasource.status().get("address", ""),
                reason=reason,
                where=WHERE,
            )
        if len(found) > MOST:
            self._log.warn("so do {count} more datasources", count=len(found) - MOST)
