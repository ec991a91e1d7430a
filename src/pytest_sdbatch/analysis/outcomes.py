"""Cases that did not end well on either side: what that says, before any time is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pytest_sdbatch import units
from pytest_sdbatch.analysis.sides import OK, Measured
from pytest_sdbatch.analysis.verdict import CaseVerdict, Verdict
from pytest_sdbatch.records import Outcome

_SKIPPED = Outcome.SKIPPED.value
# The code did what it should, the machine did not: the numbers tell nothing of either.
_UNSURE = (Outcome.THROTTLED.value, Outcome.INVALID_ENVIRONMENT.value)
# What a sound measurement may come to, of which a later one can say that nothing changed; other failures measured none.
_RESULTS = (Outcome.OOM.value, Outcome.SPILLED.value, Outcome.OVER_LIMIT.value)


def state_of_base(found: Sequence[Measured]) -> Measured:
    """Return what stands for the stored runs of a case, one or more: if it went well once, it could."""
    return _first(found, (_is_ok, is_failure, _is_unsure, _is_skipped))


def state_of_candidate(found: Sequence[Measured]) -> Measured:
    """Return what stands for the new runs of a case, one or more: if it failed once, it does."""
    return _first(found, (is_failure, _is_ok, _is_unsure, _is_skipped))


def compare_outcomes(base: Measured, candidate: Measured) -> CaseVerdict | None:
    """Return the verdict on how a case ended on both sides; None where it went well on both, so that numbers decide."""
    then, now = base.state, candidate.state
    if then == now == OK:
        return None
    if now == _SKIPPED:
        both = "by both sides" if then == _SKIPPED else f"now: {candidate.reason or 'no reason was recorded'}"
        return CaseVerdict(verdict=Verdict.MISSING, reason=f"skipped {both}")
    if then == _SKIPPED:
        return CaseVerdict(
            verdict=Verdict.NEW, reason=f"the base skipped it: {base.reason or 'no reason was recorded'}"
        )
    if then == now and is_failure(candidate) and now not in _RESULTS:
        return CaseVerdict(verdict=Verdict.MISSING, reason=f"failed on both sides: {now}")
    if _is_unsure(base) or _is_unsure(candidate):
        verdict = Verdict.INCONCLUSIVE
    elif then == OK:
        verdict = Verdict.REGRESSED
    elif now == OK:
        verdict = Verdict.IMPROVED
    else:
        verdict = Verdict.UNCHANGED if then == now else Verdict.INCONCLUSIVE
    if then == now:
        return CaseVerdict(verdict=verdict, reason=f"{now} on both sides")
    why = (candidate if now != OK else base).reason
    return CaseVerdict(verdict=verdict, reason=f"{then} before, {now} now" + (f": {why}" if why else ""))


def invalid_environment(sides: Iterable[Sequence[Measured]]) -> str | None:
    """Return why nothing that was measured can be believed; None where it can.

    One process that met other users of the device is enough, and one case that was throttled in every run of a side.

    Args:
        sides: of each case, the runs of one side that have it.

    """
    found = [side for side in sides if side]
    invalid = [m for side in found for m in side if m.state == Outcome.INVALID_ENVIRONMENT.value]
    if invalid:
        return f"invalid environment: {invalid[0].reason or 'no reason was recorded'}"
    crowded = {m.place for side in found for m in side if m.foreign_processes}
    if crowded:
        return f"other processes used the device during {units.count(len(crowded), 'case')}"
    throttled = {side[0].place for side in found if all(m.state == Outcome.THROTTLED.value for m in side)}
    return f"{units.count(len(throttled), 'case')} throttled in every round" if throttled else None


def _first(found: Sequence[Measured], kinds: Sequence[Callable[[Measured], bool]]) -> Measured:
    return next(measured for is_kind in kinds for measured in found if is_kind(measured))


def _is_ok(measured: Measured) -> bool:
    return measured.state == OK


def _is_unsure(measured: Measured) -> bool:
    return measured.state in _UNSURE


def _is_skipped(measured: Measured) -> bool:
    return measured.state == _SKIPPED


def is_failure(measured: Measured) -> bool:
    """Return whether the code did not do what it should."""
    return measured.state not in (OK, _SKIPPED, *_UNSURE)
