"""Every decoder of outside data that runs on the reactor's thread: what it is given, and what it may raise.

``python -m tests.fuzz.decoders [COUNT] [--large N] [--seed S] [--only TEXT]``: mutated and random inputs for all of them in turn.
No exception but its own may come out of a decoder, and no input may take more than 5 ms of the processor. Prints inputs per
second and the slowest input of each.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import cycle
from random import Random

from msgspec import Struct

from tests.fuzz.mutation import LARGE, large, mutated

MOST = 0.005
"""Seconds of the processor for one input."""
SHOWN = 3
"""Inputs of a kind that are shown."""
TRIES = 5
"""An input that took longer is tried again so often: the best counts, as the garbage collector and other threads take time, too."""


class Decoder(Struct, frozen=True):
    """A decoder by name. ``decode`` is given the bytes; ``raises`` are the errors that say what is wrong with them. ``weight``: of
    slow ones, only one input in so many is tried. ``longest`` bytes are let through to it by what stands before it. One that ``is_elsewhere`` runs in a process that can be killed, so
    its time is its own."""

    name: str
    decode: Callable[[bytes], object]
    seeds: Sequence[bytes]
    raises: tuple[type[Exception], ...] = ()
    weight: int = 1
    longest: int = LARGE
    is_elsewhere: bool = False


class Run:
    """What happened: for each decoder the number of inputs, the time, and the longest time of an input. ``most`` are the seconds
    that one may take."""

    def __init__(self, decoders: Sequence[Decoder], seed: int, most: float = MOST) -> None:
        self._most = most
        self.decoders = decoders
        self._turns = cycle(decoders)
        self.random = Random(seed)
        self.inputs = dict.fromkeys((each.name for each in decoders), 0)
        self.seconds = dict.fromkeys(self.inputs, 0.0)
        self.slowest = dict.fromkeys(self.inputs, 0.0)
        self.found: list[str] = []

    def go(self, count: int, make: Callable[[Random, Sequence[bytes]], bytes] = mutated) -> None:
        """So many inputs, in turn for each decoder; the next time goes on with the one whose turn it is."""
        done = 0
        while done < count:
            each = next(self._turns)
            for _ in range(min(max(1, 100 // each.weight), count - done)):
                self.one(each, make(self.random, each.seeds)[: each.longest])
                done += 1

    def one(self, decoder: Decoder, data: bytes) -> None:
        """One input. What it finds goes to ``found``."""
        took = self._time(decoder, data)
        if took > self._most and not decoder.is_elsewhere:
            gc.collect()
            took = min(self._time(decoder, data) for _ in range(TRIES))
            if took > self._most:
                self.found.append(f"{decoder.name}: {1000 * took:.1f} ms for {_shown(data)}")
        name = decoder.name
        self.inputs[name] += 1
        self.seconds[name] += took
        self.slowest[name] = max(self.slowest[name], took)

    def _time(self, decoder: Decoder, data: bytes) -> float:
        began = time.thread_time()
        try:
            decoder.decode(data)
        except decoder.raises:
            pass
        except Exception as error:
            self.found.append(
                f"{decoder.name}: {type(error).__name__}: {str(error)[:200]} for {_shown(data)}"
            )
        return time.thread_time() - began


def _shown(data: bytes) -> str:
    return f"{len(data)} bytes: {data[:300]!r}{'…' if len(data) > 300 else ''}"


def main() -> None:
    from tests.fuzz.all_decoders import decoders

    parser = argparse.ArgumentParser()
    parser.add_argument("count", nargs="?", type=lambda text: int(float(text)), default=1_000_000)
    parser.add_argument("--large", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    run = Run([each for each in decoders() if options.only in each.name], options.seed)
    began = time.monotonic()
    steps = 20 if options.count > 200_000 else 1
    for _ in range(steps):
        run.go(options.count // steps)
        run.go(options.large // steps, large)
        print(
            f"{sum(run.inputs.values()):>9} inputs in {time.monotonic() - began:.0f} s, {len(run.found)} found",
            flush=True,
        )
    for name, count in run.inputs.items():
        rate = count / max(run.seconds[name], 1e-9)
        print(f"{name:<28} {count:>9} inputs, {rate:>9.0f}/s, slowest {1000 * run.slowest[name]:.2f} ms")
    print(
        f"seed {options.seed}: {sum(run.inputs.values())} inputs, {sum(run.inputs.values()) / (time.monotonic() - began):.0f}/s"
    )
    seen: Counter[tuple[str, ...]] = Counter()
    for each in run.found:
        kind = tuple(each.split(": ")[:2])
        seen[kind] += 1
        if seen[kind] <= SHOWN:
            print(each)
    sys.exit(1 if run.found else 0)


if __name__ == "__main__":
    main()
