"""What modules in the field get wrong: forgiven where a resource says so, counted, and refused with a reason elsewhere."""

from __future__ import annotations

from collections import Counter

import pytest

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.blockwise import Block
from iotgw.wire.coap.lenient import QUIRKS
from iotgw.wire.coap.message import decode, encode, options
from iotgw.wire.coap.timing import Policy
from tests.unit.wire.coap.bench import OTHER, PEER, Bench, Box

JSON = (n.CONTENT_FORMAT, n.JSON)
KEY = ((n.URI_PATH, "i"), (n.URI_PATH, "k"))


def forgiving(*quirks, takes_rest=False):
    return Box(policy=Policy(lenient=frozenset(quirks)), quirks=Counter(), takes_rest=takes_rest)


def post(bench, *pairs, payload=b"x", token=b"t", remote=PEER, code=n.POST):
    bench.mid += 1
    (answer,) = bench.put_in(encode(n.CON, code, bench.mid, token, options(*pairs), payload), remote)
    return answer


def block(number, more):
    return n.BLOCK1, Block(number, more, 0).value


ONE_OPTION = [
    ([b"i/k"], {"slashes-in-path"}),
    ([b"/i/k"], {"slashes-in-path", "leading-slash"}),
    ([b"/i", b"k"], {"leading-slash"}),
    ([b"/i", b"/k"], {"leading-slash"}),
    ([b"i", b"k\0"], {"trailing-nul-in-path"}),
    ([b"/i/k\0"], {"slashes-in-path", "leading-slash", "trailing-nul-in-path"}),
    ([b"i/k/"], {"slashes-in-path"}),
]


@pytest.mark.parametrize(("segments", "quirks"), ONE_OPTION)
def test_a_path_that_was_meant_is_found_and_each_quirk_counted(segments, quirks):
    box = forgiving(*quirks)
    bench = Bench({"i/k": box})
    for _ in range(2):
        assert post(bench, *((n.URI_PATH, segment) for segment in segments)).code == n.CHANGED
    assert [request.options.path for request in box.requests] == [("i", "k")] * 2
    assert box.quirks == dict.fromkeys(quirks, 2)


@pytest.mark.parametrize(("segments", "quirks"), ONE_OPTION)
def test_it_is_4_04_where_one_of_them_is_not_forgiven(segments, quirks):
    for missing in quirks:
        bench = Bench({"i/k": forgiving(*set(QUIRKS) - {missing})})
        assert post(bench, *((n.URI_PATH, segment) for segment in segments)).code == n.NOT_FOUND


@pytest.mark.parametrize("segment", [b"i/../k", b"i/./k", b"../i/k", b"/..", b".\0"])
def test_a_path_never_leads_upwards(segment):
    bench = Bench({"i/k": forgiving(*QUIRKS), "k": forgiving(*QUIRKS)})
    assert post(bench, (n.URI_PATH, segment)).code == n.NOT_FOUND


def test_a_path_that_is_right_as_it_stands_is_never_read_otherwise():
    right, meant = Box(), forgiving(*QUIRKS)
    bench = Bench({"i/k": meant})
    bench.site.add(("i/k",), right)
    assert post(bench, (n.URI_PATH, "i/k")).code == n.CHANGED
    assert (len(right.requests), len(meant.requests)) == (1, 0)


def test_who_takes_every_path_does_not_get_what_was_meant_for_another():
    meant, every = forgiving("slashes-in-path"), Box(takes_rest=True)
    bench = Bench({"i/k": meant, "": every})
    for path, box in (("i/k", meant), ("i/other", every)):
        post(bench, (n.URI_PATH, path))
        assert len(box.requests) == 1


def test_what_follows_the_path_is_split_as_well():
    box = forgiving("slashes-in-path", takes_rest=True)
    bench = Bench({"i/k": box})
    post(bench, (n.URI_PATH, "i/k/a/b"))
    assert box.exchanges[0].rest == ("a", "b")


def test_a_frame_of_a_module_that_writes_one_path_option_is_read():
    """CON POST with one Uri-Path "1/11", the form that libcoap's issue 190 reports of u-blox's SARA-N211."""
    box = forgiving("slashes-in-path")
    bench = Bench({"1/11": box})
    frame = bytes.fromhex("40020001b4") + b"1/11" + b"\xff" + b'{"t":1}'
    assert decode(frame).options.path == ("1/11",)
    (answer,) = bench.put_in(frame)
    assert (answer.code, box.requests[0].payload) == (n.CHANGED, b'{"t":1}')


# --- options that only the first block has --------------------------------------------------------


