"""Code is told from text, comments and regular expressions."""

import pytest

from iotgw.converters.source.tokens import NAME, REGEX, TEXT, NotUnderstood, tokens


def texts(script):
    return [token.text for token in tokens(script)]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("a /* b */ = 'c'; // d", ["a", "=", "'c'", ";"]),
        ("x = 0x1F + 1_000.5e-3 + .5 + 1n", ["x", "=", "0x1F", "+", "1_000.5e-3", "+", ".5", "+", "1n"]),
        ("a >>>= b?.c ?? d ? .5 : 1", ["a", ">>>=", "b", "?.", "c", "??", "d", "?", ".5", ":", "1"]),
        ("'it\\'s' + \"a\\\nb\"", ["'it\\'s'", "+", '"a\\\nb"']),
        ("`a${b + `${c}`}d` + 1", ["${", "b", "+", "${", "c", "}", "``", "}", "``", "+", "1"]),
        ("`\\`${`}`}`", ["${", "``", "}", "``"]),
        ("größe$ = ünter_1", ["größe$", "=", "ünter_1"]),
    ],
)
def test_a_script_is_cut_into_tokens(script, expected):
    assert texts(script) == expected


@pytest.mark.parametrize(
    ("script", "regexes"),
    [
        ("a / b / c", []),
        ("x = /a[/]b/g.test(c)", ["/a[/]b/g"]),
        ("return /'/.test(a)", ["/'/"]),
        ('if (a) /"/.test(b)', ['/"/']),
        ("(a) / 2 / b", []),
        ("a[0] / b / c", []),
        ("a.return / b / c", []),
        ("i++ / 2 / 3", []),
        ("f(/\\//, /=/)", ["/\\//", "/=/"]),
    ],
)
def test_a_slash_divides_or_begins_a_regular_expression(script, regexes):
    assert [token.text for token in tokens(script) if token.kind == REGEX] == regexes


@pytest.mark.parametrize(
    "script",
    [
        "(]",
        "(",
        ")",
        "`a",
        "'a",
        "/* a",
        "a <!-- b",
        "--> c",
        "}\n/a/.test(b)",
        "\\u0061 = 1",
        "a = /b",
        "`${`",
    ],
)
def test_what_it_can_not_be_sure_of_is_not_understood(script):
    with pytest.raises(NotUnderstood):
        tokens(script)


def test_a_bracket_knows_its_partner_and_a_token_the_line_break_before_it():
    found = tokens("a(b[0],\n  `${c}`)")
    assert [(t.text, found[t.partner].text) for t in found if t.partner >= 0] == [
        ("(", ")"), ("[", "]"), ("]", "["), ("${", "}"), ("}", "${"), (")", "("),
    ]  # fmt: skip
    assert [token.text for token in found if token.is_first] == ["${"]
    assert {token.kind for token in tokens("'a' b")} == {TEXT, NAME}
