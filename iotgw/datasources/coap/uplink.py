"""The resource ``/i/{routingKey}``: a CoAP request becomes an uplink, and the gateway's answer becomes the
response."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from functools import partial
from typing import Any

from iotgw.core.fixed_metadata import FixedMetadata
from iotgw.core.model import Answer, Downlink, Metadata, Status
from iotgw.core.ports.datasources import DatasourceContext
from iotgw.core.proof import proved_in
from iotgw.datasources import ttd
from iotgw.datasources.gathering import Gathering, Items
from iotgw.datasources.notices import Notices
from iotgw.datasources.secret_names import is_secret_parameter
from iotgw.envelopes.envelope import (
    PLAIN,
    Asked,
    Command,
    Envelope,
    Happened,
    Ignored,
    Malformed,
    Reading,
    Receipt,
)
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.message import Message, Options, error, options
from iotgw.wire.coap.site import ANY_SEGMENT, Attributes, Path, Resource
from iotgw.wire.coap.timing import Policy

STORED = Message(n.CHANGED)
TOO_LARGE = error(n.REQUEST_ENTITY_TOO_LARGE, "expected a smaller message")
UPLINKS = {"rt": "iotgw.uplink", "ct": ["0", "50", "60"]}
UNPROCESSABLE = 150
"""4.22 (RFC 8132 §3): well-formed, but the converter could not make sense of it."""
FORMAT_NUMBERS = {name.partition(";")[0]: number for number, name in n.CONTENT_FORMATS.items()}
DOWNLINK_FORMATS = {"JSON": n.JSON, "TEXT": n.TEXT_PLAIN, "BINARY": n.OCTET_STREAM}
KNOWN_OPTIONS = 4096
KNOWN_BYTES = 256
"""How many distinct option sets have their metadata cached, and the most bytes of one."""
KNOWN_PEERS = 10_000
"""Of how many peers the metadata is kept."""

_MAYBE_JSON = frozenset((None, n.TEXT_PLAIN, n.JSON, 110))
"""Content-Formats of what may be JSON; 110 is SenML."""
_TOLD_OTHERWISE = frozenset((n.URI_PATH, n.URI_QUERY, n.CONTENT_FORMAT, n.BLOCK1, n.BLOCK2, n.SIZE1))


class UplinkResource(Resource):
    """Takes uplinks by POST and PUT, and hands downlinks back.

    ``describe(remote)`` gives a peer's metadata; ``sent()`` is called after a reply that came outside of a
    datagram's handling. With ``confirm``, a downlink is a separate response that the device acknowledges.
    """

    methods = frozenset((n.POST, n.PUT))
    takes_rest = True
    downlinks: Resource | None = None
    """What answers GET, and can be observed."""
    envelope: Envelope | None = None
    """None takes the bytes as they are."""
    is_fixed = False
    """Whether it is at a path without a routing key; its metadata then has the whole path."""
    is_of_address = True
    """Whether a peer is its address, so that what `describe` says of it never changes."""
    is_without_path = False
    """Whether it takes the requests of modules that can't give a path."""
    longest_ttd: float = 0.0
    """Most seconds that a response is held back for a downlink."""

    def __init__(
        self,
        context: DatasourceContext,
        policy: Policy,
        describe: Callable[[Hashable], Metadata],
        sent: Callable[[], None],
        confirm: bool = True,
    ) -> None:
        self.policy = policy
        self._forgives_nul = "trailing-nul-after-json" in policy.lenient
        self._intake = context.intake
        self._date_ms = context.date_ms
        self._facts: Metadata = {"integrationName": context.name, "protocol": "coap"}
        self._describe = describe
        self._sent = sent
        self._confirm = confirm
        self._known: dict[tuple[Options, int, int], Metadata] = {}
        self._of_peers: dict[Hashable, tuple[Options, int, int, FixedMetadata]] = {}
        self.requests = 0
        """How many came here."""
        self._notices = Notices(context.intake, context.reactor, Counter())

    def render(self, request: Message, exchange: Exchange) -> None:
        """Hand the uplink to the gateway."""
        if request.code == n.GET and self.downlinks is not None:
            self.downlinks.render(request, exchange)
            return
        self.requests += 1
        if self.is_without_path:
            self.quirks["no-path"] += 1
        if self._forgives_nul and request.payload[-1:] == b"\0":
            request = self._without_nul(request)
        metadata = self._told(request, exchange)
        if self.envelope is not None:
            self._read(self.envelope, request, metadata, exchange)
        else:
            self._take(request.payload, metadata, exchange)

    def let_observe(self, downlinks: Resource) -> None:
        """Have GET answered by ``downlinks``, with Observe as well."""
        self.downlinks = downlinks
        self.methods |= {n.GET}

    def can_be_observed(self, request: Message) -> bool:
        """See `Resource.can_be_observed`."""
        return self.downlinks is not None

    def observed(self, request: Message, remote: Hashable, key: tuple[int, bytes]) -> None:
        """See `Resource.observed`."""
        if self.downlinks is not None:
            self.downlinks.observed(request, remote, key)

    def unobserved(self, key: tuple[int, bytes]) -> None:
        """See `Resource.unobserved`."""
        if self.downlinks is not None:
            self.downlinks.unobserved(key)

    def _without_nul(self, request: Message) -> Message:
        """A request without the NULs behind its JSON; another one as it is."""
        text = request.payload.rstrip(b"\0").strip()
        form = request.options.get_uint(n.CONTENT_FORMAT)
        if form not in _MAYBE_JSON or (text[:1], text[-1:]) not in ((b"{", b"}"), (b"[", b"]")):
            return request
        self.quirks["trailing-nul-after-json"] += 1
        return Message(request.code, text, request.options, request.type, request.mid, request.token)

    def _read(self, envelope: Envelope, request: Message, known: Metadata, exchange: Exchange) -> None:
        """Hand on what an envelope reads from a request. If any part is invalid or refused, nothing is handed
        on."""
        readings: list[Reading] = []
        notices: list[Receipt | Happened | Ignored | Asked] = []
        for event in envelope.read(request.payload, known, self._date_ms()):
            if isinstance(event, Malformed):
                self._intake.reject(event.data, {**event.facts, **known}, event.reason)
                exchange.reply(error(n.BAD_REQUEST, event.reason))
                return
            if isinstance(event, Reading):
                readings.append(event)
            else:
                notices.append(event)
        uplinks = [(reading, reading.metadata(known)) for reading in readings]
        for _, metadata in uplinks:
            if objection := self._objection(metadata):
                self._keep_refused(uplinks, exchange, objection)
                return
        receipts = [
            taken for notice in notices if (taken := self._notices.take(notice, proved_in(known))) is not None
        ]
        if len(uplinks) == 1 and not receipts:
            ((reading, metadata),) = uplinks
            self._take(reading.payload, metadata, exchange, reading.listens)
            return
        gathering = Gathering(partial(self._answer, exchange))
        for taken in receipts:
            gathering.wait_for(taken)
        for reading, metadata in uplinks:
            answered = gathering.expect(metadata.get("identity", ""))
            self._intake.receive(reading.payload, metadata, answered, 0, reading.listens)
        gathering.close()

    def _objection(self, metadata: Metadata) -> str:
        """Why a message may not go by the identity that its envelope says; empty if it may."""
        identity = metadata.get("identity")
        return self._intake.identity_objection(identity, proved_in(metadata)) if identity else ""

    def _keep_refused(
        self, uplinks: list[tuple[Reading, Metadata]], exchange: Exchange, objection: str
    ) -> None:
        """Tell a sender why it may not be this device. What it sent is stored, and ends as failed."""
        for reading, metadata in uplinks:
            self._intake.receive(reading.payload, metadata, _unheard, 0, listens=False)
        exchange.reply(error(n.UNAUTHORIZED, objection))

    def _take(self, payload: bytes, metadata: Metadata, exchange: Exchange, may_listen: bool = True) -> None:
        answered = partial(self._answered, exchange, metadata.get("identity", ""))
        if self.longest_ttd and may_listen and "query" in metadata:
            listens = ttd.seconds(ttd.in_query(metadata["query"]), self.longest_ttd)
            if listens:
                self._intake.receive_and_hold(payload, metadata, answered, listens)
                return
        self._intake.receive(payload, metadata, answered, 0, may_listen)

    def entries(self, path: Path) -> Iterator[tuple[Path, Attributes]]:
        """Discovery shows that there are uplinks, but never their routing keys."""
        if not self.is_fixed:
            yield path[:-1], UPLINKS
        elif ANY_SEGMENT not in path:
            yield path, UPLINKS

    def _told(self, request: Message, exchange: Exchange) -> Metadata:
        """The metadata of a request and of its peer. Most devices send the same options with each message, so that of a
        peer at an address is kept: for its latest options."""
        remote = exchange.peer.remote
        known = self._of_peers.get(remote)
        if (
            known is not None
            and known[0] is request.options
            and known[1] == request.code
            and known[2] == request.type
        ):
            return known[3]
        metadata = {**self._metadata(request, exchange), **self._describe(remote)}
        if not self.is_of_address or sum([len(value) for _, value in request.options]) > KNOWN_BYTES:
            return metadata
        if len(self._of_peers) >= KNOWN_PEERS:
            self._of_peers.clear()
        fixed = FixedMetadata(metadata)
        self._of_peers[remote] = request.options, request.code, request.type, fixed
        return fixed

    def _metadata(self, request: Message, exchange: Exchange) -> Metadata:
        """The metadata from the request's options. It is the same for all messages of a device, so it is
        cached."""
        key = request.options, request.code, request.type
        metadata = self._known.get(key)
        if metadata is None:
            path = request.options.path if self.is_fixed else exchange.rest
            metadata = {**self._facts, **facts(request, path)}
            if sum(len(value) for _, value in request.options) <= KNOWN_BYTES:
                if len(self._known) >= KNOWN_OPTIONS:
                    self._known.clear()
                self._known[key] = metadata
        return metadata

    def _answered(self, exchange: Exchange, identity: str, answer: Answer) -> None:
        if answer.status is Status.STORED and not answer.downlinks and answer.reply is None:
            exchange.reply(STORED)
            if exchange.acknowledged:
                self._sent()
        else:
            self._answer(exchange, answer, [(identity, item) for item in answer.downlinks])

    def _answer(self, exchange: Exchange, answer: Answer, items: Items) -> None:
        if answer.reply is not None:
            for _, item in items:  # they go with the next response
                self._intake.downlink_returned(item)
            form = options((n.CONTENT_FORMAT, DOWNLINK_FORMATS[answer.reply.content_type]))
            exchange.reply(Message(n.CHANGED, answer.reply.payload, form))
        elif items:
            self._reply_with(exchange, items)
        elif answer.status is Status.STORED:
            exchange.reply(STORED)
        elif answer.status is Status.BUSY:
            wait = max(1, round(answer.retry_after))
            code, why = (
                (n.TOO_MANY_REQUESTS, "beyond a limit")
                if answer.is_limited
                else (n.SERVICE_UNAVAILABLE, "the gateway is full")
            )
            exchange.reply(error(code, why, (n.MAX_AGE, wait)))
        elif answer.status is Status.TOO_LARGE:
            exchange.reply(TOO_LARGE)
        elif answer.status is Status.REFUSED:
            exchange.reply(error(n.FORBIDDEN, "nobody knows this device"))
        else:
            exchange.reply(error(UNPROCESSABLE, "stored, but its converter failed"))
        if exchange.acknowledged:
            self._sent()

    def _reply_with(self, exchange: Exchange, items: Items) -> None:
        envelope = self.envelope or PLAIN
        load = envelope.load(items)
        for item, reason in load.unfit:
            self._intake.downlink_lost(item, reason)
        settled = {item.id for item, _ in load.unfit} | {item.id for item in load.carried}
        for _, item in items:
            if item.id not in settled:
                self._intake.downlink_lost(item, "a CoAP response carries one downlink")
        if load.command is None:
            exchange.reply(STORED)
            return
        # A block-wise response is confirmed by the request for its next block. Besides, some clients can't
        # assign a block once their request has been acknowledged.
        if self._confirm and len(load.command.payload) <= exchange.policy.block_size:
            exchange.acknowledge()
        for item in load.carried:
            self._intake.downlink_offered(item) if envelope.offers else self._intake.downlink_sent(item)
        exchange.reply(
            message(load.command, load.carried[0]),
            partial(self._delivered, () if envelope.offers else load.carried),
            partial(self._lost, load.carried),
        )

    def _delivered(self, items: tuple[Downlink, ...]) -> None:
        for item in items:
            self._intake.downlink_delivered(item)

    def _lost(self, items: tuple[Downlink, ...], reason: str) -> None:
        for item in items:
            self._intake.downlink_lost(item, reason)


