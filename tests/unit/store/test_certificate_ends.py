"""When the operator's certificates end."""

from __future__ import annotations

from pathlib import Path
from queue import SimpleQueue

from twisted.internet.task import Clock

from iotgw.store import certificate_ends
from iotgw.store.certificate_ends import AGAIN, CertificateEnds, earliest_end, found_below
from tests.certificates import DAY, NOW, Authority


def test_the_first_certificate_of_each_chain_is_found_by_tenant(tmp_path: Path) -> None:
    root = Authority()
    own = tmp_path / "tenants" / "acme" / "sub"
    own.mkdir(parents=True)
    root.issue("gateway", end=NOW + 5 * DAY).write(tmp_path, "server")
    (tmp_path / "chain.pem").write_bytes(root.issue("a", end=NOW + DAY).pem() + root.pem())
    (tmp_path / "bundle.pem").write_bytes(root.pem() * 6)
    (tmp_path / "notes.txt").write_text("-----BEGIN CERTIFICATE-----\nno")
    (tmp_path / "link.pem").symlink_to(tmp_path / "server.pem")
    root.issue("device", end=NOW + 9 * DAY).write(own, "own")
    assert found_below(tmp_path) == {
        ("default", "server.pem"): int((NOW + 5 * DAY).timestamp()),
        ("default", "chain.pem"): int((NOW + DAY).timestamp()),
        ("acme", "sub/own.pem"): int((NOW + 9 * DAY).timestamp()),
    }
    assert earliest_end(b"") is None


def test_nobody_waits_for_the_disk_and_it_is_read_again_after_a_while(tmp_path: Path, monkeypatch) -> None:
    read: list[Path] = []
    monkeypatch.setattr(
        certificate_ends, "found_below", lambda folder: read.append(folder) or {("default", "a"): len(read)}
    )
    clock = Threads()
    ends = CertificateEnds(clock, tmp_path)
    assert ends.ends() == {}
    assert clock.until(ends) == {("default", "a"): 1}
    clock.advance(AGAIN)
    ends.ends()
    assert clock.until(ends) == {("default", "a"): 2}


class Threads(Clock):
    """Time, and calls from threads that are made when somebody asks for them."""

    def __init__(self) -> None:
        super().__init__()
        self._calls = SimpleQueue()

    def callFromThread(self, function, *args):
        self._calls.put((function, args))

    def until(self, ends):
        function, args = self._calls.get(timeout=60)
        function(*args)
        return ends.ends()
