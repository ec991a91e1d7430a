"""What the gate in pytest says: why a test failed, and the last line of the run."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_sdbatch import units
from pytest_sdbatch.analysis.comparison import COMPARED, CaseComparison, Comparison
from pytest_sdbatch.analysis.exact import LEAST_BYTES
from pytest_sdbatch.analysis.sides import SideRun
from pytest_sdbatch.analysis.verdict import CaseVerdict, Verdict
from pytest_sdbatch.report.comparison import exact_text, regression_texts
from pytest_sdbatch.report.escape import plain

_SHORT = 12  # digits of a commit


def own_failure(
    name: str, *, broken: Sequence[str], worse: CaseVerdict | None, baseline: str | None, memory_tolerance: float
) -> str:
    """Return why the test of a case failed by itself.

    Args:
        name: node id with the parameters.
        broken: limits, in words.
        worse: what is worse than the baseline beyond doubt; None: nothing, or not looked at.
        baseline: its name.
        memory_tolerance: the share by which peak memory may grow.

    """
    lines = [plain(f"{'over limit' if broken else 'regressed'}: {name}")]
    lines += [f"  limit: {plain(text)}" for text in broken]
    if worse is not None:
        is_memory = worse.estimate is not None
        lines.append(exact_text(worse, is_memory=is_memory))
        if is_memory:
            lines.append(f"  budget: {units.share(memory_tolerance)}, at least {units.memory(LEAST_BYTES)}")
        lines.append(f"  baseline: {plain(baseline or '')}")
    return "\n".join(lines)


def regression(case: CaseComparison, comparison: Comparison, *, baseline: str) -> str:
    """Return why the test of a case failed after all ran: numbers, interval, budget, explanation."""
    then, now = (units.count(len(side), "run") for side in case.judged)
    lines = [plain(f"regressed: {case.name}"), *regression_texts(case, comparison)]
    return "\n".join([*lines, f"  baseline: {plain(baseline)}, {then} of it and {now} of this code"])


def settling(comparison: Comparison, *, arguments: str) -> str | None:
    """Return what settles the cases that are inconclusive; None where there is none, or rounds alone are missing.

    Args:
        comparison: of the baseline with this run.
        arguments: of pytest, for a shell.

    """
    unclear = [case for case in comparison.cases if case.verdict is Verdict.INCONCLUSIVE]
    if not unclear or comparison.needs_rounds:
        return None
    (there, was_dirty), (here, is_dirty) = _state(comparison.base), _state(comparison.candidate)
    base, how = there[:_SHORT] if there else "REF", "both versions side by side settle it"
    if there is not None and there == here:
        if is_dirty and not was_dirty:
            base = "HEAD"
        else:  # that is no other version
            base = "REF"
            how = "the baseline is of the commit that is checked out; another version beside it settles it"
    disturbed = [case for case in unclear if case.disturbed]
    if disturbed:
        of = "" if len(disturbed) == len(unclear) else f" of {units.count(len(disturbed), 'case')}"
        how = f"something else used the cores in runs{of}: measure on a quiet machine; or {how}"
    return f"{how}: {plain(f'sdbatch ab --base {base} -- {arguments}')}"


def _state(side: Sequence[SideRun]) -> tuple[str | None, bool]:
    """Return the commit that the runs of *side* were made at, None: not known; and whether on top of changes."""
    facts = next((measured.facts.shown for run in side for measured in run.cases.values()), {})
    return str(facts["commit"]) if facts.get("commit") else None, bool(facts.get("dirty"))


def counted(comparison: Comparison) -> str:
    """Return how many cases were compared, and what was found, in a few words."""
    compared = units.count(comparison.count(*COMPARED), "case")
    found = [
        f"{units.count(comparison.count(verdict))} {verdict}"
        for verdict in (Verdict.REGRESSED, Verdict.NEW, Verdict.MISSING, Verdict.INCOMPARABLE, Verdict.INCONCLUSIVE)
        if comparison.count(verdict)
    ]
    return f"{compared} compared, {', '.join(found) or 'none regressed'}"
