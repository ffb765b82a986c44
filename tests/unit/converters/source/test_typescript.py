"""Types are left out and nothing else is; modules become what ``require`` understands."""

import random

import pytest

from iotgw.converters.source.blanks import Untranslatable
from iotgw.converters.source.esmodules import as_commonjs, has_module_signs
from iotgw.converters.source.tokens import NotUnderstood
from iotgw.converters.source.typescript import has_signs, without_types

TYPED = {
    "const a: number = 1, b?: string, c!: any": None,
    "let a: string[] = [], b: Map<string, Array<number>> = new Map<string, Array<number>>();": "let a = [], b = new Map();",
    "function f<T extends U>(this: V, a: number, b?: string, ...c: any[]): a is string { return a! }": "function f( a, b, ...c) { return a }",
    "function f(a: string): void; function f(a: any) {}": "function f(a) {}",
    "const f = async <T,>(a: T): Promise<T> => a as T;": "const f = async (a) => a ;",
    "x = a ? (b) : c; y = a ? (b as C) : (d: E) => f;": "x = a ? (b) : c; y = a ? (b ) : (d) => f;",
    "x = a < b && c > (d); y = f<string>(z); w = a >> 2 >>> 1; w >>= 1": "x = a < b && c > (d); y = f(z); w = a >> 2 >>> 1; w >>= 1",
    "x = {a: 1, get b(): number { return 2 }, async c<T>(d: T) {}, [e]: (f: G) => f, h}": "x = {a: 1, get b() { return 2 }, async c(d) {}, [e]: (f) => f, h}",
    "interface A extends B<C> { a: number; b(): void }\ntype D = { e: string } | null;\nlet f: D = null;": "let f = null;",
    "declare const a: any; declare function b(c: string): void; declare module 'd' { const e: string }\nlet g = 1": "let g = 1",
    "abstract class A<T> extends B<T[]> implements C, D<E> { private readonly a: number = 1; b?: string; [k: string]: any; abstract f(): void; "
    "static async *g<T>(h: T): any { yield h } }": "class A extends B { a = 1; b ; static async *g(h) { yield h } }",
    "import type { A } from 'a'; import { type B, c } from 'b'; export type { D } from 'd'; export interface E {}": "import { c } from 'b';",
    "try { a() } catch (e: unknown) { b(e) } for (const c of d as E[]) {} switch (f) { case (g): h() }": "try { a() } catch (e) { b(e) } for (const c of d ) {} switch (f) { case (g): h() }",
    "x = `a${b as string}c${d!.e}`; y = f! / 2; z = a!.b![c]!(d)": "x = `a${b }c${d.e}`; y = f / 2; z = a.b[c](d)",
    "let a: A extends B ? C : D, b: keyof typeof c, d: [e: F, g?: H], i: new (...j: any[]) => K, l: `m${string}`": "let a , b , d , i , l",
    "x = <any>y; const z = {a: 1} satisfies B, w = [1] as const": "x = y; const z = {a: 1} , w = [1]",
}  # fmt: skip


def squeezed(text):
    return "".join(text.split())


@pytest.mark.parametrize("script", [script for script, plain in TYPED.items() if plain is not None])
def test_types_are_replaced_by_spaces(script):
    made = without_types(script)
    assert squeezed(made) == squeezed(TYPED[script])
    assert len(made) == len(script)
    assert [len(line) for line in made.split("\n")] == [len(line) for line in script.split("\n")]
    assert has_signs(script)


PLAIN = [
    "label: for (;;) { continue label } const a = b ? c : d, e = {f: g ? h : i}; switch (a) { case 1: default: b() }",
    "const re = /a:\\s*(b)/g, x = a / b / c; if (a) /x/.test(b); y = a < b, c > d; var type = 1, declare = 2; type = declare",
    "class A { constructor(a = 1) { super() } static { b() } get c() { return this.#d } #d = 1; async *e() {} } x = async (a) => a",
    "x = `a${`b${c}`}d`; y = a?.[b]?.(c) ?? d; z = function* () { yield* a; yield }; for await (const a of b) {} var as = of\nas\n(a)",
]


