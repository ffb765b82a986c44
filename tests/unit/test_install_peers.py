"""`tests/install-peers` builds the Californium peer when it has to, and only then. Maven is a script that keeps count."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "install-peers"


class Tree:
    """A copy of the script beside the sources of a peer."""

    def __init__(self, folder):
        self.folder = folder
        self.programs = folder / "programs"
        self.peer = folder / "peers" / "californium"
        self.sources = [self.peer / "pom.xml", self.peer / "src" / "main" / "java" / "Device.java"]
        for file in self.sources:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("")
        self.programs.mkdir()
        shutil.copy(SCRIPT, folder)
        for name in re.findall(r"\[([\w-]+)\]=", SCRIPT.read_text()):
            self.program(name, "exit 1")
        self.program("go", "exit 1")
        self.program("mvn", f"echo run >> {folder}/runs\nmkdir -p target\nexit $(cat {folder}/status)")
        self.status(0)

    def program(self, name, script):
        made = self.programs / name
        made.write_text(f"#!/bin/sh\n{script}\n")
        made.chmod(0o755)

    def status(self, number):
        """What Maven ends with."""
        (self.folder / "status").write_text(str(number))

    def builds(self):
        """How often it is built when the script runs."""
        runs = self.folder / "runs"
        runs.unlink(missing_ok=True)
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        command = ["bash", self.folder / "install-peers", "large"]
        subprocess.run(command, env={**os.environ, "PATH": path}, check=True, capture_output=True)
        return len(runs.read_text().splitlines()) if runs.exists() else 0


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def test_what_is_built_already_is_not_built_again(tree):
    assert [tree.builds() for _ in range(3)] == [1, 0, 0]


@pytest.mark.parametrize("number", [0, 1])
def test_it_is_built_again_when_any_of_its_sources_is_newer(tree, number):
    tree.builds()
    later = (tree.peer / "target" / ".built").stat().st_mtime + 10
    os.utime(tree.sources[number], (later, later))
    assert tree.builds() == 1


def test_a_build_that_failed_is_tried_again(tree):
    tree.status(1)
    assert [tree.builds() for _ in range(2)] == [1, 1]
    tree.status(0)
    assert [tree.builds() for _ in range(2)] == [1, 0]