@pytest.mark.parametrize(
    ("quirk", "later"), [("path-in-first-block", [JSON]), ("format-in-first-block", [*KEY])]
)
@pytest.mark.parametrize("token", [b"t", None], ids=["one token", "a token per block"])
def test_what_only_the_first_block_has_holds_for_all(quirk, later, token):
    box = forgiving(quirk)
    bench = Bench({"i/k": box})
    answers = [
        post(bench, *pairs, block(number, number < 2), payload=payload, token=token or b"%d" % number)
        for number, (pairs, payload) in enumerate(
            [([*KEY, JSON], b"a" * 16), (later, b"b" * 16), (later, b"c")]
        )
    ]
    assert [answer.code for answer in answers] == [n.CONTINUE, n.CONTINUE, n.CHANGED]
    (request,) = box.requests
    assert request.payload == b"a" * 16 + b"b" * 16 + b"c"
    assert request.options.path == ("i", "k")
    assert request.options.get_uint(n.CONTENT_FORMAT) == n.JSON
    assert box.quirks == {quirk: 2}


def test_both_may_be_missing_and_the_query_with_the_path():
    box = forgiving("path-in-first-block", "format-in-first-block")
    bench = Bench({"i/k": box})
    post(bench, *KEY, (n.URI_QUERY, "a=1"), JSON, block(0, True), payload=b"a" * 16)
    assert post(bench, block(1, False), payload=b"b").code == n.CHANGED
    assert (box.requests[0].options.path, box.requests[0].options.queries) == (("i", "k"), ("a=1",))


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        ([JSON], b"missing from block 0: Uri-Path"),
        ([*KEY], b"missing from block 0: Content-Format"),
        ([], b"missing from block 0: Content-Format, Uri-Path"),
    ],
)
def test_without_leniency_4_08_says_what_is_missing(later, reason):
    box = Box()
    bench = Bench({"i/k": box}).prove()
    post(bench, *KEY, JSON, block(0, True), payload=b"a" * 16)
    answer = post(bench, *later, block(1, False), payload=b"b" * 16)
    assert (answer.code, answer.payload) == (n.REQUEST_ENTITY_INCOMPLETE, reason)
    assert box.requests == []


def test_4_08_names_the_blocks_that_are_missing():
    bench = Bench({"i/k": Box()}).prove()
    for number, reason in ((2, b"block 1 is missing, got block 2"), (5, b"blocks 1 to 4 are missing")):
        post(bench, *KEY, block(0, True), payload=b"a" * 16)
        answer = post(bench, *KEY, block(number, False))
        assert answer.code == n.REQUEST_ENTITY_INCOMPLETE
        assert reason in answer.payload
    assert post(bench, *KEY, block(1, False)).payload == b"expected block 0 first"


def test_it_does_so_for_a_client_with_a_token_per_block_and_the_upload_goes_on():
    box = Box()
    bench = Bench({"i/k": box}).prove()
    post(bench, *KEY, block(0, True), payload=b"a" * 16, token=b"1")
    assert b"block 1 is missing" in post(bench, *KEY, block(2, False), token=b"2").payload
    assert post(bench, *KEY, block(1, False), payload=b"b", token=b"3").code == n.CHANGED
    assert [request.payload for request in box.requests] == [b"a" * 16 + b"b"]


def test_a_further_block_of_a_stranger_is_nobody_s():
    bench = Bench({"i/k": forgiving(*QUIRKS)})
    post(bench, *KEY, block(0, True), payload=b"a" * 16)
    assert post(bench, block(1, False), remote=OTHER).code == n.NOT_FOUND
    assert post(bench, block(1, False), code=n.PUT).code == n.NOT_FOUND


def test_a_block_that_may_belong_to_two_uploads_is_stored_with_neither():
    one, other = forgiving(*QUIRKS), forgiving(*QUIRKS)
    bench = Bench({"i/k": one, "i/l": other})
    for last, token in (("k", b"1"), ("l", b"2")):
        post(bench, (n.URI_PATH, "i"), (n.URI_PATH, last), block(0, True), payload=b"a" * 16, token=token)
    assert post(bench, block(1, False), token=b"3").code == n.REQUEST_ENTITY_INCOMPLETE
    assert post(bench, block(1, False), token=b"2", payload=b"z").code == n.CHANGED
    assert (one.requests, [request.payload for request in other.requests]) == ([], [b"a" * 16 + b"z"])


def test_a_last_block_that_comes_again_is_answered_again():
    box = forgiving(*QUIRKS)
    bench = Bench({"i/k": box})
    post(bench, *KEY, JSON, block(0, True), payload=b"a" * 16)
    for _ in range(2):
        assert post(bench, block(1, False), payload=b"b").code == n.CHANGED
    assert len(box.requests) == 1


def test_uploads_without_a_content_format_go_on_as_ever():
    box = forgiving()
    bench = Bench({"i/k": box})
    post(bench, *KEY, JSON, block(0, True), payload=b"a" * 16, token=b"1")
    post(bench, *KEY, block(0, True), payload=b"b" * 16, token=b"2")
    assert post(bench, *KEY, block(1, False), payload=b"z", token=b"2").code == n.CHANGED
    assert [request.payload for request in box.requests] == [b"b" * 16 + b"z"]