@pytest.mark.parametrize("script", PLAIN)
def test_javascript_comes_back_as_it_was(script):
    assert without_types(script) == script
    assert as_commonjs(script) == script


def test_a_module_may_be_on_one_line():
    script = "const d = 1;export default {decodeUplink() {}}"
    assert has_module_signs(script)
    assert "exports['default']= {decodeUplink() {}}" in as_commonjs(script)


def test_the_type_of_an_enum_s_member_is_left_out():
    made = without_types("enum A { B = 'b' as any, C = 2 satisfies number }")
    assert made == """var A;(function(A){A["B"]='b';A[A["C"]=2]="C";})(A||(A={}));"""


def test_an_enum_is_an_object_with_both_ways():
    made = without_types("enum A { B = 1,\n C, D = B | 4, 'e f' = 'x' }\nlast()")
    assert made == (
        'var A;(function(A){A[A["B"]=1]="B";A[A["C"]=A["B"]+1]="C";A[A["D"]=A.B | 4]="D";A["e f"]=\'x\';})(A||(A={}));\n\nlast()'
    )


@pytest.mark.parametrize(
    "script, what",
    [
        ("namespace A { let b: number }", "namespaces"),
        ("class A { constructor(private b: string) {} }", "parameter properties"),
        ("class A { @b c: string }", "decorators"),
    ],
)
def test_what_is_missing_is_said(script, what):
    with pytest.raises(Untranslatable, match=what):
        without_types(script)


def test_imports_are_required_and_exports_set_at_the_end():
    script = (
        "import a, {b as c, unused} from './x.js';\nimport * as d from 'y';\nimport 'z';\nexport const e = a + c, {f, g: h} = d;\n"
        "export function i() {}\nexport default class J {}\nexport {e as k};\nexport * from 'l'; export {m as n} from 'o'; // end"
    )
    made = as_commonjs(script).split("\n")
    assert "require('./x.js')" in made[0] and "unused" not in made[0]
    assert made[1] == "var d=require('y');"
    assert made[2] == "require('z');"
    assert made[3].strip() == "const e = a + c, {f, g: h} = d;"
    assert made[4].strip() == "function i() {}"
    assert made[8] == (
        ";exports.__esModule=true;exports.e=e;exports.f=f;exports.h=h;exports.i=i;exports['default']=J;exports['k']=e;"
    )
    assert len(made) == 9


@pytest.mark.parametrize(
    ("script", "made"),
    [
        ("interface A { b: C } type C = A;\nfunction d() {}\nexport { A, C, d };", "exports['d']=d;"),
        ("interface A { b: number }\nexport default A;", ""),
        ("interface A { b: number }\nexport default A", ""),
        ("const a: number = 1;\nexport default a;", "exports['default']= a;"),
        ("export default true;", "exports['default']= true;"),
    ],
)
def test_what_is_exported_and_is_only_a_type_is_not_set(script, made):
    exports = as_commonjs(without_types(script))
    assert (
        "".join(line for line in exports.splitlines() if "exports['" in line).removeprefix(
            ";exports.__esModule=true;"
        )
        == made
    )


def test_no_text_is_too_odd():
    dice = random.Random(1)
    texts = [
        *TYPED,
        *PLAIN,
        "import a, {b as c} from 'x'; export default function () {} export {a as b}; enum A { B = 1 }",
    ]
    pieces = [piece for text in texts for piece in text.replace("(", " ( ").split()]
    for _ in range(3000):
        text = dice.choice(texts)
        cut = sorted(dice.randrange(len(text) + 1) for _ in range(2))
        odd = text[: cut[0]] + " ".join(dice.choices(pieces, k=dice.randrange(4))) + text[cut[1] :]
        for read in (without_types, as_commonjs):
            try:
                read(odd)
            except (NotUnderstood, Untranslatable, IndexError):
                continue


def test_deep_nesting_is_an_error_of_its_own():
    for text in (
        "(" * 50_000 + ")" * 50_000,
        "let a: " + "A<" * 50_000 + "b" + ">" * 50_000,
        "[" * 50_000 + "]" * 50_000,
    ):
        with pytest.raises(Untranslatable):
            without_types(text)
