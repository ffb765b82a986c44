"""Errors name the line and column of the TBEL script, those of its translation never."""

import pytest

from iotgw.converters.tbel import TbelError, translated
from tests.unit.converters.tbel.running import failure

UNREADABLE = [
    ("var a = ;", 1, 9, "expected a value, got `;`"),
    ("var a = 1;\n  var b = (2;", 2, 13, "expected `)`, got `;`"),
    ("if (true) {\n  return 1;\n", 1, 11, "a block that begins here never ends"),
    ("return 'abc;", 1, 8, "a text that begins here never ends"),
    ("/* open", 1, 1, "a comment that begins here never ends"),
    ("return `a`;", 1, 8, "TBEL has no texts in backquotes"),
    ("return 99999999999999999999;", 1, 8, "larger than a long"),
    ("return 5x;", 1, 8, "'5x' is not a number that TBEL knows"),
    ("return 0xxFF;", 1, 8, "'0xxFF' is not a number that TBEL knows"),
    ("return 0x;", 1, 8, "'0x' is not a number that TBEL knows"),
    ("return a b;", 1, 10, "expected the end of the statement, got `b`"),
    ("5 = x;", 1, 3, "only a variable, a property or an element can be assigned to"),
    ("try { a(); } catch (e) { }", 1, 1, "TBEL has no try and catch"),
    ("import java.util.HashMap;", 1, 1, "`import` is forbidden in ThingsBoard"),
    ("with (x) { a = 5 };", 1, 1, "`with` is MVEL's"),
    ("let a = 1;", 1, 1, "TBEL declares variables with `var`"),
    ("var f = (a) => a + 1;", 1, 13, "arrow functions are JavaScript's"),
    ("var f = function (a) { return a; };", 1, 9, "TBEL has no functions without a name"),
    ("return x?.y;", 1, 9, "TBEL has `.?`"),
    ("return (x * 2 in [1, 2]);", 1, 15, "projections (`x in list`) are MVEL's"),
    ("return 'a' strsim 'b';", 1, 12, "`strsim` is MVEL's"),
    ("foreach (x in [1]) { }", 1, 12, "expected `:` and a list, got `in`"),
    ("switch (1) { return 2; }", 1, 14, "expected `case` or `default`, got `return`"),
    ("return {a: 1, b};", 1, 15, "expected a key and a colon, got `b`"),
    ("return \x00;", 1, 8, "has no meaning in TBEL"),
]


@pytest.mark.parametrize(("script", "line", "column", "says"), UNREADABLE)
def test_what_can_not_be_read_is_refused_with_its_place(script, line, column, says):
    with pytest.raises(TbelError) as refused:
        translated(script, "UPLINK")
    error = refused.value.placed(script)
    assert (error.line, error.column) == (line, column)
    assert says in error.message


RUNNING = [
    ("var a = 1;\n\nreturn  a + payload[5];", 3, 20, ""),
    (
        "function f(x) {\n  var y = 1;\n  return x.b.c;\n}\nreturn f({a: 1});",
        3,
        14,
        "at f (3:14)\nat script (5:8)",
    ),
    ("foreach (x : [1]) {\n  if (x) { }\n}", 2, 7, ""),
    ("var t = {};\nt.a\n  .b = 5;", 3, 4, ""),
    ("return [1,\n  2,\n  missing];", 3, 3, ""),
    ('var s = "a\\\n\\\nb";\nreturn s.foo();', 4, 10, ""),
    ("raiseError('x');", 1, 1, ""),
]


@pytest.mark.parametrize(("script", "line", "column", "stack"), RUNNING)
def test_what_fails_says_where(script, line, column, stack):
    error = failure(script, b"\x01")
    assert (error.line, error.column) == (line, column)
    assert stack in error.stack
