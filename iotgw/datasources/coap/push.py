"""Downlinks that are pushed to a device that listens, and what its answers mean."""

from __future__ import annotations

import base64
from collections.abc import Hashable, Mapping
from functools import partial

from iotgw.core.model import Downlink, Metadata
from iotgw.core.ports.intake import IIntake
from iotgw.datasources.coap.port import CoapPort
from iotgw.datasources.coap.uplink import facts
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import Message, options
from iotgw.wire.coap.pending import Unanswered
from iotgw.wire.coap.refusals import is_final
from iotgw.wire.coap.site import Path
from iotgw.wire.coap.timing import Policy

MAX_RESULT = 16_384
"""Bytes of an answer's payload that are kept with its item: items are in memory, and many may be answered at a time."""
MAX_OPTIONS = 1_024
"""Bytes of an answer's options that are kept."""
MAX_REASON = 200
"""Characters of a diagnostic payload in an item's reason."""


def push(
    port: CoapPort,
    intake: IIntake,
    policy: Policy,
    path: Path,
    query: Mapping[str, str],
    remote: Hashable,
    downlink: Downlink,
    content: Message,
) -> None:
    """Send a downlink to a peer as a confirmable POST to ``path`` with ``query``, and tell the intake what
    became of it. ``content`` is the response that would carry it."""
    where: list[tuple[int, str | int]] = [(n.URI_PATH, segment) for segment in path]
    where += [(n.URI_QUERY, f"{name}={value}") for name, value in query.items()]
    form = content.options.get_uint(n.CONTENT_FORMAT)
    if form is not None:
        where.append((n.CONTENT_FORMAT, form))
    port.endpoint.request(
        Message(n.POST, content.payload, options(*where)),
        remote,
        partial(_answered, intake, downlink),
        partial(_unanswered, intake, downlink),
        policy,
        partial(intake.downlink_sent, downlink),
    )
    port.sent()


def _answered(intake: IIntake, downlink: Downlink, response: Message, missing: str = "") -> None:
    result = described(response, missing)
    if response.code < n.BAD_REQUEST:
        intake.downlink_delivered(downlink, result=result)
        return
    reason = f"the device answered {n.dotted(response.code)}"
    if response.payload and response.options.get_uint(n.CONTENT_FORMAT) in (None, n.TEXT_PLAIN):
        reason += f": {response.payload.decode('utf-8', 'replace')[:MAX_REASON]}"
    if is_final(response.code):
        intake.downlink_refused(downlink, reason, result)
    else:
        intake.downlink_lost(downlink, reason, result)


def _unanswered(intake: IIntake, downlink: Downlink, unanswered: Unanswered) -> None:
    if unanswered.first is not None:  # the device has acted on it, though the rest of its answer is missing
        _answered(intake, downlink, unanswered.first, unanswered.reason)
    elif unanswered.was_sent:
        intake.downlink_lost(downlink, unanswered.reason)
    else:
        intake.downlink_returned(downlink)


def described(response: Message, missing: str = "") -> Metadata:
    """A response as the result of an item: code, Content-Format, options, and the payload in base64.

    ``size`` is there when the payload is cut, ``missing`` when not all of it came: the reason.
    """
    found: Metadata = {"code": n.dotted(response.code)}
    if sum(len(value) for _, value in response.options) <= MAX_OPTIONS:
        found.update(facts(response, ()))
        del found["method"], found["type"]
    found["payload"] = base64.b64encode(response.payload[:MAX_RESULT]).decode()
    if len(response.payload) > MAX_RESULT:
        found["size"] = len(response.payload)
    if missing:
        found["missing"] = missing
    return found
