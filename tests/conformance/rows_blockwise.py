"""Rows of block-wise transfer (RFC 7959) and of Request-Tag (RFC 9175)."""

from __future__ import annotations

from .probe import (
    BLOCK1,
    BLOCK2,
    CON,
    ETAG,
    GET,
    POST,
    REQUEST_TAG,
    SIZE1,
    SIZE2,
    URI_QUERY,
    block,
    message,
    uint,
    uri,
)
from .rows import row


def post(device, body, value, *options, path="i"):
    return device.ask(POST, path, body, (BLOCK1, value), *options)


@row("RFC 7959 §2.3, §2.9.1")
def a_first_block_gets_2_31(probe):
    answer = post(probe.device(), b"a" * 64, block(0, True, 2))
    assert answer.code == "2.31" and answer.uint(BLOCK1) & 8


@row("RFC 7959 §2.3")
def the_last_block_gets_the_response_with_its_block1(probe):
    last = probe.device().upload(b"q" * 200, 2)[-1]
    assert last.uint(BLOCK1) == block(3, False, 2)


@row("RFC 7959 §2.5")
def an_upload_is_one_request(probe):
    runs = probe.runs()
    probe.device().upload(b"q" * 200, 2)
    assert probe.runs() == runs + 1


@row("RFC 7959 §2.3", "SHOULD")
def blocks_of_1024_stay_as_large(probe):
    assert post(probe.device(), b"a" * 1024, block(0, True, 6)).uint(BLOCK1) & 7 == 6


@row("RFC 7959 §2.9.2")
def an_upload_that_begins_in_the_middle_is_4_08(probe):
    assert post(probe.device(), b"a" * 64, block(3, True, 2)).code == "4.08"


def with_gap(probe, more):
    device = probe.device()
    post(device, b"a" * 64, block(0, True, 2))
    assert post(device, b"a" * 64, block(2, more, 2)).code == "4.08"


@row("RFC 7959 §2.9.2")
def a_gap_is_4_08(probe):
    with_gap(probe, True)


@row("RFC 7959 §2.9.2")
def a_gap_before_the_last_block_is_4_08(probe):
    with_gap(probe, False)


@row("RFC 7959 §2.2")
def block1_of_size_exponent_7_is_4_00(probe):
    assert post(probe.device(), b"a" * 64, block(0, True, 7)).code in ("4.00", "4.02")


@row("RFC 7959 §2.2, §2.3")
def a_short_block_that_is_not_the_last_is_refused(probe):
    assert post(probe.device(), b"a" * 10, block(0, True, 2)).code in ("4.00", "4.08")


@row("RFC 7959 §2.1")
def a_block1_option_of_four_bytes_is_4_02(probe):
    assert post(probe.device(), b"a" * 64, b"\0\0\0\x0a").code in ("4.02", "4.00")


@row("RFC 7959 §2.5")
def an_upload_starts_over_at_block_0(probe):
    device = probe.device()
    post(device, b"a" * 64, block(0, True, 2))
    post(device, b"a" * 64, block(1, True, 2))
    device.upload(b"B" * 200, 2)
    assert probe.get("i").payload.startswith(b"B" * 64)


@row("RFC 7252 §4.2")
def a_duplicate_of_a_block_gets_the_same_reply(probe):
    device = probe.device()
    data = message(CON, POST, device.mid(), b"\x01", [*uri("i"), (BLOCK1, block(0, True, 2))], b"a" * 64)
    device.send_raw(data)
    first = device.expect()
    device.send_raw(data)
    assert device.expect().raw == first.raw
    assert post(device, b"b" * 10, block(1, False, 2)).code == "2.04"


def interleaved(uploads):
    """Three blocks each of several uploads, in turns: (device, options) pairs."""
    codes = [
        post(device, bytes([65 + number]) * 64, block(number, number < 2, 2), *options).code
        for number in range(3)
        for device, options in uploads
    ]
    assert codes == ["2.31"] * 2 * len(uploads) + ["2.04"] * len(uploads)


@row("RFC 7959 §2.4")
def uploads_of_two_endpoints_do_not_mix(probe):
    interleaved([(probe.device(), ()), (probe.device(), ())])


@row("RFC 7959 §2.4")
def uploads_with_two_queries_do_not_mix(probe):
    device = probe.device()
    interleaved([(device, [(URI_QUERY, b"a=1")]), (device, [(URI_QUERY, b"a=2")])])


