"""The fault table: each fault of a target that `docs/faults.md` names, for HTTP, MQTT, SFTP and ThingsBoard's HTTP API,
and the test that causes it.

A cell is a test, or a reason why there is none. What doesn't depend on the kind of target has one test for all.
"""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "faults.md"
KINDS = ("http", "mqtt", "sftp", "thingsboard-http")

NETWORK = "interop/test_delivery_fault_table.py::test_a_network_fault_costs_nothing_but_time"
SERVER = "interop/test_target_faults.py::test_a_server_that_is_none_is_waited_for"
ANSWERS = "interop/test_target_faults.py::test_a_server_whose_answers_are_broken_gets_everything"
STILL = "interop/test_target_faults.py::test_a_server_that_stands_still_is_waited_for"
NAME = "interop/test_target_faults.py::test_a_name_that_is_unknown_for_a_while_is_looked_up_again"
HOLE = "interop/test_delivery_faults.py::test_a_black_hole_does_not_stall_the_reactor"
WAITED_FOR = "interop/test_target_refusals.py::test_what_is_about_the_target_is_waited_for"
TRIED = "interop/test_target_refusals.py::test_what_is_about_a_message_is_tried_again_and_then_a_dead_letter_that_can_be_sent_again"
ONE_DEVICE = "interop/test_target_refusals.py::test_a_device_that_is_refused_costs_no_other_one"
EVERYTHING = "interop/test_target_refusals.py::test_a_target_that_refuses_everything_fills_no_disk"
DEAD_LETTERS = "interop/test_target_refusals.py::test_of_a_refused_device_s_dead_letters_the_oldest_go_beyond_their_limit"
RESTART = (
    "interop/test_target_refusals.py::test_a_message_that_is_never_answered_costs_a_restart_no_other_message"
)
UNANSWERED = "interop/test_target_refusals.py::test_a_message_that_is_not_answered_comes_again_while_others_get_through"
CERTIFICATE = "interop/test_delivery_faults.py::test_a_certificate_that_is_wrong_is_said_and_costs_nothing"
BROKERS = (
    "interop/test_delivery_faults.py::test_a_brokers_certificate_that_is_wrong_is_said_and_costs_nothing"
)
HOST_KEY = "interop/test_sftp_target.py::test_a_changed_host_key_is_refused"
FORBIDDEN = (
    "interop/test_delivery_faults.py::test_addresses_that_the_operator_forbids_are_refused_after_resolution"
)
CAMPAIGN = "interop/test_campaign.py::test_whenever_the_gateway_is_killed_nothing_is_missing_and_the_accounts_balance"

OF_THINGSBOARD = "unit/integrations/test_thingsboard_http.py::test_"
AS_HTTP = "- what it has in common with http does this: connections, TLS, the reader of answers"

TARGET = {
    # the way to it
    "connections are refused": NETWORK,
    "connections are taken, or not even that, and nothing more comes": HOLE,
    "the connection is there, and nothing passes any more": NETWORK,
    "everything takes long": NETWORK,
    "a connection breaks amid a message": NETWORK,
    "a connection breaks before the answer": NETWORK,
    "its name can't be looked up": NAME,
    "its address is one that the operator forbids": FORBIDDEN,
    # the server
    "it closes connections at once": SERVER,
    "another protocol answers": SERVER,
    "an answer never ends": SERVER,
    "it stands still, and goes on later": STILL,
    "it is killed, and comes back": (
        "interop/test_http_target.py::test_a_server_that_is_down_is_waited_for",
        "interop/test_mqtt_target.py::test_a_broker_that_is_killed_and_comes_back_gets_everything",
        "interop/test_sftp_target.py::test_a_server_that_is_killed_gets_everything_later",
    ),
    # who it is, and who we are
    "its certificate or host key is wrong": (CERTIFICATE, BROKERS, HOST_KEY),
    "its certificate has expired": (CERTIFICATE, BROKERS, "- a host key has no date"),
    "it doesn't let us in": (
        "interop/test_http_target.py::test_a_wrong_password_is_said_and_costs_no_message",
        "interop/test_mqtt_target.py::test_a_wrong_password_is_said_and_costs_no_message",
        "interop/test_sftp_target.py::test_a_wrong_key_is_said_and_costs_no_message",
    ),
    # its answers
    "an answer is garbage": ANSWERS,
    "an answer is cut off": ANSWERS,
    "it hangs up after each answer": ANSWERS,
    "an answer comes byte by byte": ANSWERS,
    "an answer is not for what was asked": (
        "interop/test_http_odd_servers.py::test_no_header_of_an_answer_wedges_the_messages_behind_it",
        "interop/test_mqtt_target.py::test_nothing_that_a_broker_says_wedges_the_messages_behind_it",
        "unit/connect/test_ssh.py::test_an_answer_that_is_cut_short_or_that_nobody_asked_for_is_no_answer",
    ),
    "one message is never answered": UNANSWERED,
    "one message is never answered, and the gateway restarts": RESTART,
    # what it says
    "it says that it is busy or broken, or that we may not": WAITED_FOR,
    "it refuses a message": (TRIED, TRIED, "- its codes don't say whose fault it is: see the next row"),
    "it refuses one device's messages": ONE_DEVICE,
    "it refuses everything": (EVERYTHING, EVERYTHING, WAITED_FOR),
    "dead letters are kept without a bound": DEAD_LETTERS,
    "a message is larger than it takes": (
        "interop/test_http_odd_servers.py::test_a_batch_that_is_refused_before_it_was_read_is_taken_apart",
        "interop/test_mqtt_target.py::test_what_is_larger_than_the_broker_takes_is_dead_and_what_just_fits_is_not",
        "- a file may have any size",
    ),
    "what it sends for devices can't be stored (a full disk)": (
        "unit/integrations/test_http_downlinks.py::test_while_downlinks_can_not_be_stored_other_messages_are_delivered_and_it_is_said",
        "unit/integrations/test_mqtt_commands.py::test_a_command_that_can_not_be_stored_is_not_acknowledged_until_it_is",
        "- a server sends nothing for devices",
    ),
    "its disk is full": (
        WAITED_FOR,
        "interop/test_mqtt_target.py::test_a_broker_that_is_over_its_quota_is_waited_for",
        "interop/test_delivery_faults.py::test_a_full_disk_at_the_target_is_waited_for_and_leaves_no_half_file",
    ),
}

