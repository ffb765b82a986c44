"""`iotgwctl` against the API on a loopback port."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.threads import deferToThread

from iotgw.ctl.main import main
from tests.unit.api.conftest import bench, connect

__all__ = ["bench", "connect"]


@pytest.fixture
def run(connect: Callable[..., Any], capsys: Any, monkeypatch: Any) -> Iterator[Any]:
    """``await run("status")`` gives (exit code, stdout, stderr), as an admin."""
    client = connect()
    monkeypatch.setenv("IOTGW_URL", client.base)
    monkeypatch.setenv("IOTGW_TOKEN", client.token)

    async def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = await deferToThread(main, arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    yield call
