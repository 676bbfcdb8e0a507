"""How many threads the numeric libraries take: one a process, for all that we compute ourselves.

Their sums depend on how many there are, and with them every sound's last bits. Worker processes, a core each, would
also wait for one another's threads: three times as long, measured on two cores.
"""

from __future__ import annotations

import os

_LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_OURS = "SFXGEN_ONE_THREAD"


def one_a_process() -> None:
    """Holds for this process and those it starts, if it has imported neither numpy nor torch yet. What a person has set
    stays."""
    if "OMP_NUM_THREADS" not in os.environ:
        os.environ[_OURS] = "1"
    for name in _LIBRARIES:
        os.environ.setdefault(name, "1")


def of_a_network(now: int) -> int:
    """How many a pretrained network may take, where torch has `now`: all cores, unless a person has said how many."""
    return usable_cores() if _OURS in os.environ else now


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
