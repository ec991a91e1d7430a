"""Which runs of a comparison were so restless that none may rely on their times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pytest_sdbatch.analysis.location import interval
from pytest_sdbatch.analysis.sides import OK, Measured, SideRun


def noisy_runs(side: Sequence[SideRun], names: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each run of *side* (from 1) with those of the cases *names* whose rounds differ a lot."""
    wanted = tuple(names)
    for number, run in enumerate(side, start=1):
        noisy = [name for name in wanted if name in run.cases and is_noisy(run.cases[name])]
        if noisy:
            yield number, noisy


def is_noisy(measured: Measured) -> bool:
    """Return whether the rounds of a case differ so much that it would be stored as no baseline."""
    if measured.state != OK or not measured.seconds:
        return False
    found = interval(measured.seconds)
    return found is not None and found.restless
