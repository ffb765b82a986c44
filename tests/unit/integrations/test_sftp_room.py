"""Whether a server has no room, from what it says and takes."""

import pytest
from twisted.internet.defer import Deferred

from iotgw.connect.sftp_client import SftpRefused
from iotgw.integrations.sftp_room import ServerRoom


class Files:
    def __init__(self, room):
        self._room = room

    async def room(self, folder):
        return self._room


def used_up(said="failure", code=4, step="write", size=1000, took=0, room=None, takes=True):
    known = ServerRoom()
    known.took(took)
    asked = []

    async def tries(content):
        asked.append(content)
        return takes

    refused = SftpRefused(step, "a/b", code, said)
    found = []
    judged = known.is_used_up(Files(room), "a", refused, size, tries)
    Deferred.fromCoroutine(judged).addCallback(found.append)
    assert all(set(content) <= {0} for content in asked)
    return found[0]


@pytest.mark.parametrize(
    "said", ["No space left on device", "Disk quota exceeded", "The disk is full.", "ENOSPC"]
)
def test_a_server_that_says_so_has_no_room(said):
    assert used_up(said)


@pytest.mark.parametrize("code", [14, 15])
def test_later_versions_have_a_status_for_it(code):
    assert used_up(code=code)


def test_a_server_that_tells_how_much_is_free_is_believed():
    assert used_up(room=(999, 10**6))


def test_a_file_larger_than_the_whole_disk_is_at_fault_itself():
    assert not used_up(room=(999, 1000))


def test_a_server_that_refuses_what_it_took_before_has_no_room():
    assert used_up(
        took=1000, takes=False, room=(10**9, 10**9)
    )  # as a quota, of which the file system knows nothing


def test_a_server_that_takes_other_bytes_of_the_same_number_has_something_against_these():
    assert not used_up(took=1000, takes=True)


def test_a_file_that_is_larger_than_any_before_is_too_large_where_as_much_as_before_is_taken():
    assert not used_up(took=999, takes=True)
    assert used_up(took=999, takes=False)


def test_a_server_of_which_nothing_is_known_is_not_blamed():
    assert not used_up(took=0, takes=False)


@pytest.mark.parametrize("step", ["open", "rename", "posix-rename"])
def test_other_steps_are_not_about_room(step):
    assert not used_up("No space left on device", step=step)
