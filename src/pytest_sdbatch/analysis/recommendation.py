"""One recommendation for the data at hand: a size that was measured, and what speaks for others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_sdbatch import units
from pytest_sdbatch.analysis.claims import Claim, Key, Standing, amount, standing_of, times
from pytest_sdbatch.analysis.learning_runs import Part, Study
from pytest_sdbatch.analysis.scaling import Bounds
from pytest_sdbatch.analysis.study_figures import Figures, SizeRow, contrast, of_size, took


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """What to do with the data at hand, and why."""

    sentence: str
    reasons: tuple[str, ...]


def recommendation(study: Study, figures: Figures, claims: tuple[Claim, ...]) -> Recommendation:
    """Return the batch size and count to train with: a measured one, never one that was not tried."""
    fastest = figures.fastest
    if fastest is None:
        lowest = min(row.best_loss for row in figures.rows)
        found, target = units.told_apart(lowest, study.target)
        return Recommendation(
            sentence="none: no batch size reached the target in all its runs",
            reasons=(
                f"the lowest held-out loss was {found}, and the target {target}: "
                f"give a target that can be reached (--target={lowest * 1.05:.3g}) or more examples (--most-examples)",
            ),
        )
    rivals = _not_told_from(study, figures, fastest)
    beside = f"; these runs do not tell it from {', '.join(map(str, rivals))}" if rivals else ""
    return Recommendation(
        sentence=f"train {study.data.name} at batch size {fastest.batch_size}, count {fastest.batch_count}, "
        f"learning rate {fastest.rate:.3g}{beside}",
        reasons=tuple(_reasons(study, figures, fastest, rivals, claims)),
    )


def _not_told_from(study: Study, figures: Figures, fastest: SizeRow) -> dict[int, Bounds | None]:
    """Return the other sizes that reached the target and are not surely slower: seconds over those of *fastest*."""
    table = study.of(Part.TABLE)
    ratios = {
        row.batch_size: contrast(
            of_size(table, row.batch_size),
            of_size(table, fastest.batch_size),
            lambda run: took(run, study.target).seconds,
        )
        for row in figures.rows
        if row is not fastest and row.reached == row.runs
    }
    return {
        size: ratio
        for size, ratio in ratios.items()
        if standing_of(ratio, claimed_above=True) is not Standing.SUPPORTED
    }


def _reasons(
    study: Study,
    figures: Figures,
    fastest: SizeRow,
    rivals: dict[int, Bounds | None],
    claims: tuple[Claim, ...],
) -> Iterator[str]:
    yield (
        f"of the sizes measured it reached a held-out loss of {units.number(study.target)} soonest: "
        f"{amount(fastest.seconds, 's')}"
    )
    for size, ratio in rivals.items():
        equal = standing_of(ratio, claimed_above=True) is Standing.NOT_SUPPORTED
        more = f"which is no proof: more seeds may tell (--seeds={3 * len(study.seeds)})"
        yield f"at {size} it took {times(ratio)} as long, {'no longer, or by less than 5 %' if equal else more}"
    yield from _of_the_lines(study, figures, fastest)
    ramp = next((claim for claim in claims if claim.key is Key.RAMP), None)
    if ramp is not None and ramp.standing is Standing.SUPPORTED:
        yield f"a ramp is sooner still: {ramp.figures[0]}"
    if not study.tuned_here:
        yield f"learning rates were {study.rates_from}; tuned for these data (--tune) another size may win"


def _of_the_lines(study: Study, figures: Figures, fastest: SizeRow) -> Iterator[str]:
    """Yield where the two lines put the best size, and that one may lie beyond those measured where they cannot say."""
    best, sizes = figures.best, study.sizes
    inside = False
    if best is not None and best.size.estimate is not None and best.high is not None:
        inside = sizes[0] <= best.size.estimate <= sizes[-1]
        yield (
            f"the two lines put the best size at {amount(best.size)}; from {units.number(best.low)} to "
            f"{units.number(best.high)} it takes at most a tenth longer, so take what fits in memory, and accumulate "
            "gradients where that is less"
        )
    elif best is not None:
        yield "larger batches cost no more examples as far as was measured: try larger ones"
    if fastest.batch_size in (sizes[0], sizes[-1]) and len(sizes) > 1 and not inside:
        edge = "smallest" if fastest.batch_size == sizes[0] else "largest"
        yield f"it is the {edge} size that was measured: look beyond it (--batch-sizes)"
