"""What `iotgwctl` costs before it does anything: CPU time and imported modules of a fresh process.

python benchmarks/ctl.py
"""

import resource
import subprocess
import sys

COMMANDS = ("--version", "status --help", "messages --help", "apply --help", "simulate --help")
TRIES = 5
PROGRAM = "import sys; from iotgw.ctl.main import main; main(sys.argv[1:]); print(len(sys.modules), file=sys.stderr)"


def cost(*command):
    """The least CPU time of some tries, in milliseconds, and how many modules were imported."""
    least, modules = float("inf"), 0
    for _ in range(TRIES):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM, *command], capture_output=True, text=True, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        least, modules = min(least, used * 1000), int(ran.stderr.split()[-1])
    return least, modules


def main():
    for command in COMMANDS:
        least, modules = cost(*command.split())
        print(f"iotgwctl {command:20} {least:6.0f} ms CPU  {modules:5} modules")


if __name__ == "__main__":
    main()
