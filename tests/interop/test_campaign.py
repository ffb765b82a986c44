"""A short campaign of ``kill -9``; `make campaign` is the long one."""

import contextlib
import random

import pytest

from tests.campaign import kills
from tests.campaign.chapter import Chapter
from tests.campaign.targets import Targets
from tests.peers.gateway import ROOT

OWN = 2.0
"""Seconds before a kill whose deliveries may come again. `make campaign` allows 0.3, on a machine that is quiet enough
for its harness to see that."""

pytestmark = [pytest.mark.interop, pytest.mark.root]  # a real sshd is among the targets


@pytest.fixture
def targets(tmp_path):
    with contextlib.ExitStack() as stack:
        yield Targets(tmp_path / "targets", stack)


def played(chapter, moments, first_starts=0):
    """What was wrong at the end of a chapter, and what was counted."""
    try:
        chapter.run(moments, first_starts)
    finally:
        chapter.close()
    return chapter.wrong, chapter.report


def test_whenever_the_gateway_is_killed_nothing_is_missing_and_the_accounts_balance(tmp_path, targets):
    moments = [*kills.MOMENTS, *([kills.amid_a_backup] if kills.has_backup() else [])]
    wrong, report = played(Chapter(tmp_path / "chapter", targets, random.Random(7), own=OWN), moments, 1)
    assert not wrong
    assert report["rounds"] > len(moments)
    assert report["acknowledged"] > 100, "the load must be worth the name"


@pytest.mark.interop
def test_while_messages_are_trimmed_nothing_is_missing_at_the_targets_that_was_not_counted(tmp_path, targets):
    chapter = Chapter(tmp_path / "chapter", targets, random.Random(7), own=OWN, max_bytes=200_000)
    wrong, report = played(chapter, [kills.amid_groups] * 2)
    assert not wrong
    assert report["trimmed"], "nothing was trimmed"


@pytest.mark.interop
def test_a_gateway_that_acknowledges_early_is_caught(tmp_path, targets):
    """The control: without it the tests above could pass for the wrong reason."""
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / "sitecustomize.py").write_text(EARLY)
    env = {"PYTHONPATH": f"{tmp_path / 'early'}:{ROOT}"}
    for attempt in range(3):
        chapter = Chapter(tmp_path / f"chapter-{attempt}", targets, random.Random(attempt), env=env)
        _, report = played(chapter, [kills.amid_groups] * 2)
        if report["missing in the journal"] and report["missing at targets"]:
            return
    pytest.fail("a gateway that acknowledges before the commit lost nothing: the test can't see a loss")


EARLY = '''
"""Makes the gateway answer before the commit, and the commit late, as a careless one would."""
import importlib.abc
import importlib.util
import sys


class Patch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "iotgw.pipeline.intake":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            receive = module.Intake.receive

            def early(self, payload, metadata, answer, received_ms=0, *more, **named):
                from twisted.internet import reactor
                from iotgw.core.model import Answer, Status
                answer(Answer(Status.STORED))
                reactor.callLater(0.05, receive, self, payload, metadata, lambda a: None, received_ms)

            module.Intake.receive = early

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Patch())
'''
