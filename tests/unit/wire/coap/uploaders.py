"""Clients that send bodies in blocks, many at a time from one address, each block after the answer to the last."""

from __future__ import annotations

import itertools

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.blockwise import Block
from iotgw.wire.coap.message import decode, encode, options, uri_options

TAGS, ONE_TOKEN, CHANGING_TOKENS = "a Request-Tag each", "a token each", "a token per block"
RETRANSMIT = 2.0


class Upload:
    """One body: ``code`` is that of the response to the whole, or of the error that ended it."""

    def __init__(self, number, body, szx, kind, minds_size=True):
        self.body = body
        self.szx = szx
        self.kind = kind
        self.minds_size = minds_size
        self.name = b"%d" % number
        self.begin()

    def begin(self):
        self.block = None
        self.data = None  # the datagram whose answer is awaited
        self.token = b""
        self.mid = None
        self.code = None
        self._szx = self.szx
        self._offset = 0

    @property
    def can_send(self):
        return self.code is None and self.data is None

    def next(self, mid, token):
        """The datagram with its next block."""
        end = self._offset + (16 << self._szx)
        self.block = Block(self._offset >> (self._szx + 4), end < len(self.body), self._szx)
        self.mid = mid
        if self.kind == CHANGING_TOKENS or not self.token:
            self.token = token
        self.data = self.again(mid)
        return self.data

    def again(self, mid):
        """That block under another Message ID."""
        block = self.block
        pairs = [(n.REQUEST_TAG, self.name)] if self.kind == TAGS else []
        opts = options(*uri_options("i"), (n.BLOCK1, block.value), *pairs)
        payload = self.body[block.offset : block.offset + block.size]
        return encode(n.CON, n.POST, mid, self.token, opts, payload)

    def take(self, answer):
        """An answer with its token."""
        if self.data is None:
            return
        told = Block.of(answer.options, n.BLOCK1)
        if answer.code != n.CONTINUE:
            self.code = answer.code
            self.data = None
        elif told.number == self.block.number:
            self._offset = self.block.offset + self.block.size
            if self.minds_size:
                self._szx = min(self._szx, told.szx)
            self.data = None


class Uploaders:
    """The uploads of one address on a network in its own time. What is refused begins anew after a while."""

    def __init__(self, network, name, uploads):
        self.uploads = uploads
        self._send = network.sender(name)
        self._random = network.random
        self._mids = itertools.count(self._random.randrange(0x10000))
        self._tokens = itertools.count(1)
        self._due = {upload: network.now + self._random.random() for upload in uploads}
        network.endpoints[name] = self

    def poll(self, now):
        for upload, due in self._due.items():
            if due <= now:
                if upload.code is not None:
                    upload.begin()
                if upload.can_send:
                    upload.next(next(self._mids) & 0xFFFF, b"%d" % next(self._tokens))
                self._send(upload.data, "server")
                self._due[upload] = now + RETRANSMIT * (1 + self._random.random())
        return min((due for due in self._due.values()), default=None)

    def datagram(self, data, source, now):
        answer = decode(data)
        if answer.type == n.CON:
            self._send(encode(n.ACK, n.EMPTY, answer.mid), source)
        for upload in list(self._due):
            if not answer.code and answer.mid == upload.mid:
                if upload.data is not None:
                    self._due[upload] = now + 100  # it will be answered
            elif answer.code and answer.token == upload.token and upload.data is not None:
                upload.take(answer)
                if upload.data is None:
                    self._due[upload] = now + self._random.random() / 5
                if upload.code == n.CHANGED:
                    del self._due[upload]
                elif upload.code is not None:
                    self._due[upload] = now + 10 + 50 * self._random.random()