THINGSBOARD_HTTP = {
    "connections are taken, or not even that, and nothing more comes": NETWORK,
    "it is killed, and comes back": OF_THINGSBOARD + "a_server_that_is_killed_gets_everything_later",
    "its certificate or host key is wrong": AS_HTTP,
    "its certificate has expired": AS_HTTP,
    "it doesn't let us in": OF_THINGSBOARD + "a_device_whose_token_is_wrong_holds_up_no_other",
    "an answer is not for what was asked": AS_HTTP,
    "its address is one that the operator forbids": "interop/test_target_faults.py::test_an_address_that_the_operator_forbids_is_not_connected_to",
    "one message is never answered": OF_THINGSBOARD
    + "a_message_that_is_never_answered_comes_again_while_others_get_through",
    "one message is never answered, and the gateway restarts": OF_THINGSBOARD
    + "a_message_that_is_never_answered_costs_a_restart_no_other_message",
    "it says that it is busy or broken, or that we may not": OF_THINGSBOARD
    + "a_target_that_is_busy_or_full_is_waited_for",
    "it refuses a message": OF_THINGSBOARD
    + "a_message_that_is_refused_is_a_dead_letter_and_holds_up_no_other_device",
    "it refuses one device's messages": OF_THINGSBOARD + "a_device_whose_token_is_wrong_holds_up_no_other",
    "what it sends for devices can't be stored (a full disk)": "unit/integrations/test_thingsboard_downlinks.py::test_the_next_request_is_asked_for_when_the_last_is_durable_and_its_caller_told",
    "it refuses everything": "- the outbox bounds dead letters, whatever the target is",
    "a message is larger than it takes": OF_THINGSBOARD
    + "a_message_that_is_refused_is_a_dead_letter_and_holds_up_no_other_device",
    "its disk is full": OF_THINGSBOARD + "a_target_that_is_busy_or_full_is_waited_for",
}
"""The tests of its own; all others are those of every kind."""

OWN = "interop/test_own_faults.py::test_"
GATEWAY = {
    "an integration with a backlog is deleted": CAMPAIGN,
    "one device fills the queue": OWN + "of_a_device_that_fills_the_queue_the_oldest_go_and_of_no_other",
    "what waits can't be read": OWN
    + "what_can_t_be_read_any_more_is_passed_by_and_counted_whatever_the_target_is",
    "the gateway's disk is full": "interop/test_disk_full.py::test_a_full_disk_refuses_uplinks_loses_nothing_and_service_resumes_by_itself",
    "the machine's date jumps": "interop/test_clock_jumps.py::test_a_jump_under_load_while_the_target_is_away_costs_nothing",
    "the gateway is starved": "interop/test_starved.py::test_a_gateway_that_is_nearly_starved_converts_and_delivers_everything_and_suspends_nobody",
    "a target's own code fails": "unit/delivery/test_outages.py::test_what_a_target_raises_is_a_try_of_each_record_that_it_was_sent",
    "one message breaks the target each time": "unit/delivery/test_outages.py::test_a_record_that_alone_breaks_the_target_is_found_and_parked",
    "the gateway is killed": CAMPAIGN,
}
"""Faults of the gateway's own, tried with targets of each kind, but for a target's own code, which is a double's."""


def cells():
    for fault, tests in TARGET.items():
        three = (tests,) * 3 if isinstance(tests, str) else tests
        for kind, test in zip(KINDS, (*three, THINGSBOARD_HTTP.get(fault, three[0])), strict=True):
            yield fault, kind, test
    for fault, test in GATEWAY.items():
        yield fault, "all", test


@pytest.mark.parametrize(
    ("fault", "kind", "test"), [pytest.param(*cell, id=" / ".join(cell[:2])) for cell in cells()]
)
def test_each_fault_has_its_test_and_its_row(fault, kind, test):
    if not test.startswith("- "):
        file, _, name = test.partition("::")
        assert re.search(rf"def {name}\(", (TESTS / file).read_text()), test
    assert f"| {fault} |" in PAGE.read_text(), "docs/faults.md has no row that begins with it"


def test_each_row_of_the_page_has_its_test():
    section = PAGE.read_text().partition("## Targets\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (?!what happens|---)(.*?) \|", section, re.MULTILINE)
    assert set(rows) == {*TARGET, *GATEWAY}