def message(command: Command, item: Downlink) -> Message:
    """The response that carries an item's command. A media type without a Content-Format number is left out."""
    if command.content_type is None:
        number: int | None = content_format(item)
    else:
        number = FORMAT_NUMBERS.get(command.content_type.partition(";")[0])
    forms = () if number is None else ((n.CONTENT_FORMAT, number),)
    return Message(n.CHANGED, command.payload, options(*forms))


def content_format(downlink: Downlink) -> int:
    """The Content-Format of a downlink: its metadata's ``contentFormat``, or its content type's."""
    given = downlink.metadata.get("contentFormat")
    return (
        given if isinstance(given, int) and 0 <= given <= 0xFFFF else DOWNLINK_FORMATS[downlink.content_type]
    )


def facts(request: Message, path: Path) -> Metadata:
    """The metadata of a request: method, ``path``, query, content format, options."""
    found: Metadata = {
        "method": n.METHOD_NAMES.get(request.code, n.dotted(request.code)),
        "type": n.TYPE_NAMES[request.type],
    }
    opts = request.options
    if path:
        found["path"] = "/".join(path)
    if opts.queries:
        query = [_argument(text) for text in opts.queries]
        found["query"] = {name: value for name, value in query if not is_secret_parameter(name)}
    number = opts.get_uint(n.CONTENT_FORMAT)
    if number is not None:
        found["contentFormat"] = number
        if number in n.CONTENT_FORMATS:
            found["contentType"] = n.CONTENT_FORMATS[number]
    others: dict[str, Any] = {}
    for option, value in opts:
        if option not in _TOLD_OTHERWISE:
            form = n.OPTIONS.get(option)
            if form and not form.shortest <= len(value) <= form.longest:
                form = None  # an option of a wrong length counts as unknown (RFC 7252 §5.4.3)
            others[form.name if form else str(option)] = _shown(form.kind if form else "opaque", value)
    if others:
        found["options"] = others
    return found


def _argument(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _shown(kind: str, value: bytes) -> Any:
    if kind == "uint":
        return int.from_bytes(value, "big")
    return value.decode("utf-8", "replace") if kind == "string" else value.hex()


def _unheard(answer: Answer) -> None:
    """The gateway's answer to an uplink whose sender has been told something else."""
