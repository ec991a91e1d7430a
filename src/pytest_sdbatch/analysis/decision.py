"""The decision of a gate, on values alone: which cases regressed. Deterministic; a device or a simulation runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_sdbatch.analysis.config import Config
from pytest_sdbatch.analysis.confirm import confirm
from pytest_sdbatch.analysis.estimate import FEWEST_PAIRS, Estimate, Locations, Run, locations
from pytest_sdbatch.analysis.explanation import explain
from pytest_sdbatch.analysis.judge import judge
from pytest_sdbatch.analysis.pairs import LocatedPair, MorePairs, PairSource, differences
from pytest_sdbatch.analysis.screen import SCREENING_PAIRS, look_faster, pooled_spread, screening_estimates, suspects
from pytest_sdbatch.analysis.stored import judge_stored, stored_estimates
from pytest_sdbatch.analysis.verdict import CaseVerdict, Decision, Verdict


def decide(
    baseline_runs: Sequence[Run],
    candidate_runs: Sequence[Run],
    more_pairs: MorePairs | None,
    config: Config | Mapping[str, Any] | None = None,
) -> Decision:
    """Return the verdict on every case, for one metric.

    With *more_pairs* the sides are compared in interleaved pairs of fresh processes: two pairs of all cases screen,
    up to eight more of the suspects decide, the first four of them also of cases that look faster. Without, runs that
    were stored are compared, which can say less.

    Known answer: four pairs of a suspect differ by ln-ratios 0.04, 0.05, 0.05, 0.06. Their mean is 0.05, their stdev
    0.00816, t = 0.05 / (0.00816 / 2) = 12.2 and p = 0.0006 with 3 degrees of freedom: under 0.3 x 0.008 = 0.0024,
    so the case is regressed at the first look, by exp(0.05) - 1 = 5.1 %, between 3.8 and 6.5 % (3.18 standard errors).

    Args:
        baseline_runs: runs of the base, each {case id: seconds of its rounds}; empty with *more_pairs*.
        candidate_runs: runs of the candidate, likewise.
        more_pairs: called as ``more_pairs(cases, n)`` it returns n more pairs (base run, candidate run) in time order,
            of at least those cases (None: all there are), or fewer when interrupted. None: the stored-baseline rule.
        config: the rules, or the fields of :class:`Config` that differ from its defaults.

    Raises:
        ValueError: for seconds that are not finite or not above 0, fewer than 5 rounds, a rule out of range, or runs
            given together with *more_pairs*.

    """
    rules = config if isinstance(config, Config) else Config(**(config or {}))
    if more_pairs is None:
        return _stored(baseline_runs, candidate_runs, rules)
    if baseline_runs or candidate_runs:
        raise ValueError("runs are compared with each other or pairs are made, not both")
    return _paired(PairSource(more_pairs), rules)


def _stored(baseline_runs: Sequence[Run], candidate_runs: Sequence[Run], config: Config) -> Decision:
    base, candidate = [locations(run) for run in baseline_runs], [locations(run) for run in candidate_runs]
    both, one_sided = _one_and_both(base, candidate)
    estimates = stored_estimates(base, candidate, both)
    verdicts, suspected = judge_stored(estimates, config)
    return Decision(
        verdicts=verdicts | one_sided,
        suspects=suspected,
        explanations=explain(verdicts, estimates, base, config.design),
    )


def _paired(source: PairSource, config: Config) -> Decision:
    screening = source.ask(None, SCREENING_PAIRS)
    both, _ = _sides(screening)
    estimates = screening_estimates({case: differences(screening, case) for case in both})
    suspected, faster = suspects(estimates, config), look_faster(estimates, config)
    verdicts = {case: _first_sight(case, estimates.get(case), config, suspected) for case in both}
    unclear = [case for case in both if verdicts[case].verdict is Verdict.INCONCLUSIVE or case in faster]
    along = [case for case in unclear if case not in suspected]
    confirmed, later = confirm(
        source, config, suspects=suspected, companions=along, screened=pooled_spread(estimates.values())
    )
    # That it looks faster took no doubt from a case: too few pairs to tell by how much leave it as it was.
    verdicts |= {case: v for case, v in confirmed.items() if v.pairs >= FEWEST_PAIRS or case not in faster}
    in_any, one_sided = _sides(source.pairs)
    late = CaseVerdict(verdict=Verdict.INCONCLUSIVE, reason="it was not yet on both sides in the pairs that screen")
    verdicts |= {case: late for case in in_any if case not in verdicts}
    return Decision(
        verdicts=verdicts | one_sided,
        suspects=suspected,
        pairs_run=len(source.pairs),
        interrupted=source.interrupted,
        explanations=explain(verdicts, estimates | later, [base for base, _ in source.pairs], config.design),
    )


def _first_sight(case: str, estimate: Estimate | None, config: Config, suspected: Sequence[str]) -> CaseVerdict:
    """Return what holds if no more pairs come: of a suspect nothing."""
    if estimate is None:
        return CaseVerdict(verdict=Verdict.INCONCLUSIVE, reason="no pair has it on both sides")
    fewest = FEWEST_PAIRS if case in suspected else SCREENING_PAIRS
    return judge(case, estimate, config, family=len(suspected), fewest=fewest)


def _sides(pairs: Sequence[LocatedPair]) -> tuple[list[str], dict[str, CaseVerdict]]:
    return _one_and_both([base for base, _ in pairs], [candidate for _, candidate in pairs])


def _one_and_both(
    base: Sequence[Locations], candidate: Sequence[Locations]
) -> tuple[list[str], dict[str, CaseVerdict]]:
    """Return the cases that both sides ran, and the verdicts on the others."""
    there, here = (dict.fromkeys(case for run in runs for case in run) for runs in (base, candidate))
    one_sided = {
        case: CaseVerdict(verdict=Verdict.MISSING, reason="the candidate did not run it")
        for case in there.keys() - here
    } | {case: CaseVerdict(verdict=Verdict.NEW, reason="the base did not run it") for case in here.keys() - there}
    return [case for case in there if case in here], dict(sorted(one_sided.items()))
