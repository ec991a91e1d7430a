"""A learning study for machines: plain builtins with names that do not change within a schema."""

from __future__ import annotations

from typing import Any

from pytest_sdbatch.analysis.claim_table import claim_table, measured_on
from pytest_sdbatch.analysis.learning_curve import convergence_rate
from pytest_sdbatch.analysis.learning_runs import Study, TrainingRun
from pytest_sdbatch.analysis.recommendation import recommendation
from pytest_sdbatch.analysis.scaling import Bounds
from pytest_sdbatch.analysis.study_figures import SizeRow, figures_of

SCHEMA = 1


def study_data(study: Study) -> dict[str, Any]:
    """Return what follows from *study* for machines; unknown is null with a reason beside it."""
    figures = figures_of(study)
    claims = claim_table(study, figures)
    advice = recommendation(study, figures, claims)
    best = figures.best
    return {
        "schema": SCHEMA,
        "target": study.target,
        "clock": study.clock.value,
        "rates": {"policy": study.policy.value, "from": study.rates_from, "tuned_here": study.tuned_here},
        "sizes": [_row_data(row) for row in figures.rows],
        "runs": [_run_data(run) for run in study.runs],
        "law": None
        if figures.law is None
        else {
            "fewest_examples": _bounds(figures.law.fewest_examples),
            "fewest_steps": _bounds(figures.law.fewest_steps),
            "critical_batch": _bounds(figures.law.critical_batch),
            "r_squared": figures.law.r_squared,
        },
        "no_law": figures.no_law or None,
        "half_saturation": None if figures.scaling is None else _bounds(figures.scaling.half_saturation),
        "best_batch": None
        if best is None
        else {"size": _bounds(best.size), "within_a_tenth": [best.low, best.high], "seconds": best.seconds},
        "claims": [
            {
                "key": claim.key.value,
                "heading": claim.heading,
                "claim": claim.claim,
                "standing": claim.standing.value,
                "sentence": claim.sentence,
                "figures": list(claim.figures),
                "settles": claim.settles,
            }
            for claim in claims
        ],
        "recommendation": {"sentence": advice.sentence, "reasons": list(advice.reasons)},
        "measured_on": measured_on(study),
        "command": study.command or None,
    }


def _row_data(row: SizeRow) -> dict[str, Any]:
    return {
        "batch_size": row.batch_size,
        "batch_count": row.batch_count,
        "rate": row.rate,
        "runs": row.runs,
        "reached": row.reached,
        "diverged": row.diverged,
        "best_loss": row.best_loss,
        "steps": _bounds(row.steps),
        "examples": _bounds(row.examples),
        "seconds": _bounds(row.seconds),
        "step_s": row.step_s,
        "examples_per_s": row.examples_per_s,
        "gap": row.gap,
        "peak_bytes": row.peak_bytes,
        "peak_bytes_by_phase": None if row.memory is None else dict(row.memory.phase_bytes),
        "peak_measure": None if row.memory is None else row.memory.measure,
        "joules_per_example": row.joules_per_example.value,
        "joules_reason": row.joules_per_example.reason,
        "accuracy": row.accuracy.value,
        "accuracy_reason": row.accuracy.reason,
        "frechet": row.frechet.value,
        "frechet_reason": row.frechet.reason,
    }


def _run_data(run: TrainingRun) -> dict[str, Any]:
    last = run.evaluations[-1]
    return {
        "name": run.name,
        "outcome": run.end.value,
        "reason": run.reason,
        "steps": last.steps,
        "examples": last.examples,
        "seconds": last.seconds,
        "held_out_loss": last.held_out_loss,
        "fall_of_ln_loss_per_s": convergence_rate(run.evaluations, lambda found: found.seconds),
        "fall_of_ln_loss_per_example": convergence_rate(run.evaluations, lambda found: found.examples),
    }


def _bounds(bounds: Bounds | None) -> dict[str, float | None] | None:
    return None if bounds is None else {"estimate": bounds.estimate, "low": bounds.low, "high": bounds.high}
