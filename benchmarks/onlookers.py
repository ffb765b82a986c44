"""What the gateway's work costs more while people look on: ``python benchmarks/onlookers.py [--rounds 10] [--readers 3] [--rate 50] [--seconds 5]``.

Workload B with so many readers of `GET /stream`, each of whom asks for messages, events and figures, at most ``--rate`` events a second, as the console
does. The last of them never reads. Pairs with and without them follow each other, every other pair in reverse order. Printed are the CPU per message of both
and the median of the pairs' ratios with its 95 % interval (see `paired`). Exit status 1 says that the interval lies wholly above ``--limit``.
"""

from __future__ import annotations

import argparse
import sys

from harness.contestants import Contestant
from harness.measure import closed_loop
from harness.onlookers import watched
from harness.plan import FULL, Plan
from harness.processes import end_on_sigterm
from harness.tools import build
from paired import Pair, judged


def measured(readers: int, rate: int, plan: Plan) -> float:
    """CPU per message in µs; raises RuntimeError when a message was lost."""
    contestant = Contestant("iotgw", watched(readers, rate), str, durable=True)
    sample = closed_loop(contestant, plan, delivers=True)
    if not sample["messages"] or sample.get("missing"):
        raise RuntimeError(f"{sample['messages']} messages, {sample.get('missing')} missing")
    return float(sample["cpu_us"])


def main(argv: list[str]) -> int:
    """Run; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--readers", type=int, default=3)
    parser.add_argument("--rate", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=FULL.seconds)
    parser.add_argument("--limit", type=float, default=1.05)
    options = parser.parse_args(argv)
    plan = FULL._replace(rounds=options.rounds, seconds=options.seconds)
    build()
    found: list[Pair] = []
    for number in range(options.rounds):
        cost = {0: 0.0, options.readers: 0.0}
        for readers in sorted(cost, reverse=bool(number % 2)):
            cost[readers] = measured(readers, options.rate, plan)
        found.append(Pair(cost[0], cost[options.readers]))
        print(
            f"pair {number + 1}: {found[-1].revision:.1f} µs with nobody, {found[-1].tree:.1f} µs with {options.readers} readers, "
            f"ratio {found[-1].ratio:.3f}",
            file=sys.stderr,
        )
    return judged(found, options.rounds, options.limit, ("nobody looks", "with readers"))


if __name__ == "__main__":
    end_on_sigterm()
    sys.exit(main(sys.argv[1:]))
