"""Backups in a bucket of S3: objects below a prefix, of which the manifest, stored last, makes a backup whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from zope.interface import implementer

from iotgw.backups.directory import MANIFEST
from iotgw.backups.pieces import PieceReader
from iotgw.connect.s3 import S3Access, S3Bucket
from iotgw.core import private
from iotgw.core.backup_plan import BackupPlan
from iotgw.core.errors import SettingsError, Unavailable
from iotgw.core.ports.backups import IBackupPlace
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.reactor import IReactor

PART = 8 << 20
"""Bytes of an object that are sent, and held in memory, at once; S3 wants 5 MiB or more of all parts but the last."""
MOST_PARTS = 10_000
BUCKET = re.compile(r"[A-Za-z0-9._-]{3,255}")


@implementer(IBackupPlace)
class S3Place:
    """An `IBackupPlace` of objects. Raises SettingsError."""

    def __init__(
        self,
        plan: BackupPlan,
        reactor: IReactor,
        connector: IConnector,
        pieces: PieceReader,
        date: Callable[[], float],
        part: int = PART,
    ) -> None:
        url = urlsplit(plan.to)
        if not BUCKET.fullmatch(url.netloc) or url.query or url.fragment:
            raise SettingsError("to", "expected s3://bucket/prefix")
        prefix = unquote(url.path).strip("/")
        self.where = plan.to
        self._prefix = f"{prefix}/" if prefix else ""
        self._pieces = pieces
        self._part = part
        access = S3Access(
            bucket=url.netloc, region=plan.region, access_key_id=plan.access_key_id,
            secret_access_key=plan.secret_access_key, session_token=plan.session_token, endpoint=plan.endpoint,
            ca=plan.ca, proxy=plan.proxy, timeout=plan.timeout,
        )  # fmt: skip
        self._bucket = S3Bucket(reactor, connector, access, pieces.in_thread, date)

    async def names(self) -> list[str]:
        """See `IBackupPlace.names`."""
        keys = await self._bucket.keys(self._prefix)
        rest = [key[len(self._prefix) :] for key in keys]
        return sorted(name for name, _, file in (key.partition("/") for key in rest) if file == MANIFEST)

    async def send(self, name: str, folder: Path, files: Sequence[str]) -> None:
        """See `IBackupPlace.send`."""
        for file in files:
            await self._send(self._key(name, file), folder / file)

    async def fetch(self, name: str, file: str, path: Path) -> None:
        """See `IBackupPlace.fetch`."""
        private.make_file(path)
        with path.open("wb") as copy:
            await self._bucket.get(self._key(name, file), copy.write)

    async def remove(self, name: str) -> None:
        """See `IBackupPlace.remove`."""
        await self._bucket.delete(self._key(name, MANIFEST))
        for key in await self._bucket.keys(self._key(name, "")):
            await self._bucket.delete(key)

    async def tidy(self, prefix: str) -> None:
        """See `IBackupPlace.tidy`."""
        whole = await self.names()
        for key, upload in await self._bucket.unfinished(self._prefix + prefix):
            await self._bucket.abort(key, upload)
        for key in await self._bucket.keys(self._prefix + prefix):
            if key[len(self._prefix) :].partition("/")[0] not in whole:
                await self._bucket.delete(key)

    async def close(self) -> None:
        """See `IBackupPlace.close`."""
        await self._bucket.close()

    def _key(self, name: str, file: str) -> str:
        return f"{self._prefix}{name}/{file}"

    async def _send(self, key: str, path: Path) -> None:
        size = path.stat().st_size
        part = max(self._part, -(-size // MOST_PARTS))
        with self._pieces.of(path, part) as read:
            if size <= part:
                await self._bucket.put(key, await read())
                return
            upload = await self._bucket.begin(key)
            etags: list[str] = []
            try:
                while piece := await read():
                    etags.append(await self._bucket.put_part(key, upload, len(etags) + 1, piece))
                await self._bucket.complete(key, upload, etags)
            except Unavailable:
                await self._give_up(key, upload)
                raise

    async def _give_up(self, key: str, upload: str) -> None:
        """What was sent of it need not be kept; the next backup's `tidy` tries that again."""
        try:
            await self._bucket.abort(key, upload)
        except Unavailable:
            return
