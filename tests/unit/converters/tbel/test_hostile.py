"""Whatever is given for a script, the answer is a translation or a sentence, in bounded time."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iotgw.converters.tbel import MAX_SCRIPT, TbelError, translate, translated
from iotgw.converters.tbel.tokens import tokens
from tests.unit.converters.tbel.running import ENGINES, LoadFailed, load, tbel
from tests.unit.counting import counted

WORDS = st.sampled_from(
    ["var", "int", "foreach", "for", "while", "do", "if", "else", "switch", "case", "default", "return", "break", "continue",
     "function", "def", "new", "java", "util", "ArrayList", ".", ".?", "?", ":", ";", ",", "(", ")", "[", "]", "{", "}", "+", "-",
     "*", "/", "%", "**", "&", "|", "^", "<<", ">>", ">>>", "==", "!=", "<", ">", "&&", "||", "!", "~", "=", "+=", "++", "--", "a",
     "b", "c", "payload", "metadata", "0", "1", "2.5", "5L", "0xFF", "'x'", '"y"', "true", "null", "instanceof", "is", "contains",
     "in", "isdef", "empty", "//", "/*", "*/", "\n"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
def test_any_text_becomes_words_or_a_sentence(text):
    try:
        found = tokens(text)
    except TbelError as error:
        assert 0 <= error.at <= len(text) and error.message
        return
    assert found[-1].kind == "end"
    ends = [(one.at, one.at + len(one.text)) for one in found]
    assert all(text[at:end] == one.text for one, (at, end) in zip(found, ends, strict=True))
    assert ends == sorted(ends)


@pytest.mark.parametrize(
    "script", ["return 0\u0669;", "return \u0663;", "return 0\u0669\u0669L;", "return 1.\u0663;"]
)
def test_a_digit_that_is_not_ascii_is_no_number(script):
    with pytest.raises(TbelError):
        translate(script, ("payload", "metadata"))


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS, max_size=60).map(" ".join))
def test_any_words_become_javascript_or_a_sentence(text):
    try:
        made = translate(text, ("payload", "metadata"))
    except TbelError as error:
        assert 0 <= error.at <= len(text) and error.message
        return
    assert len(made.source) < 400 * len(text) + 2000
    assert len(made.places) == made.source.count("\n") + 2  # from line 1 on
    try:
        load(tbel(text), ENGINES)
    except LoadFailed as failed:
        # what JavaScript alone refuses: break outside a loop
        assert failed.error.name in ("SyntaxError",)


@pytest.mark.parametrize(
    "script",
    [
        "return " + "(" * 400 + "1" + ")" * 400 + ";",
        "return " + "[" * 400 + "]" * 400 + ";",
        "return " + "{a:" * 400 + "1" + "}" * 400 + ";",
        "if (true) {" * 400 + "}" * 400,
        "return " + "!" * 400 + "true;",
        "return " + "-" + " -" * 400 + "1;",
        "return " + "a ? 1 : " * 400 + "2;",
        "return " + "f(" * 400 + "1" + ")" * 400 + ";",
        "a = " * 400 + "1;",
        "function f() {" * 400 + "}" * 400,
        "return x" + ".y" * 400 + ";",
        "foreach (x : [1]) " * 400 + "{}",
        "return " + "(int) " * 400 + "1;",
    ],
)
def test_nesting_of_400_levels_is_refused_with_a_sentence(script):
    with pytest.raises(TbelError, match=r"expected at most 100 (levels of nesting|properties in a row)"):
        translate(script, ())


def test_a_long_row_of_operators_is_no_nesting():
    script = "var s = '';\nreturn s" + " + payload[0]" * 1500 + ";"
    result, _, error = load(tbel(script), ENGINES).call("[[1],{},0,0]")
    assert error is None and result == "1" * 1500


def test_a_row_that_is_too_long_is_refused():
    with pytest.raises(TbelError, match="expected at most 2000 operators in a row"):
        translate("return 1" + " + 1" * 2001 + ";", ())


def _rows_in_rows():
    made = "a"
    for _ in range(90):
        made = f"({made}{'.b' * 90})"
    return made


@pytest.mark.parametrize(
    "script",
    ["return a" + " is a" * 1900 + ";", "return x" + " is a + 1" * 900 + ";", f"return {_rows_in_rows()};"],
)
def test_rows_in_rows_are_refused_with_a_sentence(script):
    with pytest.raises(TbelError, match="expected less nesting"):
        translated(script, "UPLINK")


def test_a_long_chain_of_else_if_is_no_nesting():
    script = "var x = payload[0];" + "".join(
        f"{'else ' if n else ''}if (x == {n}) {{ return {n} * 2; }}" for n in range(300)
    )
    assert load(tbel(script), ENGINES).call("[[77],{},0,0]")[0] == 154


def test_a_script_of_a_mebibyte_is_refused_at_once():
    with pytest.raises(TbelError, match=f"expected at most {MAX_SCRIPT} characters of TBEL, got 1048576"):
        translated("a" * (1 << 20), "UPLINK")


@pytest.mark.parametrize(
    "unit",
    ["var a = {b: [1, 2, f(3)], 'c': x.y.?z};\n", "/", "'", "\\", "a.", "(", "0x", "//", "/**/", "1e", "foreach ", '"\\', "a ? b : ", "\n"],
)  # fmt: skip
def test_the_time_to_read_a_script_grows_with_its_length_only(unit):
    text = (unit * (MAX_SCRIPT // len(unit) + 1))[:MAX_SCRIPT]
    with contextlib.suppress(TbelError), counted() as whole:
        translate(text, ())
    with contextlib.suppress(TbelError), counted() as half:
        translate(text[: MAX_SCRIPT // 2], ())
    assert whole.made <= 2.2 * half.made + 1000


@pytest.mark.parametrize(
    "script",
    [
        "var s = 'a'; while (true) { s = s + s; }",
        "var l = [1]; while (true) { l.addAll(l); }",
        "return 'x'.repeat(2000000000);",
        "return new int[2000000000];",
        "return 'a'.padStart(1);",
        "return padStart('a', 2000000000, 'x').length();",
        "return String.format('%2000000000d', 1);",
        "var m = {}; m.m = m; return m;",
        "var l = []; l.add(l); return '' + l;",
        "var l = []; l.add(l); var k = []; k.add(k); return l == k;",
        "return 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!'.matches('(a+)+b');",
        "return 'a'.replaceAll('(', 'b');",
        "function f() { return f(); } return f();",
        "return ('x'.repeat(4000000) + 'y'.repeat(4000000)).length();",
    ],
)
def test_a_script_that_wants_too_much_fails_for_itself(script):
    loaded = load(tbel(script, time_limit=0.5), ENGINES)
    result, _, error = loaded.call("[[1],{},0,0]")
    assert error is not None or result == 4194304, script


@pytest.mark.parametrize(
    "name", ["constructor", "__proto__", "prototype", "toString", "valueOf", "call", "apply", "a", "v", "m"]
)
def test_nothing_of_javascript_can_be_reached(name):
    for of in ("payload", "metadata", "'s'", "(1)", "true", "{}", "Math", "String", "new Date()", "f"):
        script = f"function f() {{ return 1; }} return {of}.{name};"
        result, _, error = load(tbel(script), ENGINES).call("[[1],{},0,0]")
        assert error is not None or result is None or isinstance(result, (str, dict, list, int)), (of, name)
        assert "native code" not in str(result)
    for script in ("return globalThis;", "return eval('1');", "return Function('1');", "return __tbel;", "return $get;", "return JSON.constructor;"):  # fmt: skip
        assert load(tbel(script), ENGINES).call("[[1],{},0,0]")[2] is not None
