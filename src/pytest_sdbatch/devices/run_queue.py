"""How long threads of this process waited for a core, which the scheduler of Linux counts for each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_sdbatch.devices.control_groups import PROC
from pytest_sdbatch.records import Reading

_WORKS = 0.1  # of what the busiest thread ran: one that ran less only helps, and its waiting holds nobody up
_NS = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQueue:
    """What each thread has run and waited since it started, at one moment."""

    threads: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # ns on a core, ns ready to run without one
    reason: str | None = None  # why it is not known


def run_queue(*, proc: Path = PROC) -> RunQueue:
    """Return what the scheduler tells of the threads of this process.

    Source: schedstat of Linux (Documentation/scheduler/sched-stats.rst): nanoseconds on a core, nanoseconds ready to
    run without one, turns. It does not count in ticks. What a hypervisor took from the machine, or a quota of a control
    group withheld, is none of it.

    Args:
        proc: where the kernel's process files are mounted.

    """
    threads = {}
    try:
        for task in (proc / "self" / "task").iterdir():
            try:
                ran, waited = (task / "schedstat").read_text(encoding="ascii").split()[:2]
                threads[task.name] = (int(ran), int(waited))
            except (OSError, ValueError):  # the thread ended meanwhile, or the file is none that we know
                continue
    except OSError:
        pass
    if not any(ran for ran, _ in threads.values()):  # a kernel that does not count has the file, and in it 0 0 0
        return RunQueue(reason="the system does not tell how long threads wait for a core")
    return RunQueue(threads=threads)


def longest_wait(before: RunQueue, after: RunQueue) -> Reading:
    """Return for how long the thread waited that waited longest of those that did the work, seconds.

    Threads that work on one thing wait for the last of them, so that no mean tells how long the work was held up.
    Known answer: one that ran 0.9 s and waited 0.1 s beside a helper that ran 1 ms and waited 1 s gives 0.1 s.
    """
    if before.reason or after.reason:
        return Reading(reason=before.reason or after.reason)
    spent = [_since(before.threads.get(name), now) for name, now in after.threads.items()]
    most = max(ran for ran, _ in spent)
    return Reading(value=max(waited for ran, waited in spent if ran >= _WORKS * most) / _NS)


def _since(then: tuple[int, int] | None, now: tuple[int, int]) -> tuple[int, int]:
    if then is None or now[0] < then[0] or now[1] < then[1]:  # started meanwhile, or has the number of one that ended
        return now
    return now[0] - then[0], now[1] - then[1]
