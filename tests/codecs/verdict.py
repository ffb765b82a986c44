"""What becomes of a case: node's answer beside the gateway's."""

import math
import re
from typing import Any

CLOCK_MS = 86_400_000
"""Two times that are no further apart than this come from the clock, which goes on between two runs."""
CLOCK_S = 300
"""The same for times in seconds, which are closer to other numbers."""
BY_CHANCE = {"group", "serie"}
_DATE = re.compile(r"\d{4}-\d\d-\d\d[T ]|\w{3}, \d\d \w{3} \d{4}|\w{3} \w{3} \d\d \d{4}")


def same(a: Any, b: Any, key: str = "") -> bool:
    """Whether two results say the same, but for what depends on the time of day or on chance."""
    if key in BY_CHANCE:
        return True
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name], name) for name in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        is_clock = (min(a, b) > 1.6e12 and abs(a - b) < CLOCK_MS) or (
            min(a, b) > 1.6e9 and abs(a - b) < CLOCK_S
        )
        return is_clock or math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12)
    if isinstance(a, str) and isinstance(b, str):
        return a == b or bool(_DATE.match(a) and _DATE.match(b) and a[:4] == b[:4])
    return a == b


def verdict(node: dict[str, Any], gateway: dict[str, Any]) -> tuple[str, str]:
    """(what, why): ``same``, ``different``, ``refused`` (node passes it), ``both fail``, ``node fails``, ``no form``."""
    problem = gateway.get("problem")
    if "error" in node:
        return ("both fail" if problem else "node fails"), node["error"]
    nothing = ([], [None], None)
    if node.get("result") in nothing and gateway.get("result") in nothing and not problem:
        return "same", "filtered"
    if not node.get("form"):
        return "no form", ""
    if problem:
        reported = gateway.get("reported", False)
        return ("same", "reported") if reported else ("refused", problem)
    if same(node.get("result"), gateway.get("result")):
        return "same", ""
    return "different", f"node {str(node.get('result'))[:150]} here {str(gateway.get('result'))[:150]}"
