"""What iotgw is installed with: the bounds keep out what is known to be bad, and the lock file keeps to them."""

import configparser
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PYTHONS = ("3.11", "3.12", "3.13")
BAD = [
    ("cbor2", "5.8.0", "CVE-2026-26209"),
    ("cryptography", "46.0.6", "CVE-2026-39892"),
    ("cryptography", "49.0.0", "CVE-2026-69247"),
    ("idna", "3.14", "CVE-2026-45409"),
    ("jinja2", "3.1.5", "CVE-2025-27516"),
    ("multipart", "1.3.0", "CVE-2026-28356"),
    ("pyopenssl", "25.3.0", "CVE-2026-27459"),
    ("quickjs-ng", "0.11.0", "CVE-2026-0822"),
    ("quickjs-ng", "0.12.1.1", "CVE-2026-37630"),
    ("quickjs-ng", "0.15.1.1", "CVE-2026-120439"),
    ("twisted", "25.5.0", "CVE-2026-42304"),
    ("werkzeug", "3.1.4", "CVE-2026-21860"),
]
"""Versions that have what an advisory tells of; docs/dependencies.md names these."""


def required():
    """The requirements of setup.cfg, by canonical name."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    lines = [line for line in parser["options"]["install_requires"].splitlines() if line and line[0] != "#"]
    return {canonicalize_name(each.name): each for each in map(Requirement, lines)}


def locked():
    """The lock file: for each name, its requirement (with the marker) and the number of its hashes."""
    found = {}
    for entry in re.split(r"\n(?=[a-z])", (ROOT / "requirements.lock").read_text().split("\n", 2)[2]):
        head, *hashes = entry.replace(" \\\n", "\n").splitlines()
        made = Requirement(head)
        assert canonicalize_name(made.name) not in found
        found[canonicalize_name(made.name)] = (made, [line.strip() for line in hashes])
    return found


def pinned(requirement):
    (one,) = requirement.specifier
    assert one.operator == "=="
    return Version(one.version)


@pytest.mark.parametrize(("name", "version", "advisory"), BAD)
def test_a_version_that_an_advisory_names_is_kept_out(name, version, advisory):
    assert Version(version) not in required()[name].specifier
    assert advisory in (ROOT / "docs" / "dependencies.md").read_text()


def test_the_docs_name_each_requirement_with_its_range():
    text = (ROOT / "docs" / "dependencies.md").read_text()
    rows = {
        canonicalize_name(Requirement(name).name): bounds.replace(" ", "")
        for name, bounds in re.findall(r"^\| ([\w\[\],-]+) \| ([<>=][^|]*) \|", text, re.MULTILINE)
    }
    assert {name: frozenset(each.split(",")) for name, each in rows.items()} == {
        name: frozenset(map(str, each.specifier)) for name, each in required().items()
    }


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_file_has_a_good_version_of_each_requirement(python):
    lock = locked()
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    for name, wanted in required().items():
        assert name in lock, f"run `make lock`: {name} is missing"
        pin, _ = lock[name]
        assert pinned(pin) in wanted.specifier, f"run `make lock`: {pin} is out of {wanted}"
        assert pin.marker is None or pin.marker.evaluate(environment)


def test_each_version_in_the_lock_file_has_hashes():
    for name, (_, hashes) in locked().items():
        assert hashes, name
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line) for line in hashes), name


def test_the_lock_file_names_no_place_to_get_packages_from():
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text and "--index" not in text and "--find-links" not in text


def test_nothing_that_is_installed_here_is_known_to_be_bad():
    from importlib.metadata import version

    for name, each in required().items():
        assert Version(version(name)) in each.specifier, name
