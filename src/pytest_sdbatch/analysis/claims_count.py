"""The claims about batch count: updates, accuracy, time; and whether it is a choice at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_sdbatch import units
from pytest_sdbatch.analysis.claims import Claim, Evidence, Key, Standing, standing_of, times
from pytest_sdbatch.analysis.learning_curve import End, Evaluation, last_spread, loss_at
from pytest_sdbatch.analysis.learning_runs import Part, TrainingRun
from pytest_sdbatch.analysis.scaling import Bounds
from pytest_sdbatch.analysis.study_figures import contrast, of_size, took

HEADING = "The impact of batch count"
_NOTHING = "no run was made with a count of its own"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    """Runs of one batch size: in short epochs of few batches, and in whole ones."""

    size: int
    count: int  # batches of a short epoch
    low: tuple[TrainingRun, ...]
    full: int  # batches of all the data
    whole: tuple[TrainingRun, ...]


def claims(evidence: Evidence) -> Iterator[Claim]:
    """Yield them in their order."""
    yield _updates(evidence)
    counted = evidence.study.of(Part.COUNT)
    if not counted:
        for key, text in _CLAIMS.items():
            yield Claim(
                key=key, heading=HEADING, claim=text, standing=Standing.CANNOT_TELL,
                sentence=f"{_NOTHING.capitalize()}.",
                figures=(), settles="sdbatch study makes such runs",
            )  # fmt: skip
        return
    size = counted[0].batch_size
    runs = _Counted(
        size=size,
        count=counted[0].batch_count or 1,
        low=counted,
        full=evidence.study.data.batches_of(size),
        whole=of_size(evidence.study.of(Part.TABLE), size),
    )
    yield _stability(evidence, runs)
    yield _accuracy(evidence, runs)
    yield _time(evidence, runs)
    yield _two_choices(evidence, runs)


_CLAIMS = {
    Key.COUNT_STABILITY: "The count changes how stable training is.",
    Key.COUNT_ACCURACY: "A higher count makes training more accurate.",
    Key.COUNT_TIME: "A higher count takes longer.",
    Key.TWO_CHOICES: "Size and count are two things to balance against each other.",
}


def _updates(evidence: Evidence) -> Claim:
    images = evidence.study.data.train_images
    rows = "; ".join(f"{row.batch_size} x {row.batch_count}" for row in evidence.figures.rows)
    return Claim(
        key=Key.COUNT_UPDATES,
        heading=HEADING,
        claim="A higher count gives more updates in each epoch.",
        standing=Standing.SUPPORTED,
        sentence="By definition: the count is the number of updates in an epoch.",
        figures=(f"size x count of an epoch of {units.count(images, 'image')}: {rows}",),
        settles="nothing: it is arithmetic",
    )


def _stability(evidence: Evidence, runs: _Counted) -> Claim:
    size, count, full = runs.size, runs.count, runs.full
    ratio = contrast(runs.low, runs.whole, lambda run: last_spread(run.evaluations))
    sides = {standing_of(ratio, claimed_above=above) for above in (True, False)}
    standing = Standing.CANNOT_TELL
    if Standing.SUPPORTED in sides:
        standing = Standing.SUPPORTED
    elif sides == {Standing.NOT_SUPPORTED}:
        standing = Standing.NOT_SUPPORTED
    sentence = {
        Standing.SUPPORTED: f"At size {size} the held-out loss jumped by another amount at a count of {count} than at "
        f"{full}.",
        Standing.NOT_SUPPORTED: f"At size {size} the held-out loss jumped as much at a count of {count} as at {full}.",
        Standing.CANNOT_TELL: f"Whether the held-out loss jumped by another amount at a count of {count} than at "
        f"{full} is not decided by {evidence.seeds}.",
    }[standing]
    lost = [f"{name}: {sum(run.end is End.DIVERGED for run in group)} of {len(group)}"
            for name, group in ((f"count {count}", runs.low), (f"count {full}", runs.whole))]  # fmt: skip
    return Claim(
        key=Key.COUNT_STABILITY,
        heading=HEADING,
        claim=_CLAIMS[Key.COUNT_STABILITY],
        standing=standing,
        sentence=sentence,
        figures=(
            f"jumps of the held-out loss at the end at size {size}, count {count} over count {full}: {times(ratio)}",
            f"runs that diverged: {'; '.join(lost)}",
        ),
        settles="more seeds: --seeds=9",
    )


def _accuracy(evidence: Evidence, runs: _Counted) -> Claim:
    images, size, count, full = evidence.study.data.train_images, runs.size, runs.count, runs.full
    epochs = _common_epochs(runs.whole, runs.low, images=images, short=size * count)
    at_epochs = None if epochs is None else _losses(runs.low, runs.whole, epochs * size * count, epochs * images)
    same = _common_examples(runs.whole, runs.low)
    at_examples = None if same is None else _losses(runs.low, runs.whole, same, same)
    standing = standing_of(at_epochs, claimed_above=True)
    sentence = {
        Standing.SUPPORTED: f"After as many epochs yes: one of {full} batches is more training than one of {count}. "
        "What the count does after as many steps stands below.",
        Standing.NOT_SUPPORTED: f"After as many epochs the loss at a count of {full} was no lower than at {count}.",
        Standing.CANNOT_TELL: "The losses after as many epochs are not told apart.",
    }[standing]
    return Claim(
        key=Key.COUNT_ACCURACY,
        heading=HEADING,
        claim=_CLAIMS[Key.COUNT_ACCURACY],
        standing=standing,
        sentence=sentence,
        figures=(
            f"held-out loss at size {size}, count {count} over count {full}, after {_known(epochs)} epochs of each: "
            f"{times(at_epochs)}",
            f"the same after {_known(same)} examples, so as many steps: {times(at_examples)}",
        ),
        settles="more seeds: --seeds=9",
    )


def _time(evidence: Evidence, runs: _Counted) -> Claim:
    size, count, full = runs.size, runs.count, runs.full
    row = next(row for row in evidence.figures.rows if row.batch_size == size)
    target = evidence.study.target
    epoch = "not known"
    if row.step_s is not None:
        epoch = (
            f"{units.number(count * row.step_s)} at count {count}, {units.number(full * row.step_s)} at count {full}"
        )
    ratio = contrast(runs.whole, runs.low, lambda run: took(run, target).seconds)
    return Claim(
        key=Key.COUNT_TIME,
        heading=HEADING,
        claim=_CLAIMS[Key.COUNT_TIME],
        standing=Standing.SUPPORTED if full > count else Standing.CANNOT_TELL,
        sentence="For each epoch yes, in proportion. To the same loss it is not the count that takes the time, but the "
        "steps.",
        figures=(
            f"seconds of an epoch at size {size}: {epoch}",
            f"seconds to the target, count {full} over count {count}: {times(ratio)}",
        ),
        settles="nothing for an epoch; more seeds for the time to a loss",
    )


def _two_choices(evidence: Evidence, runs: _Counted) -> Claim:
    same = _common_examples(runs.whole, runs.low)
    ratio = None if same is None else _losses(runs.low, runs.whole, same, same)
    target = evidence.study.target
    steps = contrast(runs.low, runs.whole, lambda run: took(run, target).steps)
    # Within a tenth: what the count does by itself is then less than what the next batch size does.
    near = [one is not None and one.low is not None and one.high is not None and one.low > 0.9 and one.high < 1.1
            for one in (ratio, steps)]  # fmt: skip
    apart = any(standing_of(one, claimed_above=True) is Standing.SUPPORTED for one in (ratio, steps))
    standing = Standing.NOT_SUPPORTED if any(near) and not apart else Standing.CANNOT_TELL
    if apart:
        standing = Standing.SUPPORTED
    sentence = {
        Standing.NOT_SUPPORTED: "They are one choice: with all of the data size x count is the data, and with fresh "
        "draws the count changed nothing that steps did not.",
        Standing.SUPPORTED: "The count by itself changed what was learned in as many steps.",
        Standing.CANNOT_TELL: "With all of the data they are one choice, since size x count is the data. Whether short "
        f"epochs of fresh draws learn as much in as many steps is not decided by {evidence.seeds}.",
    }[standing]
    return Claim(
        key=Key.TWO_CHOICES,
        heading=HEADING,
        claim=_CLAIMS[Key.TWO_CHOICES],
        standing=standing,
        sentence=sentence,
        figures=(
            f"size {runs.size}, epochs of {runs.count} batches drawn anew over epochs of all images: held-out loss "
            f"after as many steps {times(ratio)}, steps to the target {times(steps)}",
        ),
        settles="more seeds: --seeds=9",
    )


def _losses(
    one: tuple[TrainingRun, ...], other: tuple[TrainingRun, ...], amount_one: float, amount_other: float
) -> Bounds | None:
    """Return the held-out loss of *one* after so many examples over that of *other* after its own."""
    examples = {id(run): amount_one for run in _whole(one)} | {id(run): amount_other for run in _whole(other)}

    def read(run: TrainingRun) -> float | None:
        return loss_at(run.evaluations, examples[id(run)], _examples)

    return contrast(_whole(one), _whole(other), read)


def _examples(evaluation: Evaluation) -> float:
    return float(evaluation.examples)


def _whole(runs: tuple[TrainingRun, ...]) -> tuple[TrainingRun, ...]:
    """Return those that did not diverge: what they had learned by then is told by no loss."""
    return tuple(run for run in runs if run.end is not End.DIVERGED)


def _common_examples(*groups: tuple[TrainingRun, ...]) -> float | None:
    """Return the most examples that all runs have seen, of those that did not diverge; None: a group has none."""
    if not all(map(_whole, groups)):
        return None
    return float(min(run.evaluations[-1].examples for runs in groups for run in _whole(runs)))


def _common_epochs(
    whole: tuple[TrainingRun, ...], low: tuple[TrainingRun, ...], *, images: int, short: int
) -> float | None:
    """Return the most epochs, of all images or of *short*, that all runs have seen; None: as above."""
    most, most_short = _common_examples(whole), _common_examples(low)
    return None if most is None or most_short is None else min(most / images, most_short / short)


def _known(number: float | None) -> str:
    return "an unknown number of" if number is None else units.number(number)
