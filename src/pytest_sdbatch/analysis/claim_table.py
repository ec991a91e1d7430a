"""All claims in their order, and one recommendation for the data at hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_sdbatch import units
from pytest_sdbatch.analysis import claims_balance, claims_count, claims_size
from pytest_sdbatch.analysis.claims import Claim, Evidence, Key, Standing, amount
from pytest_sdbatch.analysis.learning_runs import Study
from pytest_sdbatch.analysis.study_figures import Figures, SizeRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """What to do with the data at hand, and why."""

    sentence: str
    reasons: tuple[str, ...]


def claim_table(study: Study, figures: Figures) -> tuple[Claim, ...]:
    """Return all claims, in the order in which they are made: batch size, batch count, the balance of both."""
    evidence = Evidence(study=study, figures=figures)
    return (
        *claims_size.claims(evidence),
        *claims_count.claims(evidence),
        *claims_balance.claims(evidence),
    )


def measured_on(study: Study) -> str:
    """Return on what the claims were measured, and what that is worth."""
    data = study.data
    threads = study.facts.get("threads")
    where = study.facts.get("device_name") or "a device whose model is not known"
    at = f", {units.count(threads, 'thread')}" if isinstance(threads, int) else ""
    return (
        f"{data.name}: {units.count(data.train_images, 'image')} of {data.side}x{data.side} to train on, "
        f"{units.magnitude(data.parameters)} parameters, {where}{at}: this shows how to measure it, not that it holds "
        "for another model"
    )


def recommendation(study: Study, figures: Figures, claims: tuple[Claim, ...]) -> Recommendation:
    """Return the batch size and count to train with: a measured one, never one that was not tried."""
    fastest = figures.fastest
    if fastest is None:
        lowest = min(row.best_loss for row in figures.rows)
        return Recommendation(
            sentence="none: no batch size reached the target in all its runs",
            reasons=(
                f"the lowest held-out loss was {units.number(lowest)}, and the target {units.number(study.target)}: "
                f"give a target that can be reached (--target={lowest * 1.05:.3g}) or more examples (--most-examples)",
            ),
        )
    return Recommendation(
        sentence=f"train {study.data.name} at batch size {fastest.batch_size}, count {fastest.batch_count}, "
        f"learning rate {fastest.rate:.3g}",
        reasons=tuple(_reasons(study, figures, fastest, claims)),
    )


def _reasons(study: Study, figures: Figures, fastest: SizeRow, claims: tuple[Claim, ...]) -> Iterator[str]:
    yield (
        f"of the sizes measured it reached a held-out loss of {units.number(study.target)} soonest: "
        f"{amount(fastest.seconds, 's')}"
    )
    best = figures.best
    if best is not None and best.size.estimate is not None and best.high is not None:
        yield (
            f"the two lines put the best size at {amount(best.size)}; from {units.number(best.low)} to "
            f"{units.number(best.high)} it takes at most a tenth longer, so take what fits in memory, and accumulate "
            "gradients where that is less"
        )
    elif best is not None:
        yield "larger batches cost no more examples as far as was measured: try larger ones"
    if fastest.batch_size in (study.sizes[0], study.sizes[-1]) and len(study.sizes) > 1:
        edge = "smallest" if fastest.batch_size == study.sizes[0] else "largest"
        yield f"it is the {edge} size that was measured: look beyond it"
    ramp = next((claim for claim in claims if claim.key is Key.RAMP), None)
    if ramp is not None and ramp.standing is Standing.SUPPORTED:
        yield f"a ramp is sooner still: {ramp.figures[0]}"
    if not study.tuned_here:
        yield f"learning rates were {study.rates_from}; tuned for these data (--tune) another size may win"
