"""Whether something else used the processor while a case was timed on it: wall time against CPU time."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from pytest_sdbatch import units
from pytest_sdbatch.analysis.config import DRIFT
from pytest_sdbatch.analysis.location import FEWEST_FOR_LOCATION
from pytest_sdbatch.records import Fact, Round

_DRIFT = 0.15  # of the cores in use, from one round to the others of the case
# How reasons end that blame nobody else.
_AMONG_THEMSELVES = "and wait for each other"
_IDLED = "it waited for something"
_TAKEN = 0.10  # of a core that was not free for our threads, or of the time for which one waited
_IDLE = 0.02  # cores, below which this process waits for a server or a GPU, and not for a core
_TICK_S = 0.01  # in which systems count the time of a core
_SHORTEST_S = 0.1  # of a case, below which a tick is too long to judge by


def contended(rounds: Sequence[Round], *, threads: int, cores: int) -> str | None:
    """Return why the times of *rounds* include waiting for a processor, in words; None: nothing says so.

    Threads that are more than the cores wait for each other, unless others used the cores besides. Else there are three
    signs. A thread that did the work was ready to run and had no core, as the scheduler tells it. Others used more than
    what this process left free: with as many free cores as there are threads, each has its own; that counts what a
    hypervisor took too, but in ticks, which tell little of a short case. And the cores at work fell in some round, for
    work waits for its turn or does not; where both of the others are known that blames nobody, since it may have waited
    for a disk or a lock. A process that hardly uses the processor is not judged: its work is done by a server, say,
    which would pass for something else.

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
        share = f"{threads} threads share {units.count(cores, 'core')}"
        others, ticks = _others(rounds, cores=cores)
        if others > _TAKEN + ticks:
            return f"{share}, of which others used {units.number(others)}: something else was running"
        return f"{share}, {_AMONG_THEMSELVES}"
    return (
        _waited(rounds, threads=threads)
        or _crowded(rounds, threads=threads, cores=cores)
        or _drifted(rounds, threads=threads)
    )


def is_disturbed(said: str | None, waited: float | None, others: object) -> bool:
    """Return whether times may be so much longer for what else ran on the machine.

    Args:
        said: of a case, what :func:`contended` returned.
        waited: the share of its times for which a thread was ready and had no core; None: not known.
        others: whether, or how many, other benchmarks were seen there meanwhile: they take memory and caches from
            each other without waiting.

    """
    blamed = said is not None and blames_others(said)
    return blamed or (waited is not None and waited > DRIFT) or bool(others)


def waited_of(rounds: Iterable[Round], where: Mapping[str, Fact]) -> float | None:
    """Return the share of the times of *rounds* that a thread waited for a core; None where nobody knows.

    Threads that are more than the cores wait for each other, whatever else runs.

    Args:
        rounds: of one case.
        where: what must match of the place it ran at.

    """
    threads, cores = where.get("threads"), where.get("cores")
    known = [(one.wall_s, one.cpu_s, one.run_delay_s) for one in rounds if one.run_delay_s is not None]
    if not known or not isinstance(threads, int) or (isinstance(cores, int) and threads > cores):
        return None
    return waited_share(known, threads=threads)


def waited_share(rounds: Iterable[tuple[float, float, float]], *, threads: int) -> float:
    """Return the share of the time for which a thread that did the work was ready and had no core.

    No longer than the threads did not run: of a short round more is waited while the clocks are read, and what the
    process itself runs besides takes cores from them too.

    Args:
        rounds: wall time, CPU time of all threads, and what the thread that waited longest did wait; in one unit.
        threads: that the work is spread over.

    """
    waits = [(wall, min(waited, wall, max(threads * wall - cpu, 0.0))) for wall, cpu, waited in rounds]
    wall, waited = (math.fsum(column) for column in zip(*waits, strict=True)) if waits else (0.0, 0.0)
    return waited / wall if wall > 0 else 0.0


def blames_others(reason: str) -> bool:
    """Return whether *reason*, of :func:`contended`, says that something else took the time of this process."""
    return not reason.endswith((_AMONG_THEMSELVES, _IDLED))


def row_note(reason: str) -> str:
    """Return what the note on a row says of *reason*; how much others took differs, and one note is for all rows."""
    if reason.endswith(_IDLED):
        return "in some round it computed less than usual: it waited for something. Do not rely on it"
    if not blames_others(reason):
        return f"{reason}. Do not rely on it"
    return "something else used its cores, so that the times of this row include waiting for them. Do not rely on it"


def _waited(rounds: Sequence[Round], *, threads: int) -> str | None:
    known = [(one.wall_s, one.cpu_s, one.run_delay_s) for one in rounds if one.run_delay_s is not None]
    share = waited_share(known, threads=threads)
    if share <= _TAKEN:
        return None
    wall_s = math.fsum(wall for wall, _, _ in known)
    return (
        f"for {units.duration(share * wall_s)} of {units.duration(wall_s)} a thread was ready and had no core: "
        "something else was running"
    )


def _crowded(rounds: Sequence[Round], *, threads: int, cores: int) -> str | None:
    others, ticks = _others(rounds, cores=cores)
    free = cores - others
    if threads <= free + _TAKEN + ticks:
        return None
    return (
        f"{units.count(threads, 'thread')} had {units.number(max(free, 0.0))} of {units.count(cores, 'core')} free: "
        "something else was running"
    )


def _others(rounds: Sequence[Round], *, cores: int) -> tuple[float, float]:
    """Return how many cores others used, and how many the ticks of the system may be off by; 0 where nobody knows."""
    known = [(one.wall_s, one.machine_cpu_s - one.cpu_s) for one in rounds if one.machine_cpu_s is not None]
    wall_s = math.fsum(wall for wall, _ in known)
    if wall_s < _SHORTEST_S:
        return 0.0, 0.0
    return max(math.fsum(others for _, others in known), 0.0) / wall_s, 2 * _TICK_S * cores / wall_s


def _drifted(rounds: Sequence[Round], *, threads: int) -> str | None:
    if len(rounds) < FEWEST_FOR_LOCATION or math.fsum(one.wall_s for one in rounds) < _SHORTEST_S:
        return None
    used = [one.cpu_s / one.wall_s for one in rounds]
    usual, lowest = statistics.median(used), min(used)
    if lowest >= (1 - _DRIFT) * usual:
        return None
    fell = rounds[used.index(lowest)]
    told = fell.run_delay_s is not None and fell.machine_cpu_s is not None
    idled = told and waited_share([(fell.wall_s, fell.cpu_s, fell.run_delay_s or 0.0)], threads=threads) <= _TAKEN
    return (
        f"a round had {units.number(lowest)} cores at work where {units.number(usual)} are usual: "
        f"{_IDLED if idled else 'something else was running'}"
    )
