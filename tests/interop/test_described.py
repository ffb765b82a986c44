"""Every answer of the API is one that its description has, whoever asks, and whatever."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from iotgw.api.auth import Role
from tests.peers.gateway import Gateway

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
ONLY_LOOPBACK = '[integrations]\nforbid = ["0.0.0.0/0", "::/0"]\nallow = ["127.0.0.0/8"]\n'


@pytest.fixture
def gateway(tmp_path):
    made = Gateway(tmp_path / "gateway", settings=ONLY_LOOPBACK)
    made.start()
    yield made
    made.kill_all()


@pytest.mark.soak
@pytest.mark.parametrize("role", [*get_args(Role), "none"])
def test_no_request_that_schemathesis_makes_gets_an_answer_that_is_not_described(gateway, role):
    header = "X-Nobody: 1"
    if role != "none":
        made = gateway.create("tokens", name="theirs", role=role)
        header = f"Authorization: Bearer {made['token']}"
    url = f"http://127.0.0.1:{gateway.port}"
    ran = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"), "run", f"{url}/api/v1/openapi.json", "--url", url, "-H", header,
            "--exclude-path", "/api/v1/stream",  # an answer that doesn't end
            "--checks", CHECKS, "--max-examples", "20", "--request-timeout", "30", "--workers", "1", "--no-color",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-8000:]
    assert "Traceback" not in gateway.output
