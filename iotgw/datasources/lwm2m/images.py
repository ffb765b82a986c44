"""Images that devices fetch: each by an address that only the device was told, over CoAP or HTTP.

A device fetches from another port than it registered from, so its address says nothing of who asks; the secret in the path does.
Blocks are read from the disk as they are asked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from msgspec import Struct
from twisted.protocols.basic import FileSender
from twisted.web.resource import Resource as WebResource
from twisted.web.server import NOT_DONE_YET, Request

from iotgw.core.ports.firmware import Image
from iotgw.datasources.http.request import problem
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.blockwise import Block, szx_of
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.message import Message, error, options
from iotgw.wire.coap.site import Resource
from iotgw.wire.coap.timing import Policy

PLACE = "fw"
"""The segment below which images are, on CoAP's ports and on the listener of the API."""
Fetched = Callable[[int], None]
"""Called with how many bytes of an image its device has."""


class ImageBytes:
    """The bytes of an image, read from the disk as they are needed. Raises OSError when it is gone."""

    def __init__(self, image: Image) -> None:
        self._size = image.size
        self._descriptor = os.open(image.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice, /) -> bytes:
        start, stop, _ = part.indices(self._size)
        return os.pread(self._descriptor, max(0, stop - start), start)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


class ImageOffer(Struct, eq=False):
    """An image for one device."""

    image: Image
    content: ImageBytes
    fetched: Fetched
    is_over: bool = False


class Offers:
    """The images that may be fetched now, by the secrets in their addresses."""

    def __init__(self) -> None:
        self._offers: dict[str, ImageOffer] = {}

    def find(self, link: str) -> ImageOffer | None:
        """What a secret stands for."""
        return self._offers.get(link)

    def add(self, link: str, image: Image, fetched: Fetched) -> None:
        """ImageOffer an image. Raises OSError when it is gone."""
        self.remove(link)
        self._offers[link] = ImageOffer(image, ImageBytes(image), fetched)

    def remove(self, link: str) -> None:
        """ImageOffer it no longer."""
        offer = self._offers.pop(link, None)
        if offer is not None:
            offer.is_over = True
            offer.content.close()

    def clear(self) -> None:
        """ImageOffer nothing any more."""
        for link in [*self._offers]:
            self.remove(link)


class ImageResource(Resource):
    """``GET /fw/{secret}``: an image in blocks (RFC 7959 §2.4)."""

    takes_rest = True

    def __init__(self, offers: Offers, policy: Policy) -> None:
        self._offers = offers
        self.policy = policy

    def render(self, request: Message, exchange: Exchange) -> None:
        """See `Resource.render`: one block, read from the disk."""
        offer = self._offers.find(exchange.rest[0]) if len(exchange.rest) == 1 else None
        if offer is None:
            exchange.reply(Message(n.NOT_FOUND))
            return
        wanted = Block.of(request.options, n.BLOCK2) or Block(0, False, 6)
        szx = min(szx_of(exchange.policy.block_size), wanted.szx)
        offset, size = wanted.offset, offer.image.size
        if offset >= size:
            exchange.reply(error(n.BAD_REQUEST, f"the image has {size} bytes"))
            return
        end = min(size, offset + (16 << szx))
        block = Block(offset >> (szx + 4), end < size, szx)
        pairs = (
            (n.CONTENT_FORMAT, n.OCTET_STREAM),
            (n.ETAG, bytes.fromhex(offer.image.sha256[:16])),
            (n.BLOCK2, block.value),
            (n.SIZE2, size),
        )
        exchange.reply(Message(n.CONTENT, offer.content[offset:end], options(*pairs)))
        offer.fetched(end)


class ImageMount(WebResource):
    """``GET {mount}/{secret}``: an image as a whole, or the ranges of it that are asked for."""

    isLeaf = True

    def __init__(self, offers: Offers) -> None:
        super().__init__()
        self._offers = offers

    def render(self, request: Request) -> bytes | int:
        """Send it, or say that there is none."""
        rest = request.postpath or []
        offer = self._offers.find(rest[0].decode("utf-8", "replace")) if len(rest) == 1 else None
        if offer is None:
            return problem(request, 404, "there is no such image")
        if request.method not in (b"GET", b"HEAD"):
            return problem(request, 405, "expected GET")
        size = offer.image.size
        start, end = _range(request, size)
        if start >= end:
            request.setHeader(b"content-range", b"bytes */%d" % size)
            return problem(request, 416, f"the image has {size} bytes")
        if (start, end) != (0, size):
            request.setResponseCode(206)
            request.setHeader(b"content-range", b"bytes %d-%d/%d" % (start, end - 1, size))
        request.setHeader(b"content-type", b"application/octet-stream")
        request.setHeader(b"content-length", b"%d" % (end - start))
        request.setHeader(b"accept-ranges", b"bytes")
        request.setHeader(b"etag", b'"%s"' % offer.image.sha256[:16].encode())
        if request.method == b"HEAD":
            return b""
        part = _Part(offer, start, end)

        def sent(_: object) -> None:
            if part.is_whole:
                request.finish()
            else:  # so that the device doesn't take it for whole, nor wait for the rest
                request.loseConnection()

        FileSender().beginFileTransfer(part, request).addCallbacks(
            sent, lambda _: None
        )  # the device went away
        return NOT_DONE_YET


class _Part:
    """A range of an image as a file that can be read once."""

    def __init__(self, offer: ImageOffer, start: int, end: int) -> None:
        self._offer = offer
        self._at = start
        self._end = end

    @property
    def is_whole(self) -> bool:
        """Whether all of it was read."""
        return self._at >= self._end

    def read(self, size: int) -> bytes:
        """The next bytes; none at the end, when the image isn't offered any more, or when its file is shorter than it was."""
        if self._offer.is_over:
            return b""
        part = self._offer.content[self._at : min(self._at + size, self._end)]
        self._at += len(part)
        if part:
            self._offer.fetched(self._at)
        return part


def _range(request: Request, size: int) -> tuple[int, int]:
    """The bytes that are asked for: from, and up to but without (RFC 9110 §14.1.2). Ranges that aren't understood are all of it."""
    said: bytes = request.getHeader(b"range") or b""
    wanted = re.fullmatch(rb"bytes=([0-9]{1,15})-([0-9]{0,15})", said.strip())
    if wanted is None:
        return 0, size
    last = int(wanted[2]) if wanted[2] else size - 1
    return int(wanted[1]), min(size, last + 1)
