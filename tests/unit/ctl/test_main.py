"""Each command costs the imports that it needs, and no others."""

import argparse
import importlib
import pkgutil
import subprocess
import sys

import pytest

from iotgw.ctl import commands
from iotgw.ctl.command import Commands
from iotgw.ctl.main import MODULES, main


@pytest.mark.parametrize("module", MODULES)
def test_a_module_brings_the_commands_that_the_table_says(module):
    subparsers = argparse.ArgumentParser().add_subparsers()
    importlib.import_module(module).add(Commands(subparsers, argparse.ArgumentParser(add_help=False)))
    assert tuple(sorted(subparsers.choices)) == MODULES[module]


def test_each_module_is_in_the_table():
    there = {f"{commands.__name__}.{found.name}" for found in pkgutil.iter_modules(commands.__path__)}
    assert there <= MODULES.keys()


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--url", "http://127.0.0.1:1", "status"], ["--json", "tail", "--help"]]
)
def test_what_needs_no_reactor_imports_none(arguments):
    program = f"import sys; from iotgw.ctl.main import main\ntry: main({arguments!r})\nexcept SystemExit: pass\nprint(*sys.modules, file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"twisted", "OpenSSL", "cryptography", "iotgw.config.settings"} & set(ran.stderr.split())


@pytest.mark.parametrize(
    "arguments", [[], ["mesages"], ["--url", "status"], ["--timeout"], ["--timeout=x", "mesages"]]
)
def test_who_names_no_command_is_told_of_all(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    told = capsys.readouterr().err
    assert "iotgwctl: error: " in told and (
        "restore" in told or "argument --" in told or "required: COMMAND" in told
    )


def test_an_option_s_value_is_not_taken_for_a_command(capsys):
    assert main(["--url", "http://127.0.0.1:1", "--token-file", "/dev/null", "events"]) == 3
    assert "cannot reach" in capsys.readouterr().err
