"""Answer the clock: a peer's process says that it is ready, then makes a call for every line that it reads.

Nothing but the standard library, so that it runs in any environment.  Answers are lines of JSON after `MARK`, since
some packages print on their own.
"""

import json
import sys
import time
from importlib.metadata import version

MARK = "@answer "


def serve(make, package, note):
    """Make the call of a peer, and answer until the input ends.

    Args:
        make: function (structure file, cutoff in Angstrom) -> function without arguments, one step.
        package: name of the distribution, for its version.
        note: what a step is, in words.
    """
    structure, cutoff = sys.argv[1], float(sys.argv[2])
    start = time.perf_counter()
    call = make(structure, cutoff)
    call()
    cold = time.perf_counter() - start
    for _ in range(2):  # torch optimises in the second and third call
        call()
    answer({"package": package, "version": version(package), "note": note, "cold_s": cold})
    for _ in sys.stdin:
        start = time.perf_counter()
        call()
        answer({"seconds": time.perf_counter() - start})


def answer(facts):
    """One line for the process that keeps the time."""
    print(MARK + json.dumps(facts), flush=True)
