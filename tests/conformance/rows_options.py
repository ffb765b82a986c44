"""Rows of the request layer: options, methods, errors, discovery, No-Response."""

from __future__ import annotations

from .probe import (
    ACCEPT,
    ACK,
    CONTENT_FORMAT,
    FETCH,
    GET,
    HOP_LIMIT,
    NO_RESPONSE,
    NON,
    POST,
    PROXY_SCHEME,
    PROXY_URI,
    RST,
    URI_HOST,
    URI_PATH,
    URI_PORT,
    URI_QUERY,
    uri,
)
from .rows import row


@row("RFC 7252 §5.4.1")
def an_unknown_critical_option_of_a_con_is_4_02(probe):
    assert probe.get("i", (9999, b"x")).code == "4.02"


@row("RFC 7252 §5.4.1")
def an_unknown_critical_option_of_a_non_rejects_it(probe):
    runs = probe.runs()
    device = probe.device()
    device.send(NON, POST, device.mid(), b"\x01", [*uri("i"), (9999, b"x")], b"z")
    answer = device.receive(0.6)
    assert answer is None or answer.type == RST or answer.code == "4.02"
    assert probe.runs() == runs


@row("RFC 7252 §5.4.1")
def an_unknown_elective_option_is_ignored(probe):
    assert probe.get("i", (9998, b"x")).code == "2.05"


@row("RFC 7252 §5.10.1")
def uri_host_and_uri_port_are_understood(probe):
    assert probe.get("i", (URI_HOST, b"example.org"), (URI_PORT, 5683)).code == "2.05"


@row("RFC 7252 §5.4.5")
def a_critical_option_that_must_not_repeat_is_4_02(probe):
    assert probe.get("i", (URI_PORT, 5683), (URI_PORT, 5684)).code in ("4.02", "4.00")


@row("RFC 7252 §5.4.3")
def a_critical_option_of_wrong_length_is_4_02(probe):
    assert probe.get("i", (ACCEPT, b"\0\0\0\0\1")).code in ("4.02", "4.00")


@row("RFC 7252 §5.4.3")
def an_elective_option_of_wrong_length_is_ignored(probe):
    assert probe.device().ask(POST, "i", b"x", (CONTENT_FORMAT, b"\0\0\0\0\1")).code[0] == "2"


@row("RFC 7252 §3.2")
def leading_zeros_of_a_uint_are_understood(probe):
    assert probe.device().ask(POST, "i", b"x", (CONTENT_FORMAT, b"\0")).code[0] == "2"


@row("RFC 7252 §5.7.2, §5.10.2")
def proxy_uri_is_5_05(probe):
    assert probe.get("i", (PROXY_URI, b"coap://example.com/x")).code == "5.05"


@row("RFC 7252 §5.10.2")
def proxy_scheme_is_5_05(probe):
    assert probe.get("i", (PROXY_SCHEME, b"http")).code == "5.05"


@row("RFC 8768 §3", "MAY")
def a_hop_limit_of_0_is_4_00(probe):
    assert probe.get("i", (HOP_LIMIT, 0)).code in ("4.00", "5.08")


@row("RFC 7252 §5.10.4")
def a_format_that_cannot_be_had_is_4_06(probe):
    assert probe.get("i", (ACCEPT, 65000)).code == "4.06"


@row("RFC 7252 §5.9.2.5")
def an_unknown_path_is_4_04(probe):
    assert probe.get("no/such/x").code == "4.04"


@row("RFC 7252 §3.2")
def a_path_that_is_not_utf_8_is_an_error(probe):
    assert probe.get("no", (URI_PATH, b"\xff\xfe\x80")).code[0] == "4"


@row("RFC 7252 §6.5, §5.10.1")
def a_path_with_two_dots_is_an_error(probe):
    assert probe.get("no", (URI_PATH, b".."), (URI_PATH, b".."), (URI_PATH, b"etc")).code[0] == "4"


@row("RFC 7252 §5.10", "SHOULD")
def a_path_segment_of_256_bytes_is_an_error(probe):
    assert probe.get("no", (URI_PATH, b"a" * 256)).code[0] == "4"


@row("robustness")
def a_path_of_60_segments_is_an_error(probe):
    assert probe.get("no", *[(URI_PATH, b"a")] * 60).code[0] == "4"


@row("RFC 7252 §5.8")
def an_unknown_method_is_4_05(probe):
    assert probe.device().ask(31, "i").code in ("4.05", "5.01")


@row("RFC 8132")
def fetch_is_understood_or_4_05(probe):
    answer = probe.device().ask(FETCH, "i", b"x")
    assert answer.code in ("4.05", "4.15", "5.01") or answer.code[0] == "2"


@row("RFC 7252 §5.9.3.1")
def an_exception_in_a_resource_is_5_00(probe):
    assert probe.get("boom").code == "5.00"


@row("RFC 6690 §4, RFC 7252 §7.2")
def well_known_core_is_in_link_format(probe):
    answer = probe.get(".well-known/core")
    assert (answer.code, answer.uint(CONTENT_FORMAT)) == ("2.05", 40)
    assert b"</" in answer.payload


@row("RFC 6690 §4.1", "SHOULD")
def well_known_core_is_filtered(probe):
    answer = probe.get(".well-known/core", (URI_QUERY, b"href=/nonexistent-zzz"))
    assert (answer.code, answer.payload) == ("2.05", b"") or answer.code == "4.04"


@row("RFC 7967 §2", "SHOULD")
def no_response_silences_the_reply_to_a_non(probe):
    device = probe.device()
    device.send(NON, POST, device.mid(), b"\x01", [*uri("i"), (NO_RESPONSE, 26)], b"x")
    device.silence(0.6)


@row("RFC 7967 §2", "SHOULD")
def no_response_leaves_the_empty_ack_of_a_con(probe):
    answer = probe.device().ask(POST, "i", b"x", (NO_RESPONSE, 26))
    assert answer.type == ACK and answer.is_empty


@row("RFC 7252 §11.3, RFC 9175 §2.4", "INFO")
def a_large_reply_to_a_stranger_is_one_block_at_most(probe):
    device = probe.device()
    device.send(NON, GET, device.mid(), b"", uri("large"))
    assert len(device.expect().raw) <= 1152
