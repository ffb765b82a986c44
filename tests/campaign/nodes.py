"""``python -m tests.campaign.nodes --rounds 100``: three nodes on a replicated database, and what befalls them. Its exit status is 1 when
something was wrong."""

import argparse
import contextlib
import random
import secrets
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from statistics import median

from . import faults
from .cluster import LEASE, Cluster
from .targets import Targets

ROUNDS_OF_A_CHAPTER = 10


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.campaign.nodes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="faults in all (100)")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="the same choices again")
    parser.add_argument("--rate", type=float, default=60, help="messages a second for each node (60)")
    parser.add_argument("--only", choices=[each.__name__ for each in faults.FAULTS], help="one kind of fault")
    parser.add_argument("--keep", type=Path, help="where the folders of chapters with a fault are kept")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iotgw-nodes-")))
        return campaign(options, folder, Targets(folder / "targets", stack))


def campaign(options, folder, targets):
    dice = random.Random(options.seed)
    total, wrong, adopted, number, began = Counter(), [], [], 0, time.monotonic()
    print(f"seed {options.seed}", flush=True)
    while (left := options.rounds - total["rounds"]) > 0 and number < options.rounds:
        number += 1
        path = folder / f"chapter-{number}"
        cluster = Cluster(path, targets, dice, rate=options.rate)
        count = min(ROUNDS_OF_A_CHAPTER, left)
        some = [getattr(faults, options.only)] * count if options.only else faults.chosen(dice, count)
        try:
            cluster.run(some)
        except Exception:  # the harness's fault, too, ends only its chapter
            cluster.wrong.append(traceback.format_exc())
        finally:
            cluster.close()
        total += cluster.report
        adopted += cluster.adopted_after
        wrong += cluster.wrong
        for each in cluster.wrong[:20]:
            print(f"chapter {number}: {each}", flush=True)
        if cluster.wrong and options.keep:
            shutil.copytree(path, options.keep / path.name, dirs_exist_ok=True)
        shutil.rmtree(path)
        shutil.rmtree(targets.sshd.root / path.name)
        (folder / "targets" / "sink" / "received").unlink(missing_ok=True)
        print(f"{time.monotonic() - began:.0f} s, chapter {number}: {dict(total)}", flush=True)
    if adopted:
        print(
            f"{len(adopted)} partitions were adopted after {min(adopted):.1f} to {max(adopted):.1f} s, {median(adopted):.1f} in the middle; the lease is {LEASE:.0f} s"
        )
    print(
        f"{len(wrong)} faults in {total['rounds']} rounds, {time.monotonic() - began:.0f} s, seed {options.seed}"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
