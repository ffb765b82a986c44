"""What reads the requests of one connection: Twisted's channel, but a head that is none, or is too long, gets an answer that its sender sees."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from iotgw.api.problems import Problem

LONGEST_LENGTH = 64
"""Bytes of a header's line that says a body's length."""
PATIENCE = 5.0
"""Seconds in which the sender of a refused head should have closed the connection."""
DRAIN = 16 << 20
"""Bytes behind what was refused that are read and dropped, so that a client reads the answer instead of a reset."""
_REQUEST_LINE = re.compile(rb"[A-Za-z]+ ")


class ApiChannel(HTTPChannel):
    """The requests of one connection."""

    site: Any
    _is_gone = False
    _dropped = -1
    """Bytes that came since a head was refused; -1 before that."""

    def headerReceived(self, line: bytes) -> bool:
        """See `HTTPChannel.headerReceived`. A length of more digits than `int` takes is refused, where Twisted raises."""
        if len(line) > LONGEST_LENGTH and line.partition(b":")[0].lower() == b"content-length":
            self._respondToBadRequestAndDisconnect()
            return False
        return bool(super().headerReceived(line))  # type: ignore[no-untyped-call]

    def requestDone(self, request: Any) -> None:
        """See `HTTPChannel.requestDone`. What was sent behind a request without waiting for its answer has its turn after everybody else."""
        super().requestDone(request)  # type: ignore[no-untyped-call]
        if self._buffer and not self.paused and self.persistent:
            self.paused = True
            self._networkProducer.pauseProducing()
            self.site.reactor.callLater(0, self._go_on)

    def _go_on(self) -> None:
        self.paused = False
        if self._is_gone:
            return
        if not self._waitingForTransport:
            self._networkProducer.resumeProducing()
        self.dataReceived(b"")  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See `HTTPChannel.connectionLost`."""
        self._is_gone = True
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def lineLengthExceeded(self, line: bytes) -> None:
        """See `LineReceiver.lineLengthExceeded`."""
        is_target = _REQUEST_LINE.match(line) is not None
        what = "a target and query" if is_target else "a header"
        status = 414 if is_target else 431  # RFC 9110 §15.5.15, RFC 6585 §5
        self.refuse(Problem(status, f"expected {what} of at most {self.MAX_LENGTH} bytes"))

    def _respondToBadRequestAndDisconnect(self) -> None:
        """See `HTTPChannel`: for whatever else is wrong with a head, or with a body in chunks."""
        size, count = self.totalHeadersSize, self.maxHeaders
        if self._receivedHeaderSize > size or self._receivedHeaderCount > count:
            self.refuse(Problem(431, f"expected at most {count} headers of at most {size} bytes in all"))
        else:
            self.refuse(Problem(400, "expected a request of HTTP/1.1"))

    def rawDataReceived(self, data: bytes) -> None:
        """See `HTTPChannel.rawDataReceived`."""
        if self._dropped < 0:
            super().rawDataReceived(data)
            return
        self._dropped += len(data)
        if self._dropped - len(data) <= DRAIN < self._dropped:
            self.loseConnection()  # type: ignore[no-untyped-call]

    @property
    def is_refused(self) -> bool:
        """Whether what comes is dropped."""
        return self._dropped >= 0

    def refuse(self, problem: Problem, reads: bool = True) -> None:
        """Answer, and drop what comes until the sender closes the connection; or read no more of it, and close the connection after a while."""
        if self._dropped >= 0:
            return
        transport: Any = self.transport
        body, phrase = problem.body(), HTTPStatus(problem.status).phrase
        head = f"HTTP/1.1 {problem.status} {phrase}\r\nContent-Type: application/problem+json\r\n"
        transport.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        self._dropped = 0
        self.setTimeout(PATIENCE)  # type: ignore[no-untyped-call]
        self.setRawMode()  # type: ignore[no-untyped-call]
        if not reads:
            self._networkProducer.pauseProducing()
