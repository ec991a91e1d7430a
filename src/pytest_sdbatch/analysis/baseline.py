"""Whether a run may be stored for later comparisons, and why not."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_sdbatch import units
from pytest_sdbatch.analysis.contention import is_disturbed, waited_of
from pytest_sdbatch.analysis.location import FEWEST_FOR_ERROR, Interval, interval
from pytest_sdbatch.records import OTHER_BENCHMARKS, Environment, Outcome, Record, Run

_NAMED = 3


def why_unfit(run: Run) -> str | None:
    """Return why *run* is no baseline, naming the cases; None where it is whole, sound, quiet and its process alone.

    Where something else used its cores it is none either: against it no later run is unchanged. Sizes that do not fit
    the device's memory, and what was skipped, are part of a sound run.
    """
    if run.interrupted:
        return "the run was interrupted"
    measured = [record for record in run.records if record.outcome is not Outcome.SKIPPED]
    if not measured:
        return "nothing was measured"
    unsound = [r for r in measured if not (r.fit_for_baseline or r.outcome.did_not_fit)]
    if unsound:
        return f"{len(unsound)} of its cases cannot be compared with later: {_named([(r, _how(r)) for r in unsound])}"
    if all(record.outcome.did_not_fit for record in measured):
        return "no case was measured to its end"
    noisy = [(r, units.spread(found.half_width_ratio)) for r in measured if (found := restless(r)) is not None]
    if noisy:
        return f"the rounds of {units.count(len(noisy), 'case')} differ a lot (was the machine busy?): {_named(noisy)}"
    disturbed = [(record, "beside other work") for record in measured if _was_disturbed(record, run.environment)]
    if disturbed:
        cases = units.count(len(disturbed), "case")
        return f"something else used the cores of {cases}, so that slowdowns would hide behind it: {_named(disturbed)}"
    return None


def without_verdict(runs: Sequence[Run]) -> str | None:
    """Return how many cases of *runs* have too few rounds in each for a verdict on time, in words; None: none has.

    They are no worse for it: what they are compared by is outcome and memory.
    """
    sound = [record for run in runs for record in run.records if record.outcome is Outcome.OK]
    few = {record.key for record in sound} - {r.key for r in sound if len(r.rounds) >= FEWEST_FOR_ERROR}
    if not few:
        return None
    cases = units.count(len(few), "case")
    return f"no verdict on the time of {cases}: fewer than {FEWEST_FOR_ERROR} rounds, -o sd_rounds={FEWEST_FOR_ERROR}"


def restless(record: Record) -> Interval | None:
    """Return the interval of the seconds of the rounds of *record*, where it is so wide that none may rely on them."""
    seconds = [reading.wall_s for reading in record.rounds]
    if not seconds or min(seconds) <= 0:
        return None
    found = interval(seconds)
    return found if found is not None and found.restless else None


def _was_disturbed(record: Record, environment: Environment) -> bool:
    if record.outcome is not Outcome.OK:
        return False
    waited = waited_of(record.rounds, environment.must_match) if record.is_alone else None
    return is_disturbed(record.contention, waited, environment.shown.get(OTHER_BENCHMARKS))


def _how(record: Record) -> str:
    if record.outcome is not Outcome.OK:
        return record.outcome.value
    if record.test_outcome != "passed":
        return f"its test {record.test_outcome}"
    return f"{record.parallel} processes shared the machine"


def _named(cases: Sequence[tuple[Record, str]]) -> str:
    named = ", ".join(f"{record.case.id} ({how})" for record, how in cases[:_NAMED])
    return named if len(cases) <= _NAMED else f"{named}, ..."
