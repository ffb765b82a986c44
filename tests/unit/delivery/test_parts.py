"""The parts of the delivery machine know each other by verbs: none works on another's fields."""

import ast
from pathlib import Path

import pytest

import iotgw.delivery

MODULES = sorted(Path(iotgw.delivery.__file__).parent.glob("*.py"))
TWISTEDS = {"clock"}
"""A LoopingCall is given its clock so."""


def is_self(node):
    return isinstance(node, ast.Name) and node.id == "self"


def is_part_of_self(node):
    return isinstance(node, ast.Attribute) and is_self(node.value) and node.attr.startswith("_")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_no_part_works_on_the_fields_of_another(module):
    found = [
        f"{node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Attribute)
        and (
            (node.attr.startswith("_") and not node.attr.startswith("__") and not is_self(node.value))
            or (isinstance(node.ctx, ast.Store) and is_part_of_self(node.value) and node.attr not in TWISTEDS)
        )
    ]
    assert found == []
