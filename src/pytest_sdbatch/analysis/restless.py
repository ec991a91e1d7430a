"""Which runs of a comparison were so restless, or so crowded, that none may rely on their times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from pytest_sdbatch.analysis.contention import is_disturbed
from pytest_sdbatch.analysis.location import interval
from pytest_sdbatch.analysis.sides import OK, Measured, SideRun
from pytest_sdbatch.records import OTHER_BENCHMARKS


def runs_with(
    holds: Callable[[Measured], bool], side: Sequence[SideRun], names: Iterable[str]
) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each run of *side* (from 1) with those of the cases *names* of which *holds* is true."""
    wanted = tuple(names)
    for number, run in enumerate(side, start=1):
        found = [name for name in wanted if name in run.cases and holds(run.cases[name])]
        if found:
            yield number, found


def was_disturbed(measured: Measured) -> bool:
    """Return whether the times of a case that ended well may be so much longer for what else ran on its machine."""
    others = measured.facts.shown.get(OTHER_BENCHMARKS)
    return measured.state == OK and is_disturbed(measured.contention, measured.waited, others)


def is_noisy(measured: Measured) -> bool:
    """Return whether the rounds of a case differ so much that it would be stored as no baseline."""
    if measured.state != OK or not measured.seconds:
        return False
    found = interval(measured.seconds)
    return found is not None and found.restless
