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
    """What each thread has run and waited since it started, at one moment, in nanoseconds."""

    ran_ns: Mapping[str, int] = field(default_factory=dict)
    waited_ns: Mapping[str, int] = field(default_factory=dict)
    reason: str | None = None  # why it is not known


def run_queue(*, proc: Path = PROC) -> RunQueue:
    """Return what the scheduler tells of the threads of this process.

    Source: schedstat of Linux (Documentation/scheduler/sched-stats.rst): nanoseconds on a core, nanoseconds ready to
    run without one, turns. It does not count in ticks. What a hypervisor took from the machine, or a quota of a control
    group withheld, is none of it.

    Args:
        proc: where the kernel's process files are mounted.

    """
    ran_ns, waited_ns = {}, {}
    try:
        for task in (proc / "self" / "task").iterdir():
            try:
                ran, waited = (task / "schedstat").read_text(encoding="ascii").split()[:2]
                ran_ns[task.name], waited_ns[task.name] = int(ran), int(waited)
            except (OSError, ValueError):  # the thread ended meanwhile, or the file is none that we know
                continue
    except OSError:
        pass
    if not any(ran_ns.values()):  # a kernel that does not count has the file, and in it 0 0 0
        return RunQueue(reason="the system does not tell how long threads wait for a core")
    return RunQueue(ran_ns=ran_ns, waited_ns=waited_ns)


def longest_wait(before: RunQueue, after: RunQueue) -> Reading:
    """Return for how long the thread waited that waited longest of those that did the work, seconds.

    Threads that work on one thing wait for the last of them, so that no mean tells how long the work was held up.
    Known answer: one that ran 0.9 s and waited 0.1 s beside a helper that ran 1 ms and waited 1 s gives 0.1 s.
    """
    if before.reason or after.reason:
        return Reading(reason=before.reason or after.reason)
    # Of a thread that started meanwhile, or has the number of one that ended, everything is new.
    old = {name for name, ran in before.ran_ns.items() if after.ran_ns.get(name, 0) >= ran}
    ran = {name: ns - (before.ran_ns[name] if name in old else 0) for name, ns in after.ran_ns.items()}
    waited = {name: ns - (before.waited_ns[name] if name in old else 0) for name, ns in after.waited_ns.items()}
    most = max(ran.values())
    return Reading(value=max(waited[name] for name, ns in ran.items() if ns >= _WORKS * most) / _NS)
