"""The operator's directory of certificates, keys and trust anchors, which tenants' settings name.

A name never leads out of the directory: not by ``..``, not by a symbolic link. What it leads to is a regular file of
bounded size, and a thread reads it. The operator's log says why a file can't be used; whoever named it isn't told.
"""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from collections.abc import Collection
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from iotgw.core.model import DEFAULT_TENANT
from iotgw.core.names import unfit
from iotgw.core.ports.files import IOperatorFiles
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.store.worker import StoreThread

LARGEST = 512 << 10
"""Bytes of a file; the authorities that a system trusts are half of it."""
OTHERS = "tenants"
"""The directory below which each tenant but the default one has one of its own."""
_REMEMBERED = 1000
_LONGEST = 1024
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


class Unusable(Exception):
    """Why a file can't be used, in words for the operator."""


@implementer(IOperatorFiles)
class CertificateDirectory:
    """The files below ``directory``: those of the default tenant there, those of a tenant ``acme`` in ``tenants/acme``.

    A name may also be a whole path that leads there.
    """

    _log = Logger()

    def __init__(self, reactor: IThreadedClock, directory: Path) -> None:
        self._reactor = reactor
        self._directory = directory
        self._thread: StoreThread | None = None
        """A daemon, which begins with the first file: a disk that hangs keeps nothing else waiting."""
        self._reasons: OrderedDict[tuple[str, str], str] = OrderedDict()
        """Why each file could not be used the last time, so that a reason is one line of the log."""

    def read(self, tenant: str, names: Collection[str]) -> Deferred[dict[str, bytes]]:
        """See `IOperatorFiles.read`."""
        wanted = list(dict.fromkeys(names))
        if self._thread is None:
            self._thread = StoreThread(self._reactor, "certificates")
        return self._thread.call(self._read_all, tenant, wanted).addCallback(self._told, tenant)

    def _read_all(self, tenant: str, names: list[str]) -> dict[str, bytes | Unusable]:
        found: dict[str, bytes | Unusable] = {}
        for name in names:
            try:
                found[name] = read_below(home(self._directory, tenant), self._directory, tenant, name)
            except Unusable as reason:
                found[name] = reason
            except (OSError, ValueError) as error:
                found[name] = Unusable(getattr(error, "strerror", None) or str(error))
        return found

    def _told(self, found: dict[str, bytes | Unusable], tenant: str) -> dict[str, bytes]:
        usable: dict[str, bytes] = {}
        for name, content in found.items():
            reason = str(content) if isinstance(content, Unusable) else ""
            before = self._reasons.pop((tenant, name), "")
            if reason:
                self._reasons[tenant, name] = reason
            if reason and reason != before:
                self._log.warn(
                    "the file {name}, which tenant {tenant} names, can't be used: {reason} (certificates are in {directory})",
                    name=name[:_LONGEST], tenant=tenant, reason=reason, directory=str(self._directory),
                )  # fmt: skip
            if isinstance(content, bytes):
                usable[name] = content
        while len(self._reasons) > _REMEMBERED:
            self._reasons.popitem(last=False)
        return usable


def home(directory: Path, tenant: str) -> Path:
    """The directory of a tenant's files; raises Unusable for a tenant whose name can't be a directory's."""
    if tenant == DEFAULT_TENANT:
        return directory
    if tenant in ("", ".", "..") or "/" in tenant or unfit(tenant):
        raise Unusable("this tenant's name is no name of a directory")
    return directory / OTHERS / tenant


def read_below(home: Path, directory: Path, tenant: str, name: str) -> bytes:
    """The content of a file, by a name in ``home``, or by its whole path there. Raises Unusable or OSError."""
    if not name or len(name) > _LONGEST or unfit(name):
        raise Unusable("it is no name of a file")
    if ".." in name.split("/"):
        raise Unusable("a name has no '..'")
    top = os.path.realpath(home)
    path = os.path.realpath(os.path.join(top, name))  # a whole path stays what it is
    if not _is_below(path, top):
        raise Unusable("it is not in the tenant's directory")
    if tenant == DEFAULT_TENANT and _is_below(path, os.path.realpath(directory / OTHERS)):
        raise Unusable("it is another tenant's")
    return _content(path)


def _is_below(path: str, top: str) -> bool:
    return path.startswith(top if top.endswith("/") else f"{top}/")


def _content(path: str) -> bytes:
    descriptor = os.open(path, _FLAGS)  # which waits for nobody where it is a FIFO
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Unusable("it is no regular file")
        parts, size = [], 0
        while size <= LARGEST and (part := os.read(descriptor, LARGEST + 1 - size)):
            parts.append(part)
            size += len(part)
        if size > LARGEST:
            raise Unusable(f"it has more than {LARGEST} bytes")
        return b"".join(parts)
    finally:
        os.close(descriptor)
