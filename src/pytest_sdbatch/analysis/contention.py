"""Whether something else used the processor while a case was timed on it: wall time against CPU time."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_sdbatch import units

_DRIFT = 0.15  # of the cores in use, from one round to the others of the case
_TAKEN = 0.10  # of a core that was not free for our threads
_SHORTEST_S = 0.1  # of a case: the system counts a processor's time in steps of 10 ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Whose the processor was during a round."""

    wall_s: float  # > 0
    own_s: float  # CPU time of this process, all threads
    others_s: float | None = None  # CPU time of everything else on the machine; None: not known


def contended(rounds: Sequence[Use], *, threads: int, cores: int) -> str | None:
    """Return why the times of *rounds* include waiting for a processor, in words; None: nothing says so.

    Two signs. Others used more than what this process left free: with as many threads as there are free cores, each
    has its own. And the cores in use fell in some round, since work waits for its turn or does not, whatever the
    system tells of others.

    Known answer: on 2 cores with 2 threads, beside a loop that keeps 1 core busy, 1 core is free.

    Args:
        rounds: of one case.
        threads: that the work is spread over.
        cores: that this process may use.

    Raises:
        ValueError: for no threads or cores, or a round without duration.

    """
    if threads < 1 or cores < 1:
        raise ValueError(f"{threads} threads on {cores} cores: both are 1 or more")
    if any(not (math.isfinite(one.wall_s) and one.wall_s > 0) for one in rounds):
        raise ValueError("a round lasts longer than 0 s")
    return _crowded(rounds, threads=threads, cores=cores) or _drifted(rounds)


def _crowded(rounds: Sequence[Use], *, threads: int, cores: int) -> str | None:
    known = [one for one in rounds if one.others_s is not None]
    wall_s = math.fsum(one.wall_s for one in known)
    if wall_s < _SHORTEST_S:
        return None
    taken = math.fsum(one.others_s or 0.0 for one in known) / wall_s
    free = cores - taken
    if threads <= free + _TAKEN:
        return None
    return (
        f"{units.count(threads, 'thread')} had {units.number(max(free, 0.0))} of {units.count(cores, 'core')} free: "
        "something else was running"
    )


def _drifted(rounds: Sequence[Use]) -> str | None:
    if len(rounds) < 3 or math.fsum(one.wall_s for one in rounds) < _SHORTEST_S:
        return None
    used = [one.own_s / one.wall_s for one in rounds]
    usual = statistics.median(used)
    lowest = min(used)
    if usual <= 0 or lowest >= (1 - _DRIFT) * usual:
        return None
    return (
        f"a round had {units.number(lowest)} cores at work where {units.number(usual)} are usual: "
        "something else was running"
    )
