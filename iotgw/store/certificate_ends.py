"""When the certificates in the operator's directory end."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from cryptography import x509
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.model import DEFAULT_TENANT
from iotgw.core.ports.files import ICertificateEnds
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.store.certificates import LARGEST, OTHERS
from iotgw.store.worker import StoreThread

AGAIN = 60.0
"""Seconds until the directory is read again."""
MOST_FILES = 500
"""Files that are read; the others are not told of."""
LONGEST_CHAIN = 5
"""Certificates of a chain. A file with more is a bundle of authorities, in which there is always one that has ended."""
_BEGIN = b"-----BEGIN CERTIFICATE-----"

Ends = dict[tuple[str, str], int]


@implementer(ICertificateEnds)
class CertificateEnds:
    """Reads ``directory`` in a thread, when somebody asks. Whoever asks first is told nothing yet: nobody waits for a disk."""

    def __init__(self, reactor: IThreadedClock, directory: Path) -> None:
        self._reactor = reactor
        self._directory = directory
        self._thread: StoreThread | None = None
        self._is_reading = False
        self._read_at = float("-inf")
        self._ends: Ends = {}

    def ends(self) -> Mapping[tuple[str, str], int]:
        """See `ICertificateEnds.ends`."""
        now = self._reactor.seconds()
        if not self._is_reading and now - self._read_at >= AGAIN:
            self._is_reading, self._read_at = True, now
            if self._thread is None:
                self._thread = StoreThread(self._reactor, "certificate ends")
            self._thread.call(found_below, self._directory).addBoth(self._found)
        return self._ends

    def _found(self, ends: Ends | Failure) -> None:
        self._is_reading = False
        if not isinstance(ends, Failure):
            self._ends = ends


def found_below(directory: Path) -> Ends:
    """The ends of all certificates below a directory."""
    found: Ends = {}
    for name, content in _files(directory):
        end = earliest_end(content)
        if end is None:
            continue
        first, _, rest = name.partition("/")
        tenant, _, own = rest.partition("/") if first == OTHERS else (DEFAULT_TENANT, "", name)
        found[tenant, own] = end
    return found


def earliest_end(content: bytes) -> int | None:
    """The date in seconds when the first certificate of a chain (PEM) ends; None where there is none, or a bundle."""
    if not 1 <= content.count(_BEGIN) <= LONGEST_CHAIN:
        return None
    try:
        chain = x509.load_pem_x509_certificates(content)
    except ValueError:
        return None
    return min(int(each.not_valid_after_utc.timestamp()) for each in chain)


def _files(directory: Path) -> Iterator[tuple[str, bytes]]:
    """The first regular files below a directory, by name."""
    left = MOST_FILES
    for folder, folders, names in os.walk(directory):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if left and path.is_file() and not path.is_symlink() and path.stat().st_size <= LARGEST:
                left -= 1
                yield str(path.relative_to(directory)), path.read_bytes()
