"""What modules in the field get wrong, and what they meant: forgiven where a resource's policy allows it.

A request is read as the RFC says first. Only where that leads nowhere exact is it read as a quirk has it, and only a
resource that forgives all the quirks of that reading gets it. Each is counted by the resource.
"""

from __future__ import annotations

from typing import Literal, get_args

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.message import Message, Options
from iotgw.wire.coap.site import Path, Resource, Site
from iotgw.wire.coap.uploads import Uploads

Quirk = Literal[
    "slashes-in-path",
    "leading-slash",
    "trailing-nul-in-path",
    "path-in-first-block",
    "format-in-first-block",
    "no-path",
    "trailing-nul-after-json",
]
QUIRKS: tuple[Quirk, ...] = get_args(Quirk)

Found = tuple[Resource, Path] | None


def mend(request: Message, exchange: Exchange, site: Site, uploads: Uploads) -> tuple[Message, Found]:
    """What an odd request means: a request with the options that it should have, and what is at its path."""
    opts = request.options
    found = site.find(opts.path)
    if opts.mended is not None and (found is None or found[1]):
        mended, quirks = opts.mended
        request, found = _forgive(request, mended, quirks, site, found)
    opts = request.options
    if (opts.get_uint(n.BLOCK1) or 0) >> 4:
        possible = {}
        for upload in uploads.of(exchange):
            mended, quirks = completed(opts, upload.first)
            if mended.cache_key == upload.first.cache_key and quirks <= upload.lenient:
                possible[mended] = quirks
        if len(possible) == 1 and opts not in possible:
            ((mended, quirks),) = possible.items()
            request, found = _forgive(request, mended, quirks, site, found)
    return request, found


def _forgive(
    request: Message, mended: Options, quirks: frozenset[str], site: Site, found: Found
) -> tuple[Message, Found]:
    meant = site.find(mended.path)
    if meant is None or not quirks <= meant[0].policy.lenient:
        return request, found
    for quirk in quirks:
        meant[0].quirks[quirk] += 1
    return Message(request.code, request.payload, mended, request.type, request.mid, request.token), meant


def completed(opts: Options, first: Options) -> tuple[Options, frozenset[str]]:
    """The options of a further block with those that only the first block has, and the quirks that this takes."""
    quirks: set[str] = set()
    added: list[tuple[int, bytes]] = []
    if not opts.path and first.path:
        quirks.add("path-in-first-block")
        numbers = {n.URI_PATH} if opts.queries else {n.URI_PATH, n.URI_QUERY}
        added += [pair for pair in first if pair[0] in numbers]
    if opts.get(n.CONTENT_FORMAT) is None and first.get(n.CONTENT_FORMAT) is not None:
        quirks.add("format-in-first-block")
        added += [pair for pair in first if pair[0] == n.CONTENT_FORMAT]
    return opts.replaced(*added), frozenset(quirks)
