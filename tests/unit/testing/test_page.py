"""The examples of docs/testing.md run, on the package of docs/extending.md."""

import os
import re
import subprocess
import sys

from tests.peers.gateway import ROOT

BLOCK = re.compile(r"^```python\n# ([\w./]+)\n(.*?)^```", re.S | re.M)


def test_the_tests_of_the_page_pass(tmp_path):
    for page in ("extending", "testing"):
        for name, text in BLOCK.findall((ROOT / "docs" / f"{page}.md").read_text()):
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"2\d passed", ran.stdout)
