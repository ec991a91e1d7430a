"""Whether something else used the processor while a case was timed on it: wall time against CPU time."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from pytest_sdbatch import units
from pytest_sdbatch.analysis.location import FEWEST_FOR_LOCATION
from pytest_sdbatch.records import Round

_DRIFT = 0.15  # of the cores in use, from one round to the others of the case
_AMONG_THEMSELVES = "and wait for each other"  # how a reason ends that blames nobody else
_TAKEN = 0.10  # of a core that was not free for our threads, or of the time for which one waited
_IDLE = 0.02  # cores, below which this process waits for a server or a GPU, and not for a core
_TICK_S = 0.01  # in which systems count the time of a core
_SHORTEST_S = 0.1  # of a case, below which a tick is too long to judge by


def contended(rounds: Sequence[Round], *, threads: int, cores: int) -> str | None:
    """Return why the times of *rounds* include waiting for a processor, in words; None: nothing says so.

    Threads that are more than the cores wait for each other. Else there are three signs. A thread that did the work
    was ready to run and had no core, as the scheduler tells it. Others used more than what this process left free: with
    as many free cores as there are threads, each has its own; that counts what a hypervisor took too, but in ticks,
    which tell little of a short case. And the cores at work fell in some round, since work waits for its turn or does
    not, whatever the system tells of others. A process that hardly uses the processor is not judged: its work is done
    by a server, say, which would pass for something else.

    Known answer: 2 threads on 2 cores beside a loop that keeps 1 core busy have 1 core free, and are marked; on 4
    cores they have 3 free, and are not.

    Args:
        rounds: of one case, on a CPU.
        threads: that the work is spread over.
        cores: that this process may use.

    Raises:
        ValueError: for no threads or cores, or a round without duration.

    """
    if threads < 1 or cores < 1:
        raise ValueError(f"{threads} threads on {cores} cores: both are 1 or more")
    if any(not (math.isfinite(one.wall_s) and one.wall_s > 0) for one in rounds):
        raise ValueError("a round lasts longer than 0 s")
    if not rounds or math.fsum(one.cpu_s for one in rounds) < _IDLE * math.fsum(one.wall_s for one in rounds):
        return None
    if threads > cores:
        return f"{threads} threads share {units.count(cores, 'core')}, {_AMONG_THEMSELVES}"
    return _waited(rounds, threads=threads) or _crowded(rounds, threads=threads, cores=cores) or _drifted(rounds)


def blames_others(reason: str) -> bool:
    """Return whether *reason* says that something else took the time, and not the threads of this process."""
    return not reason.endswith(_AMONG_THEMSELVES)


def row_note(reason: str) -> str:
    """Return what the note on a row says of *reason*; how much others took differs, and one note is for all rows."""
    if not blames_others(reason):
        return f"{reason}. Do not rely on it"
    return "something else used its cores, so that the times of this row include waiting for them. Do not rely on it"


def _waited(rounds: Sequence[Round], *, threads: int) -> str | None:
    # No longer than the threads did not run: of a short round more is waited while the clocks are read, and what the
    # process itself runs besides takes cores from them too.
    known = [
        (one.wall_s, min(one.run_delay_s, one.wall_s, max(threads * one.wall_s - one.cpu_s, 0.0)))
        for one in rounds
        if one.run_delay_s is not None
    ]
    wall_s, waited_s = (math.fsum(column) for column in zip(*known, strict=True)) if known else (0.0, 0.0)
    if waited_s <= _TAKEN * wall_s:
        return None
    return (
        f"for {units.duration(waited_s)} of {units.duration(wall_s)} a thread was ready and had no core: "
        "something else was running"
    )


def _crowded(rounds: Sequence[Round], *, threads: int, cores: int) -> str | None:
    known = [(one.wall_s, one.machine_cpu_s - one.cpu_s) for one in rounds if one.machine_cpu_s is not None]
    wall_s = math.fsum(wall for wall, _ in known)
    if wall_s < _SHORTEST_S:
        return None
    free = cores - max(math.fsum(others for _, others in known), 0.0) / wall_s
    if threads <= free + _TAKEN + 2 * _TICK_S * cores / wall_s:
        return None
    return (
        f"{units.count(threads, 'thread')} had {units.number(max(free, 0.0))} of {units.count(cores, 'core')} free: "
        "something else was running"
    )


def _drifted(rounds: Sequence[Round]) -> str | None:
    if len(rounds) < FEWEST_FOR_LOCATION or math.fsum(one.wall_s for one in rounds) < _SHORTEST_S:
        return None
    used = [one.cpu_s / one.wall_s for one in rounds]
    usual, lowest = statistics.median(used), min(used)
    if lowest >= (1 - _DRIFT) * usual:
        return None
    return (
        f"a round had {units.number(lowest)} cores at work where {units.number(usual)} are usual: "
        "something else was running"
    )
