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


LOCKS = ("requirements.lock", "requirements-extras.lock")
FOR_DEVELOPERS = {"test", "lint", "dist", "docs", "soak", "bench"}
"""Extras that nobody installs who only runs a gateway."""


def setup():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def requirements(text):
    """Requirements by canonical name."""
    lines = [line for line in text.splitlines() if line and line[0] != "#"]
    return {canonicalize_name(each.name): each for each in map(Requirement, lines)}


def required():
    """The requirements of setup.cfg."""
    return requirements(setup()["options"]["install_requires"])


def extras():
    """Those of the extras that users install."""
    found = {}
    for name, text in setup()["options.extras_require"].items():
        if name not in FOR_DEVELOPERS:
            found |= requirements(text)
    return found


def locked(name="requirements.lock"):
    """A lock file: for each name, its requirement (with the marker) and its hashes."""
    found = {}
    for entry in re.split(r"\n(?=[a-z])", (ROOT / name).read_text().split("\n", 2)[2]):
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
@pytest.mark.parametrize("file", LOCKS)
def test_a_lock_file_has_a_good_version_of_each_requirement(file, python):
    lock = locked(file)
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    for name, wanted in (required() | (extras() if "extras" in file else {})).items():
        assert name in lock, f"run `make lock`: {name} is missing"
        pin, _ = lock[name]
        assert pinned(pin) in wanted.specifier, f"run `make lock`: {pin} is out of {wanted}"
        assert pin.marker is None or pin.marker.evaluate(environment)


def test_make_lock_names_every_extra_that_users_install():
    (line,) = re.findall(r"^EXTRAS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(line.split()) == set(setup()["options.extras_require"]) - FOR_DEVELOPERS


def test_both_lock_files_have_the_same_version_of_what_both_have():
    plain, whole = (locked(file) for file in LOCKS)
    assert {name: whole[name] for name in plain} == plain


@pytest.mark.parametrize("file", LOCKS)
def test_each_version_in_a_lock_file_has_hashes(file):
    for name, (_, hashes) in locked(file).items():
        assert hashes, name
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line) for line in hashes), name


@pytest.mark.parametrize("file", LOCKS)
def test_a_lock_file_names_no_place_to_get_packages_from(file):
    text = (ROOT / file).read_text()
    assert "://" not in text and "--index" not in text and "--find-links" not in text


def test_nothing_that_is_installed_here_is_known_to_be_bad():
    from importlib.metadata import version

    for name, each in required().items():
        assert Version(version(name)) in each.specifier, name
