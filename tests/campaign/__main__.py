"""``python -m tests.campaign --rounds 300``: see the package. Its exit status is 1 when something was wrong."""

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

from . import kills
from .chapter import Chapter
from .targets import Targets

ROUNDS_OF_A_CHAPTER = 15
FIRST_STARTS = 2
TRIMMED = 1_000_000
"""The journal's size where messages are trimmed all the while: in every fourth chapter. In every eighth nothing may be given up
for want of room, and devices have to wait."""


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--rounds", type=int, default=300, help="kills in all (300)")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="the same choices again")
    parser.add_argument("--rate", type=float, default=120, help="messages a second (120)")
    parser.add_argument("--keep", type=Path, help="where the folders of chapters with a fault are kept")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iotgw-campaign-")))
        return campaign(options, folder, Targets(folder / "targets", stack))


def campaign(options, folder, targets):
    dice = random.Random(options.seed)
    total, wrong, number, began = Counter(), [], 0, time.monotonic()
    print(f"seed {options.seed}", flush=True)
    while (left := options.rounds - total["rounds"]) > 0:
        number += 1
        path = folder / f"chapter-{number}"
        size, overflow = 0 if number % 4 else TRIMMED, "dropOldest" if number % 8 else "rejectNew"
        chapter = Chapter(path, targets, dice, max_bytes=size, overflow=overflow, rate=options.rate)
        try:
            count = min(ROUNDS_OF_A_CHAPTER, max(1, left - FIRST_STARTS))
            chapter.run(kills.chosen(dice, count), FIRST_STARTS)
        except Exception:  # the harness's fault, too, ends only its chapter
            chapter.wrong.append(traceback.format_exc())
        finally:
            chapter.close()
        total += chapter.report
        wrong += (f"chapter {number}: {each}" for each in chapter.wrong)
        for each in chapter.wrong[:20]:
            print(f"chapter {number}: {each}", flush=True)
        if chapter.wrong and options.keep:
            shutil.copytree(path, options.keep / path.name, dirs_exist_ok=True)
        shutil.rmtree(path)
        shutil.rmtree(targets.sshd.root / path.name)
        (folder / "targets" / "sink" / "received").unlink(missing_ok=True)
        print(f"{time.monotonic() - began:.0f} s, chapter {number}: {dict(total)}", flush=True)
    print(
        f"{len(wrong)} faults in {total['rounds']} rounds, {time.monotonic() - began:.0f} s, seed {options.seed}"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
