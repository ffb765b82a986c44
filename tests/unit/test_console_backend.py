"""The build backend: when the console is built anew, what a wheel needs for it, and what happens where it can't be built."""

import importlib.util
import sys
import tomllib
from pathlib import Path

import pytest

from tests.peers.dockerfile import instructions

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / "buildtools"


def loaded(name):
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def console(tmp_path, monkeypatch):
    """The module, with sources of two files."""
    module = loaded("console")
    monkeypatch.setattr(module, "SOURCES", tmp_path / "console")
    monkeypatch.setattr(module, "BUILT", tmp_path / "static")
    (tmp_path / "console" / "node_modules").mkdir(parents=True)
    (tmp_path / "console" / "main.ts").write_text("1")
    (tmp_path / "console" / "package-lock.json").write_text("{}")
    (tmp_path / "static").mkdir()
    return module


@pytest.fixture
def backend(console, monkeypatch):
    """The backend, on a machine without Node and without the package that brings it."""
    monkeypatch.setitem(sys.modules, "console", console)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(console, "find_spec", lambda name: None)
    return loaded("backend")


def test_it_is_built_when_it_was_made_of_these_sources(console):
    assert not console.is_built()
    (console.BUILT / "SOURCE").write_text(console.digest() + "\n")
    assert console.is_built()
    (console.SOURCES / "main.ts").write_text("2")
    assert not console.is_built()


def test_packages_of_npm_are_no_sources(console):
    before = console.digest()
    (console.SOURCES / "node_modules" / "other.js").write_text("3")
    assert console.digest() == before


def test_a_file_that_moved_is_another_source(console):
    before = console.digest()
    (console.SOURCES / "main.ts").rename(console.SOURCES / "app.ts")
    assert console.digest() != before


def test_node_comes_from_pypi_only_where_it_is_needed(console, backend):
    assert console.NODE_ON_PYPI in backend.get_requires_for_build_wheel()
    assert console.NODE_ON_PYPI in backend.get_requires_for_build_editable()
    (console.BUILT / "SOURCE").write_text(console.digest())
    assert console.NODE_ON_PYPI not in backend.get_requires_for_build_wheel()


def test_a_release_fails_without_its_console(backend, monkeypatch):
    monkeypatch.setenv("IOTGW_CONSOLE", "require")
    with pytest.raises(SystemExit, match="expected node and npm on the PATH"):
        backend._console()


def test_another_wheel_comes_without_it_and_says_why(backend, capsys, monkeypatch):
    monkeypatch.delenv("IOTGW_CONSOLE", raising=False)
    backend._console()
    assert "without the web console" in capsys.readouterr().err


def test_who_skips_it_is_told_nothing(backend, capsys, monkeypatch):
    monkeypatch.setenv("IOTGW_CONSOLE", "skip")
    backend._console()
    assert capsys.readouterr().err == ""
    assert backend._node() == []


def test_the_lock_file_has_a_digest_of_each_package_and_names_no_place():
    text = (TOOLS.parent / "console" / "package-lock.json").read_text()
    assert text.count('"integrity": "sha512-') == text.count('"node_modules/') > 20
    assert '"resolved"' not in text


def test_the_image_is_built_from_all_that_a_wheel_is():
    dockerfile = (ROOT / "packaging" / "docker" / "Dockerfile").read_text()
    copied = {
        source
        for name, rest in instructions(dockerfile)
        if name == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    }
    system = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]
    assert {*system["backend-path"], "console", "iotgw", "twisted", "setup.cfg", "pyproject.toml"} <= copied
    taken = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {source.split("/")[0] for source in copied} <= taken
