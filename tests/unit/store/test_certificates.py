"""The operator's directory of certificates: a name never leads out of it, and reading never waits."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import globalLogPublisher

from iotgw.core.model import DEFAULT_TENANT
from iotgw.store.certificates import LARGEST, CertificateDirectory
from iotgw.testing import ThreadClock, contracts


class TestCertificateDirectory(contracts.Threaded[Any], contracts.OperatorFilesContract):
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path) -> None:
        self.directory = tmp_path

    def open(self) -> Any:
        return CertificateDirectory(self.clock, self.directory)

    def put(self, name: str, content: bytes, tenant: str) -> None:
        folder = self.directory if tenant == DEFAULT_TENANT else self.directory / "tenants" / tenant
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


class House:
    """A directory of certificates with its surroundings, and what the log says."""

    def __init__(self, folder: Path) -> None:
        self.outside = folder
        self.inside = folder / "certificates"
        self.inside.mkdir()
        (self.outside / "secret.key").write_bytes(b"not for tenants")
        (self.inside / "good.pem").write_bytes(b"good")
        self.clock = ThreadClock()
        self.files = CertificateDirectory(self.clock, self.inside)
        self.said: list[str] = []

    def read(self, *names: str, tenant: str = DEFAULT_TENANT) -> dict[str, bytes]:
        return self.clock.wait(self.files.read(tenant, names))

    def hear(self, event: dict[str, Any]) -> None:
        if event["log_namespace"].startswith("iotgw.store.certificates"):
            self.said.append(event["reason"])


@pytest.fixture
def house(tmp_path: Path) -> Any:
    house = House(tmp_path)
    globalLogPublisher.addObserver(house.hear)
    yield house
    globalLogPublisher.removeObserver(house.hear)


def test_a_whole_path_that_leads_there_is_a_name_too(house: House) -> None:
    path = str(house.inside / "good.pem")
    assert house.read(path) == {path: b"good"}


def test_a_link_may_lead_anywhere_within_the_directory(house: House) -> None:
    (house.inside / "live").mkdir()
    (house.inside / "live" / "now.pem").symlink_to("../good.pem")
    assert house.read("live/now.pem") == {"live/now.pem": b"good"}


def test_the_directory_itself_may_be_a_link(house: House) -> None:
    (house.outside / "other").symlink_to(house.inside)
    house.files = CertificateDirectory(house.clock, house.outside / "other")
    names = ["good.pem", str(house.outside / "other" / "good.pem"), str(house.inside / "good.pem")]
    assert set(house.read(*names)) == set(names)


def make_odd(house: House) -> list[str]:
    """One of each kind that is no file of the directory; their names."""
    inside, outside = house.inside, house.outside
    os.mkfifo(inside / "fifo")
    (inside / "folder").mkdir()
    (inside / "large").write_bytes(bytes(LARGEST + 1))
    (inside / "out").symlink_to(outside / "secret.key")
    (inside / "up").symlink_to("..")
    (inside / "loop").symlink_to("loop")
    (inside / "zero").symlink_to("/dev/zero")
    (inside / "fifo-link").symlink_to("fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(inside / "socket"))
    return [
        "../secret.key", "folder/../good.pem", "..", ".", "", "/", "/etc/passwd", "/dev/zero", "/dev/stdin",
        "/proc/self/environ", str(outside / "secret.key"), f"{inside}/../secret.key", f"{inside}x", "none",
        "out", "up/secret.key", "loop", "zero", "fifo", "fifo-link", "folder", "large", "socket", "good.pem/x",
        "good.pem\x00", "a\x01", "x" * 300, "y" * 5000, "\ud800",
    ]  # fmt: skip


def test_no_name_leads_to_anything_else(house: House) -> None:
    odd = make_odd(house)
    assert house.read(*odd, "good.pem") == {"good.pem": b"good"}


def test_what_the_default_tenant_names_is_never_another_tenant_s(house: House) -> None:
    for tenant in ("acme", "north"):
        (house.inside / "tenants" / tenant).mkdir(parents=True)
        (house.inside / "tenants" / tenant / "key.pem").write_bytes(tenant.encode())
    (house.inside / "link").symlink_to("tenants/acme/key.pem")
    assert house.read("tenants/acme/key.pem", "link") == {}
    names = ["key.pem", "good.pem", "../north/key.pem", "../../good.pem", str(house.inside / "good.pem")]
    assert house.read(*names, tenant="acme") == {"key.pem": b"acme"}


@pytest.mark.parametrize("tenant", ["", ".", "..", "acme/../..", "/etc", "a\x00", "../certificates"])
def test_a_tenant_whose_name_is_a_path_has_no_files(house: House, tenant: str) -> None:
    assert house.read("good.pem", str(house.inside / "good.pem"), tenant=tenant) == {}


def test_the_operator_is_told_why_once_for_each_reason(house: House) -> None:
    for _ in range(3):
        house.read("none.pem", "../x")
    assert len(house.said) == 2
    assert "No such file" in house.said[0]
    (house.inside / "none.pem").mkdir()
    house.read("none.pem")
    assert house.said[2:] == ["it is no regular file"]


def test_what_the_log_remembers_is_bounded(house: House) -> None:
    house.read(*(f"none{number}" for number in range(1200)))
    assert len(house.files._reasons) == 1000