@row("RFC 9175 §3.3", "SHOULD")
def uploads_with_two_request_tags_do_not_mix(probe):
    device = probe.device()
    interleaved([(device, [(REQUEST_TAG, b"\1")]), (device, [(REQUEST_TAG, b"\2")])])


@row("RFC 7959 §2.4")
def another_request_to_the_path_does_not_disturb_an_upload(probe):
    device = probe.device()
    post(device, b"a" * 64, block(0, True, 2))
    assert device.ask(GET, "i", token=b"\2").code == "2.05"
    assert post(device, b"b" * 10, block(1, False, 2)).code == "2.04"


@row("RFC 7959 §2.9.3", "SHOULD")
def a_size1_that_is_too_large_is_4_13(probe):
    assert post(probe.device(), b"a" * 64, block(0, True, 2), (SIZE1, 2**31)).code == "4.13"


@row("RFC 7959 §2.9.3", "SHOULD")
def an_upload_without_end_is_4_13(probe):
    device = probe.device()
    for number in range(2049):
        answer = post(device, b"a" * 1024, block(number, True, 6))
        if answer.code == "4.13":
            assert number
            return
        assert answer.code == "2.31" and answer.uint(BLOCK1) & 7 == 6, (number, answer)
    raise AssertionError("2 MiB were taken")


@row("RFC 7959 §2.9", "SHOULD")
def an_upload_to_an_unknown_path_is_4_04_at_once(probe):
    assert post(probe.device(), b"a" * 64, block(0, True, 2), path="no/x").code == "4.04"


@row("RFC 7959 §2.5, §3.3", "SHOULD")
def block1_and_block2_go_together(probe):
    answer = post(probe.device(), b"a" * 20, block(0, False, 2), (BLOCK2, block(0, False, 2)))
    assert answer.code[0] == "2"


# --- Block2 ---------------------------------------------------------------------------------------


@row("RFC 7959 §2.4")
def a_large_body_comes_in_blocks(probe):
    answer = probe.get("large")
    assert answer.code == "2.05" and answer.uint(BLOCK2) & 8
    assert len(answer.payload) == 16 << (answer.uint(BLOCK2) & 7)


@row("RFC 7959 §2.4")
def the_client_chooses_the_size_with_its_first_request(probe):
    answer = probe.get("large", (BLOCK2, block(0, False, 0)))
    assert len(answer.payload) == 16 and answer.uint(BLOCK2) & 7 == 0


def walk(probe, szx):
    device, body = probe.device(), b""
    for number in range(400):
        answer = device.ask(GET, "large", b"", (BLOCK2, block(number, False, szx)))
        assert answer.code == "2.05" and answer.uint(BLOCK2) & 7 == szx
        assert answer.uint(BLOCK2) >> 4 == number
        body += answer.payload
        if not answer.uint(BLOCK2) & 8:
            break
    assert len(body) == 3000


@row("RFC 7959 §2.4")
def a_body_comes_whole_in_blocks_of_1024(probe):
    walk(probe, 6)


@row("RFC 7959 §2.4")
def a_body_comes_whole_in_blocks_of_64(probe):
    walk(probe, 2)


@row("RFC 7959 §2.4")
def any_block_can_be_had_without_the_first(probe):
    answer = probe.get("large", (BLOCK2, block(2, False, 2)))
    assert (answer.code, answer.uint(BLOCK2) >> 4, len(answer.payload)) == ("2.05", 2, 64)


@row("RFC 7959 §2.4")
def any_block_can_be_had_after_the_first(probe):
    device = probe.device()
    device.ask(GET, "large")
    answer = device.ask(GET, "large", b"", (BLOCK2, block(3, False, 2)), token=b"\2")
    assert (answer.code, answer.uint(BLOCK2) >> 4) == ("2.05", 3)


@row("RFC 7959 §2.4")
def a_block_behind_the_end_is_an_error(probe):
    assert probe.get("large", (BLOCK2, block(60000, False, 2))).code[0] == "4"


@row("RFC 7959 §2.2")
def block2_of_size_exponent_7_is_4_00(probe):
    assert probe.get("large", (BLOCK2, block(0, False, 7))).code in ("4.00", "4.02")


@row("RFC 7959 §2.4", "SHOULD")
def blocks_have_an_etag(probe):
    assert probe.get("large", (BLOCK2, block(0, False, 2))).option(ETAG)


@row("RFC 7959 §4", "SHOULD")
def the_size_is_told_when_asked_for(probe):
    assert probe.get("large", (BLOCK2, block(0, False, 2)), (SIZE2, uint(0))).uint(SIZE2) == 3000
