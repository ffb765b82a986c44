"""``acme-hook``: messages by PUT to a path of the API's listener."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct
from twisted.internet.defer import Deferred, succeed
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from iotgw.extension import (
    Answer,
    DatasourceContext,
    HttpMount,
    HttpMounts,
    IDatasource,
    INeeds,
    IReactor,
    Need,
    Status,
)


class AcmeHookSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of an ``acme-hook`` datasource."""

    path: Annotated[str, Meta(min_length=1, description="Path of the listener, such as `acme/hook`.")]


def segments(settings: AcmeHookSettings) -> tuple[str, ...]:
    return tuple(settings.path.strip("/").split("/"))


@implementer(INeeds)
class AcmeHookType:
    """The ``acme-hook`` datasources of a gateway."""

    name = "acme-hook"
    settings = AcmeHookSettings

    def __init__(self, reactor: IReactor) -> None:
        pass

    def build(self, settings: AcmeHookSettings, context: DatasourceContext) -> IDatasource:
        return AcmeHook(settings, context)

    def needs(self, settings: AcmeHookSettings, context: DatasourceContext) -> Sequence[Need]:
        return [HttpMount(segments(settings))]


@implementer(IDatasource)
class AcmeHook(Resource):
    """One path, with all below it."""

    isLeaf = True

    def __init__(self, settings: AcmeHookSettings, context: DatasourceContext) -> None:
        super().__init__()
        self._settings = settings
        self._context = context

    def start(self) -> Deferred[None]:
        self._unmount = self._context.shared(HttpMounts).add(segments(self._settings), self)
        return succeed(None)

    def stop(self) -> Deferred[None]:
        self._unmount()
        return succeed(None)

    def status(self) -> dict:
        return {"state": "listening", "address": self._settings.path}

    def render_PUT(self, request: Request) -> int:
        def answered(answer: Answer) -> None:
            request.setResponseCode(202 if answer.status is Status.STORED else 503)
            request.finish()

        rest = b"/".join(request.postpath).decode("utf-8", "replace")
        self._context.intake.receive(request.content.read(), {"path": rest}, answered, listens=False)
        return NOT_DONE_YET
