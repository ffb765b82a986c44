"""``python -m tests.fuzz [MILLIONS] [SEED]``: five million datagrams by default, and what was held meanwhile; then vendors' devices."""

from __future__ import annotations

import resource
import sys
import time

from tests.fuzz.coap import Fuzz
from tests.fuzz.devices import Fuzz as DeviceFuzz
from tests.fuzz.dtls import Fuzz as DtlsFuzz

STEP = 250_000


def main() -> None:
    total = int(float(sys.argv[1] if len(sys.argv) > 1 else 5) * 1_000_000)
    fuzz = Fuzz(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    began = time.monotonic()
    for done in range(STEP, total + STEP, STEP):
        fuzz.run(STEP)
        fuzz.check()
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"{done:>9} datagrams, {fuzz.sent} sent, {used} MiB at most, {fuzz.sizes()}", flush=True)
    fuzz.end()
    print(f"when nobody sends any more: {fuzz.sizes()}")
    print(f"counters: {vars(fuzz.endpoint.counters)}")
    assert not any(fuzz.sizes().values()), "something is still held"
    print(f"{total} datagrams without an error in {time.monotonic() - began:.0f} s")
    devices = DeviceFuzz(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    devices.run(total // 10)
    devices.end()
    print(f"{devices.frames} doings of vendors' and plain devices without an error")
    dtls = DtlsFuzz(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    for _ in range(total // 100_000):
        dtls.run(1000)
        dtls.check()
    dtls.idle()
    print(f"{dtls.datagrams} bad datagrams among DTLS handshakes and sessions without an error")


if __name__ == "__main__":
    main()
