"""A bootstrap server of LwM2M (Core 1.1.1 §6.1): devices that know nobody else ask it where their server is, and with which key."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from msgspec import structs
from twisted.internet.defer import Deferred, gatherResults, succeed
from zope.interface import implementer

from iotgw.core.model import Metadata
from iotgw.core.names import unfit
from iotgw.core.needs import CoapPath, Need
from iotgw.core.numbers import whole
from iotgw.core.pem import Files, content
from iotgw.core.ports.datasources import (
    DatasourceContext,
    IChecksAddresses,
    IDatasource,
    IListens,
    INeeds,
)
from iotgw.core.ports.reactor import IReactor
from iotgw.core.wildcards import matcher
from iotgw.datasources.coap.datasource import describe_udp, ports_of
from iotgw.datasources.coap.downlink import proved_by
from iotgw.datasources.coap.port import CoapPort, address_of
from iotgw.datasources.coap.ports import CoapPorts, CoapShare
from iotgw.datasources.coap.secure_port import CoapsPort, describe_session
from iotgw.datasources.lwm2m import shaping
from iotgw.datasources.lwm2m.bootstrap_settings import BootstrapSettings, ServerAccount
from iotgw.datasources.lwm2m.registering import replying
from iotgw.datasources.lwm2m.registration import LONGEST_NAME
from iotgw.datasources.openness import unproved
from iotgw.datasources.sampling import SampledEvents
from iotgw.dtls.issuing import Issuer, der_of
from iotgw.dtls.session import DtlsSession
from iotgw.dtls.settings import DtlsSettings
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.message import Message, error
from iotgw.wire.coap.pending import Unanswered
from iotgw.wire.coap.site import Path as CoapSegments
from iotgw.wire.coap.site import Resource, parse_path
from iotgw.wire.lwm2m import bootstrap, links
from iotgw.wire.lwm2m.bootstrap import Account
from iotgw.wire.lwm2m.values import CodecError

MOST = 1000
"""Devices that are served at a time; others are told to come back (5.03)."""
WITHIN = 120.0
"""Seconds that a device may take for one answer."""
BUSY = error(n.SERVICE_UNAVAILABLE, "the gateway is full", (n.MAX_AGE, 30))
NAME = "lwm2m-bootstrap"


class NotAdmitted(Exception):
    """Why a device gets nothing, in words for its owner."""


@implementer(INeeds, IChecksAddresses, IListens)
class BootstrapType:
    """The ``lwm2m-bootstrap`` datasources of a gateway."""

    name = NAME
    settings = BootstrapSettings

    def __init__(self, reactor: IReactor) -> None:
        self._reactor = reactor

    def build(self, settings: BootstrapSettings, context: DatasourceContext) -> BootstrapDatasource:
        """See `IDatasourceType.build`."""
        return BootstrapDatasource(settings, context)

    def open_to_all(self, settings: BootstrapSettings, context: DatasourceContext) -> str:
        """See `IListens.open_to_all`."""
        return "" if settings.security_mode == "DTLS" else unproved(settings.interface)

    def needs(self, settings: BootstrapSettings, context: DatasourceContext) -> list[Need]:
        """See `INeeds.needs`."""
        ports = ports_of(settings.coap)
        path = (*parse_path(settings.path), "bs")
        paths = [
            CoapPath(port.interface, port.port, port.protocol, path)
            for port in ports
            if hasattr(port, "protocol")
        ]
        return [*ports, *paths]


class Bs(Resource):
    """``POST /bs?ep=…&pct=…`` (Bootstrap-Request)."""

    methods = frozenset((n.POST,))

    def __init__(self, source: BootstrapDatasource, port: CoapPort) -> None:
        self._source = source
        self._port = port
        self.policy = source.settings.coap.policy

    def render(self, request: Message, exchange: Exchange) -> None:
        """See `Resource.render`: it is answered at once, and then written to."""
        reply = replying(exchange, self._port.sent)
        given = dict(reversed([query.partition("=")[::2] for query in request.options.queries]))
        try:
            serving = self._source.admit(self._port, exchange.remote, given)
        except NotAdmitted as objection:
            self._source.context.intake.refuse("identity", address_of(exchange.remote), str(objection))
            reply(error(n.FORBIDDEN, str(objection)))
            return
        except CodecError as flaw:
            reply(error(n.BAD_REQUEST, str(flaw)))
            return
        if serving is None:
            reply(BUSY)
            return
        reply(Message(n.CHANGED))
        serving.begin()


class Serving:
    """One device being told of its servers, step by step."""

    def __init__(
        self,
        source: BootstrapDatasource,
        port: CoapPort,
        remote: Hashable,
        endpoint: str,
        accounts: list[Account],
        form: int,
    ) -> None:
        self._source = source
        self._port = port
        self._remote = remote
        self.endpoint = endpoint
        self._accounts = accounts
        self._form = form
        self._policy = structs.replace(source.settings.coap.policy, proves=True)
        self._steps: list[tuple[str, Message]] = []
        self.is_over = False

    def begin(self) -> None:
        """Ask which objects it has; a device of 1.0 need not answer that."""
        self._send(bootstrap.discover(), self._discovered, lambda unanswered: self._plan(set()))

    def _discovered(self, response: Message) -> None:
        taken: set[int] = set()
        if response.code == n.CONTENT:
            try:
                taken = {*links.objects_of(links.parse(response.payload)).instances.get(0, [])}
            except CodecError:
                taken = {0}
        self._plan(taken)

    def _plan(self, taken: set[int]) -> None:
        removals = [
            (f"removal of /{id}", bootstrap.delete(id)) for id in (bootstrap.SECURITY, bootstrap.SERVER)
        ]
        self._steps = [
            *removals,
            *bootstrap.writes(self._accounts, taken | {0}, self._form),
            ("finish", bootstrap.finish()),
        ]
        self._advance()

    def _advance(self) -> None:
        if not self._steps:
            self.is_over = True
            self._source.served(self, self._remote, "")
            return
        what, message = self._steps.pop(0)
        self._send(
            message, partial(self._answered, what), lambda unanswered: self._failed(f"{what}: {unanswered}")
        )

    def _answered(self, what: str, response: Message) -> None:
        is_missing = response.code == n.NOT_FOUND and what.startswith("removal")
        if response.code < n.BAD_REQUEST or is_missing:
            self._advance()
            return
        reason = f"{what}: the device answered {n.dotted(response.code)}"
        if response.payload:
            reason += f" {response.payload.decode('utf-8', 'replace')[:200]}"
        self._failed(reason)

    def _failed(self, reason: str) -> None:
        self.is_over = True
        self._source.served(self, self._remote, reason)

    def _send(
        self, message: Message, done: Callable[[Message], None], failed: Callable[[Unanswered], None]
    ) -> None:
        def unless_over(call: Callable[[Any], None], outcome: Any) -> None:
            if not self.is_over:
                call(outcome)

        self._port.endpoint.request(
            message, self._remote, partial(unless_over, done), partial(unless_over, failed), self._policy,
            within=WITHIN,
        )  # fmt: skip
        self._port.sent()


@implementer(IDatasource)
class BootstrapDatasource:
    """A bootstrap server, on ports of its own."""

    def __init__(self, settings: BootstrapSettings, context: DatasourceContext) -> None:
        self.settings = settings
        self.context = context
        self._path: CoapSegments = parse_path(settings.path)
        self._fits = [matcher(each.endpoints or ["*"]) for each in settings.profiles]
        self._shares: list[CoapShare] = []
        self._serving: dict[str, Serving] = {}
        self._files: Files = {}
        self._troubles = SampledEvents(context.reactor, context.intake, "lwm2m.not-bootstrapped")
        self._done = self._failed = 0
        if settings.security_mode != "NO_SECURE":
            context.intake.proves = True

    # --- IDatasource

    def start(self) -> Deferred[None]:
        """See `IDatasource.start`."""
        is_secure = self.settings.security_mode != "NO_SECURE"
        wanted = [*self.settings.files, *(self.settings.dtls.files if is_secure else [])]
        return self.context.read_files(wanted).addCallback(self._open_all)

    def _open_all(self, files: Files) -> None:
        self._files = files
        mode = self.settings.security_mode
        try:
            if mode != "DTLS":
                self._open(None, {})
            if mode != "NO_SECURE":
                self._open(self.settings.dtls, files)
        except Exception:
            self.stop()
            raise

    def _open(self, dtls: DtlsSettings | None, files: Files) -> None:
        settings = self.settings
        number = settings.port if dtls is None else settings.secure_port
        share = self.context.shared(CoapPorts).open(self.context, settings.interface, number, dtls, files)
        self._shares.append(share)
        share.serve({(*self._path, "bs"): Bs(self, share.port)}, settings.coap.transmission)

    def stop(self) -> Deferred[Any]:
        """See `IDatasource.stop`."""
        for serving in self._serving.values():
            serving.is_over = True
        self._serving.clear()
        shares, self._shares = self._shares, []
        return (
            gatherResults([share.close() for share in shares], consumeErrors=True)
            if shares
            else succeed(None)
        )

    def status(self) -> dict[str, Any]:
        """See `IDatasource.status`."""
        if not self._shares:
            return {"state": "stopped"}
        found: dict[str, Any] = {"state": "listening"}
        addresses = []
        for share in self._shares:
            scheme = "coaps" if isinstance(share.port, CoapsPort) else "coap"
            host, number = share.port.address[:2]
            addresses.append(f"{scheme}: udp {host}:{number}, /{'/'.join((*self._path, 'bs'))}")
            found[f"{scheme}Port"] = share.port.statistics()
        counts = {"underWay": len(self._serving), "bootstrapped": self._done, "notBootstrapped": self._failed}
        return {**found, "address": "; ".join(addresses), **counts}

    # --- who gets what

    def admit(self, port: CoapPort, remote: Hashable, given: dict[str, str]) -> Serving | None:
        """What a device is to be told; None while too many are under way. Raises `NotAdmitted` and `CodecError`."""
        endpoint = given.get("ep", "")
        if len(endpoint) > LONGEST_NAME or unfit(endpoint):
            raise CodecError("ep: expected a name without control characters")
        endpoint, device = self._name(remote, endpoint)
        if not endpoint:
            raise CodecError("ep: expected an endpoint name")
        former = self._serving.pop(endpoint, None)
        if former is not None:
            former.is_over = True  # it asks again: it didn't hear the rest
        if len(self._serving) >= MOST:
            return None
        profile = next(
            (each for each, fits in zip(self.settings.profiles, self._fits, strict=True) if fits(endpoint)),
            None,
        )
        if profile is None:
            raise NotAdmitted(f"no profile has servers for {endpoint!r}")
        accounts = [self._account(server, remote, endpoint, device) for server in profile.servers]
        form = bootstrap.format_for(whole(given.get("pct", ""), 0, 65535))
        serving = self._serving[endpoint] = Serving(self, port, remote, endpoint, accounts, form)
        return serving

    def _name(self, remote: Hashable, endpoint: str) -> tuple[str, str]:
        """The endpoint's name and its device's."""
        proved = proved_by(remote)
        if isinstance(remote, DtlsSession) and proved:
            endpoint = endpoint or proved
            if endpoint in (proved, remote.identity.name):
                return endpoint, proved
            if self.settings.endpoint_is == "identity":
                raise NotAdmitted(f"endpoint {endpoint!r} is not {proved!r}, which its sender proved to be")
        objection = self.context.intake.identity_objection(endpoint, proved) if endpoint else ""
        if objection:
            raise NotAdmitted(objection)
        return endpoint, endpoint

    def _account(self, server: ServerAccount, remote: Hashable, endpoint: str, device: str) -> Account:
        given = {
            "uri": server.uri, "short_id": server.short_server_id, "mode": server.mode, "lifetime": server.lifetime,
            "binding": server.binding,
        }  # fmt: skip
        if server.mode == "none":
            return Account(**given)  # type: ignore[arg-type]
        if not isinstance(remote, DtlsSession):
            raise NotAdmitted(f"{endpoint!r} asks over plain CoAP, and keys are given over DTLS only")
        if server.mode == "psk":
            found = self.context.credentials.of(self.context.tenant).account(device, remote.identity.name)
            if found is None:
                raise NotAdmitted(f"device {device!r} has no credential with a key")
            return Account(**given, identity=found[0].encode(), key=found[1])  # type: ignore[arg-type]
        issuer = self.settings.issuer
        assert issuer is not None
        try:
            certificate, key = (content(text, self._files) for text in self.settings.issued_by)
            now = datetime.fromtimestamp(self.context.date_ms() / 1000, UTC)
            mine, secret = Issuer(certificate, key).issue(endpoint, issuer.days, now)
            theirs = der_of(content(server.server_certificate, self._files))
        except ValueError as flaw:
            raise NotAdmitted(f"no certificate can be issued: {flaw}") from flaw
        return Account(**given, identity=mine, key=secret, server=theirs)  # type: ignore[arg-type]

    # --- what became of it

    def served(self, serving: Serving, remote: Hashable, problem: str) -> None:
        """A device has been told of its servers, or why not."""
        if self._serving.get(serving.endpoint) is serving:
            del self._serving[serving.endpoint]
        if problem:
            self._failed += 1
            self._troubles.note(serving.endpoint, f"{serving.endpoint}: {problem}")
        else:
            self._done += 1
        now = self.context.date_ms()
        kind = "not-bootstrapped" if problem else "bootstrapped"
        body = {
            "endpoint": serving.endpoint,
            "kind": kind,
            "ts": now,
            "attributes": {"lwm2mBootstrappedAt": now},
        }
        if problem:
            body = {"endpoint": serving.endpoint, "kind": kind, "ts": now, "text": problem}
        self.context.intake.receive(
            shaping.encode(body), self._facts(serving, remote, kind), lambda answer: None, 0, listens=False
        )

    def _facts(self, serving: Serving, remote: Hashable, kind: str) -> Metadata:
        found: Metadata = {
            "integrationName": self.context.name, "endpoint": serving.endpoint, "deviceName": serving.endpoint,
            "deviceType": "lwm2m", "kind": kind, "identity": serving.endpoint,
        }  # fmt: skip
        found.update(describe_session(remote) if isinstance(remote, DtlsSession) else describe_udp(remote))
        found["protocol"] = "lwm2m"
        return found
