"""Scripts and what ThingsBoard's own interpreter (tbel 1.2.4, with TbUtils of ThingsBoard 4) makes of them: values and their types."""

import json
from pathlib import Path

from tests.unit.converters.tbel.running import results

CASES = json.loads((Path(__file__).parents[3] / "data" / "tbel_results.json").read_text())


def test_a_script_gives_what_the_interpreter_gives():
    scripts = [script for script, _ in CASES]
    for (script, wanted), result in zip(CASES, results(scripts), strict=True):
        # 5 and 5.0 are told apart
        assert repr(result) == repr(wanted), script
