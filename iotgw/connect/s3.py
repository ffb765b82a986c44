"""One bucket of S3, or of what speaks like it (MinIO, Ceph, …): objects go there, come back, are listed and deleted.

Source: Amazon S3 API Reference. Requests are signed as `iotgw.wire.sigv4` says, bodies included, and answers are read, off the reactor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import treq
from msgspec import Struct
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool
from twisted.web.http_headers import Headers

from iotgw import __version__
from iotgw.connect.aws import check_region
from iotgw.connect.endpoint import in_words
from iotgw.connect.http_auth import OneWay
from iotgw.connect.tls import ClientTls
from iotgw.core.destination import origin
from iotgw.core.errors import ProtocolError, SettingsError, Unavailable
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.reactor import IReactor
from iotgw.core.redaction import hidden
from iotgw.wire.s3_xml import MOST_BYTES, completion, leaves
from iotgw.wire.sigv4 import AwsScope, signature_headers

CONNECT_TIMEOUT = 10.0
LATER = frozenset({429, 500, 502, 503, 504})
"""Statuses that may pass (S3's "Error responses": InternalError, SlowDown, …)."""
PAUSES = (1.0, 3.0, 9.0)
"""Seconds before a request that failed is sent again."""
LARGEST_ANSWER = MOST_BYTES
LARGEST_REFUSAL = 16 << 10
"""Bytes of an error's body that are looked at."""
LONGEST_REASON = 300
MOST_PAGES = 1000
MOST_KEYS = 100_000
"""Of a listing, about. A backup is a dozen objects."""
LONGEST_KEY = 1024
"""S3's own limit, in bytes."""
LONGEST_TOKEN = 4096
"""Characters of what says where a listing goes on."""
InThread = Callable[..., Deferred[Any]]


class S3Access(Struct, frozen=True, kw_only=True):
    """Where a bucket is, and who we are there. An empty ``endpoint`` is AWS's; at others the bucket is part of the path."""

    bucket: str
    region: str
    access_key_id: str
    secret_access_key: str
    session_token: str = ""
    endpoint: str = ""
    ca: str = ""
    proxy: str = ""
    timeout: float = 60.0


class S3Refused(Unavailable):
    """The service refused a request; ``code`` is its own name for why."""

    def __init__(self, text: str, status: int, code: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


class S3Bucket:
    """A bucket. ``in_thread(function, *args)`` runs what takes long; ``date()`` is in seconds since 1970. Each coroutine raises Unavailable.
    Raises SettingsError."""

    def __init__(
        self,
        reactor: IReactor,
        connector: IConnector,
        access: S3Access,
        in_thread: InThread,
        date: Callable[[], float],
    ) -> None:
        if not access.access_key_id or not access.secret_access_key:
            raise SettingsError("access-key-id", "expected access-key-id and secret-access-key")
        for name in ("bucket", "region", "access_key_id", "session_token"):
            if not getattr(access, name).isprintable():
                raise SettingsError(name.replace("_", "-"), "expected printable characters", True)
        self._access = access
        self._scope = AwsScope(
            access.access_key_id, access.secret_access_key, access.session_token, access.region, "s3"
        )
        url = access.endpoint.rstrip("/") or self._at_aws()
        scheme, host, port = origin(url, "endpoint")
        self._netloc = urlsplit(url).netloc
        self._base = urlsplit(url).path
        if access.endpoint or "." in access.bucket:
            self._base += f"/{quote(access.bucket, safe='')}"
        self._url = f"{scheme}://{self._netloc}"
        tls = ClientTls(ca=access.ca) if scheme == "https" else None
        way = connector.endpoint(host, port, CONNECT_TIMEOUT, tls, "ca", access.proxy)
        self._pool = HTTPConnectionPool(reactor)
        self._http = HTTPClient(Agent.usingEndpointFactory(reactor, OneWay(way), self._pool))
        self._reactor = reactor
        self._in_thread = in_thread
        self._date = date

    def _at_aws(self) -> str:
        try:
            check_region(self._access.region)
        except ValueError as error:
            raise SettingsError("region", str(error).partition(": ")[2]) from error
        end = ".cn" if self._access.region.startswith("cn-") else ""
        host = f"s3.{self._access.region}.amazonaws.com{end}"
        # a certificate's wildcard has no dots
        return f"https://{host}" if "." in self._access.bucket else f"https://{self._access.bucket}.{host}"

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.closeCachedConnections()

    # --- objects ---

    async def put(self, key: str, body: bytes) -> None:
        """Store an object in one go (PutObject)."""
        await self._call("PUT", key, body=body)

    async def delete(self, key: str) -> None:
        """Delete an object; one that is not there is none (DeleteObject)."""
        await self._call("DELETE", key)

    async def keys(self, prefix: str) -> list[str]:
        """All keys that begin so (ListObjectsV2). Raises Unavailable for more than `MOST_KEYS`, and for a listing without an end."""
        found: list[str] = []
        more: dict[str, str] = {}
        for _ in range(MOST_PAGES):
            body = await self._call("GET", "", {"list-type": "2", "prefix": prefix, **more})
            said = await self._read(body)
            found += [
                text
                for name, text in said
                if name == "Key" and text.startswith(prefix) and len(text) <= LONGEST_KEY
            ]
            token = next((text for name, text in said if name == "NextContinuationToken"), "")
            if not token:
                return found
            if len(found) > MOST_KEYS or len(token) > LONGEST_TOKEN:
                break
            more = {"continuation-token": token}
        raise Unavailable(
            f"S3: expected a listing of at most {MOST_PAGES} pages and {MOST_KEYS} keys that begin with {prefix!r}"
        )

    async def get(self, key: str, take: Callable[[bytes], Any]) -> None:
        """Read an object; ``take`` gets its pieces (GetObject)."""
        await self._call("GET", key, take=take)

    # --- in parts ---

    async def begin(self, key: str) -> str:
        """Begin an object that comes in parts; returns the upload's id (CreateMultipartUpload)."""
        said = dict(await self._read(await self._call("POST", key, {"uploads": ""})))
        if not said.get("UploadId"):
            raise Unavailable("S3: expected an UploadId")
        return said["UploadId"]

    async def put_part(self, key: str, upload: str, number: int, body: bytes) -> str:
        """Send a part, from 1; returns its ETag (UploadPart)."""
        headers: dict[str, str] = {}
        await self._call("PUT", key, {"partNumber": str(number), "uploadId": upload}, body, said=headers)
        return headers.get("etag", "")

    async def complete(self, key: str, upload: str, etags: list[str]) -> None:
        """Have the parts be the object (CompleteMultipartUpload)."""
        answer = await self._call("POST", key, {"uploadId": upload}, completion(etags))
        said = dict(await self._read(answer))
        if "Code" in said:  # the status was sent before
            raise S3Refused(
                f"S3 {said['Code']}: {said.get('Message', '')}"[:LONGEST_REASON], 200, said["Code"]
            )

    async def abort(self, key: str, upload: str) -> None:
        """Take back what was sent of an object (AbortMultipartUpload)."""
        await self._call("DELETE", key, {"uploadId": upload})

    async def unfinished(self, prefix: str) -> list[tuple[str, str]]:
        """The key and id of uploads that were begun and not ended (ListMultipartUploads), the first 1,000."""
        said = await self._read(await self._call("GET", "", {"uploads": "", "prefix": prefix}))
        keys = [text for name, text in said if name == "Key"]
        return list(zip(keys, [text for name, text in said if name == "UploadId"], strict=False))

    # --- requests ---

    async def _read(self, body: bytes) -> list[tuple[str, str]]:
        try:
            found: list[tuple[str, str]] = await self._in_thread(leaves, body)
            return found
        except ProtocolError as error:
            raise Unavailable(str(error)) from error

    async def _call(
        self,
        method: str,
        key: str,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        take: Callable[[bytes], Any] | None = None,
        said: dict[str, str] | None = None,
    ) -> bytes:
        """One request, sent again where that may help; returns the answer's body, unless ``take`` gets it."""
        taken = 0

        def counted(piece: bytes) -> None:
            nonlocal taken
            taken += len(piece)
            assert take is not None
            take(piece)

        for pause in (*PAUSES, None):
            try:
                return await self._once(method, key, query or {}, body, counted if take else None, said)
            except Unavailable as error:
                is_final = isinstance(error, S3Refused) and error.status not in LATER
                if pause is None or is_final or taken:
                    raise
            await deferLater(self._reactor, pause, lambda: None)
        raise AssertionError

    async def _once(
        self,
        method: str,
        key: str,
        query: Mapping[str, str],
        body: bytes,
        take: Callable[[bytes], Any] | None,
        said: dict[str, str] | None,
    ) -> bytes:
        path = f"{self._base}/{quote(key, safe='/-_.~')}" if key else self._base or "/"
        target = path + (f"?{urlencode(query, quote_via=quote, safe='-_.~')}" if query else "")
        headers = [("Host", self._netloc), ("User-Agent", f"iotgw/{__version__}")]
        signed = await self._in_thread(
            signature_headers, method, target, headers, body, self._scope, self._date()
        )
        made = Headers()
        for name, value in (*headers, *signed):
            made.addRawHeader(name, value)
        producer = FileBodyProducer(BytesIO(body)) if body else None
        # the agent follows no redirects, which could lead anywhere; a body in another encoding is not asked for
        asking = self._http.request(
            method, self._url + target, headers=made, data=producer, allow_redirects=False, unbuffered=True
        )
        try:
            response = await asking.addTimeout(self._access.timeout, self._reactor)
            if said is not None:
                said.update(
                    (name.decode("latin-1").lower(), values[-1].decode("latin-1"))
                    for name, values in response.headers.getAllRawHeaders()
                )
            if response.code < 300 and take is not None:
                await treq.collect(response, take)
                return b""
            kept = bytearray()

            def keep(piece: bytes) -> None:
                if len(kept) + len(piece) > LARGEST_ANSWER:
                    raise Unavailable(f"S3: expected an answer of at most {LARGEST_ANSWER} bytes")
                kept.extend(piece)

            await treq.collect(response, keep).addTimeout(self._access.timeout, self._reactor)
        except TimeoutError as error:
            raise Unavailable(f"{self._netloc}: no answer within {self._access.timeout:g} s") from error
        except (CancelledError, Unavailable):
            raise
        except Exception as error:  # Twisted's agent has many ways to say that a connection ended
            raise Unavailable(f"{self._netloc}: {in_words(Failure(error))[:LONGEST_REASON]}") from error
        if response.code >= 300:
            raise self._refused(method, key, response.code, bytes(kept))
        return bytes(kept)

    def _refused(self, method: str, key: str, status: int, body: bytes) -> S3Refused:
        try:
            said = dict(leaves(body)) if 0 < len(body) <= LARGEST_REFUSAL else {}
        except ProtocolError:
            said = {}
        code, words = said.get("Code", ""), said.get("Message", "")
        text = f"{self._netloc}: {method} {self._access.bucket}/{key}: HTTP {status} {code}{f': {words}' if words else ''}"
        secrets = [self._access.secret_access_key, self._access.session_token]
        return S3Refused(hidden(" ".join(text.split()), secrets)[:LONGEST_REASON], status, code[:100])
