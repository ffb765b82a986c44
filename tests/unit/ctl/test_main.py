"""The command line: each command costs the imports that it needs, and whoever mistypes is told what was meant."""

import importlib
import os
import pkgutil
import subprocess
import sys

import click
import pytest

from iotgw.ctl import commands
from iotgw.ctl.command import Commands
from iotgw.ctl.main import MODULES, main

MOST = 120
"""Modules that may be imported to say the version; Python itself brings a third of them."""


def imported(*arguments):
    """The modules that a command imports."""
    program = f"import sys; from iotgw.ctl.main import main\nmain({[*arguments]!r})\nprint(*sys.modules, file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(ran.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("module", MODULES)
def test_a_module_brings_the_commands_that_the_table_says(module):
    group = click.Group()
    importlib.import_module(module).add(Commands(group))
    assert tuple(sorted(group.commands)) == MODULES[module]


def test_each_module_is_in_the_table():
    there = {f"{commands.__name__}.{found.name}" for found in pkgutil.iter_modules(commands.__path__)}
    assert there <= MODULES.keys()


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--url", "http://127.0.0.1:1", "status"], ["--json", "tail", "--help"]]
)
def test_what_needs_no_reactor_imports_none(arguments):
    assert not {"twisted", "OpenSSL", "cryptography", "iotgw.config.settings"} & imported(*arguments)


def test_the_version_costs_next_to_no_imports():
    found = imported("--version")
    assert not {"msgspec", "http.client", "ssl", "json", "argparse", "asyncio"} & found
    assert len(found) < MOST


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["mesages"], "no such command 'mesages'; did you mean 'messages' or 'message'"),
        (["device", "improt"], "no such command 'improt'; did you mean 'import'?"),
        (["messages", "--devce", "x"], "No such option '--devce'. Did you mean '--device'?"),
        (["--url", "status"], "Missing command."),
        (["--timeout"], "Option '--timeout' requires an argument"),
        (["--timeout=x", "status"], "Invalid value for '--timeout': 'x' is not a valid float"),
        ([], "Usage: iotgwctl"),
        (["try", "json"], "expected one of --text, --hex, --file, --message"),
        (["try", "json", "--text", "a", "--hex", "00"], "--hex does not go with --text"),
        (["delete", "datasorce", "x"], "'datasorce' is not one of"),
        (["tail", "--lines", "x"], "'x' is not a valid integer"),
        (["messages", "--since", "once"], "Invalid value for '--since': expected a duration such as 90s"),
        (["token"], "Missing argument 'NAME'"),
    ],
)
def test_who_mistypes_is_told_what_was_expected(arguments, told, capsys):
    assert main(arguments) == 2
    assert told in capsys.readouterr().err


def test_a_help_shows_each_argument_once(capsys):
    assert main(["device", "import", "--help"]) == 0
    shown = capsys.readouterr().out
    assert [line.split()[0] for line in shown.splitlines() if "FILE" in line and "token" not in line and "certificates" not in line] == ["Usage:", "FILE"]  # fmt: skip


def test_an_option_s_value_is_not_taken_for_a_command(capsys):
    assert main(["--url", "http://127.0.0.1:1", "--token-file", "/dev/null", "events"]) == 3
    assert "cannot reach" in capsys.readouterr().err


def test_options_of_every_command_stand_before_it_or_behind_it(capsys):
    for arguments in (["--url", "http://a.invalid:1"], []):
        assert main([*arguments, "events", "--url", "http://127.0.0.1:1", "--token-file", "/dev/null"]) == 3
        assert "cannot reach the gateway at http://127.0.0.1:1" in capsys.readouterr().err


def test_who_reads_only_the_head_makes_nothing_fail():
    read, write = os.pipe()
    os.close(read)
    program = "import sys; from iotgw.ctl.main import main; sys.exit(main(['completion', 'bash']))"
    ran = subprocess.run([sys.executable, "-c", program], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (ran.returncode, ran.stderr) == (0, b"")
