"""imagiq in a process whose date jumps by many years again and again, as a machine's clock does that is set."""

import os
import sys
import time

from imagiq.cli import main

YEARS_S = 30 * 365.25 * 86400
REAL = time.time
JUMPS = {"30": (YEARS_S,), "-30": (-YEARS_S,), "both": (YEARS_S, -YEARS_S, 0.0)}[os.environ["IMAGIQ_JUMPS"]]
asked = 0


def jumping() -> float:
    global asked  # noqa: PLW0603 - a machine has one clock
    asked += 1
    return REAL() + JUMPS[asked % len(JUMPS)]


time.time = jumping
sys.exit(main())
