"""The cases of two sides, run by run: which there are, where they stand, and what moved between their runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from pytest_sdbatch.analysis.comparable import Moved, Weight, moved
from pytest_sdbatch.analysis.sides import OK, Measured, SideRun

Runs: TypeAlias = Sequence[Measured]  # of one case, those of a side


def names_of(*sides: Sequence[SideRun]) -> Iterable[str]:
    """Return the names of all cases, in the order in which they were met."""
    return dict.fromkeys(name for side in sides for run in side for name in run.cases)


def both_sides(base: Sequence[SideRun], candidate: Sequence[SideRun], name: str) -> tuple[Runs, Runs]:
    """Return what the runs of each side say of the case *name*."""
    there, here = ([run.cases[name] for run in side if name in run.cases] for side in (base, candidate))
    return there, here


def moved_among(there: Runs, here: Runs) -> tuple[Moved, ...]:
    """Return what differs from the first run that ended well, or from the first.

    Of a case that was not measured less is known, which is no difference. Of what is only shown that alone which no
    run of the base has: it explains nothing where the base has it too.
    """
    if not there or not here:
        return ()
    first = next((run for run in there if run.state == OK), there[0])
    found: dict[Moved, None] = {}
    for other in (*there, *here):
        if other.facts == first.facts:  # nearly always
            continue
        whole = first.state == other.state == OK
        for fact in moved(first.facts, other.facts):
            is_new = fact.weight is not Weight.SHOWN or all(r.facts.shown.get(fact.key) != fact.after for r in there)
            if is_new and (whole or None not in (fact.before, fact.after)):
                found[fact] = None
    return tuple(found)


def design_of(sound: Mapping[str, tuple[Runs, Runs]]) -> dict[str, tuple[str, int, int]]:
    """Return the group of each case, for the explanation; the test is named where there are several."""
    places = {name: there[0].place for name, (there, _) in sound.items() if there[0].place.group}
    several = len({place.test for place in places.values()}) > 1
    return {name: (place.groups[several], place.batch_size, place.batch_count) for name, place in places.items()}
