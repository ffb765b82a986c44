"""Marks in the conditions of loops: the script stays the same script."""

import pytest
import quickjs

from iotgw.converters.careful import instrument

SCRIPTS = [
    "var n = 0; for (var i = 0; i < 5; i++) { n += i; } n",
    "var n = 0; for (;;) { if (n++ > 5) break; } n",
    "var n = 0; for (;; n++) if (n > 5) break; n",
    "var n = 0; while (n < 5) n++; n",
    "var n = 0; do { n++; } while (n < 5); n",
    "var n = 0; for (var k in {a: 1, b: 2}) n++; n",
    "var n = 0; for (const k of [1, 2]) { for (let j = 0, l = (1 + 1); j < (l); j++) n += k; } n",
    "var r; try { throw {a: 1}; } catch (e) { r = e.a } try { throw(2) } catch (e) { r += e } r",
    "var o = {throw: 5}; o.throw",
    "// for (;;)\n/* while (1) */ 'while (1)' + \"for (;;)\" + `while (${1})`",
    "var o = {while: 5, for: 6}; o.while + o.for",
    "var n = 0; for (var i = 0, s = ';('; i < s.length; i++) { n += s.charCodeAt(i) } n",
]


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_marked_script_does_what_the_script_does(script):
    marked, _ = instrument(script)
    context = quickjs.Context()
    context.eval("function __iotgw_at() { return true; }")
    assert context.eval(marked) == quickjs.Context().eval(script)


def test_a_mark_knows_the_line_and_column_of_its_loop():
    _, places = instrument("var x;\n  while (1) {\n    for (;;) {}\n  }")
    assert places == [(2, 3, "while"), (3, 5, "for")]
