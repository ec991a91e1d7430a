"""The claims about batch size: noise, convergence, stability, efficiency, generalization, small patterns."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from functools import partial

from pytest_sdbatch import units
from pytest_sdbatch.analysis.claims import (
    SAME,
    TO_REACH,
    Claim,
    Evidence,
    Key,
    Standing,
    amount,
    limits_of,
    standing_of,
    times,
)
from pytest_sdbatch.analysis.learning_curve import End, gap_at, last_spread
from pytest_sdbatch.analysis.learning_runs import Clock, NoiseReading, Part, TrainingRun
from pytest_sdbatch.analysis.scaling import Bounds
from pytest_sdbatch.analysis.study_figures import contrast, difference, of_size, took

HEADING = "Understanding batch size"
_MORE = "more seeds (--seeds=9), and more sizes (--batch-sizes=8:512:x2)"
_TUNE = "learning rates tuned for each size on this data: the same command with --tune"


def claims(evidence: Evidence) -> Iterator[Claim]:
    """Yield them in their order."""
    yield _updates(evidence)
    yield _efficiency(evidence)
    yield _noise(evidence)
    yield from _convergence(evidence)
    yield _stability(evidence)
    yield _generalization(evidence)
    yield _patterns(evidence)


def _updates(evidence: Evidence) -> Claim:
    rows = evidence.figures.rows
    each = "; ".join(f"{row.batch_size}: {units.count(row.batch_count)}" for row in rows)
    rates = [f"{row.batch_size}: {units.number(1 / row.step_s)}" for row in rows if row.step_s is not None]
    return Claim(
        key=Key.SIZE_UPDATES,
        heading=HEADING,
        claim="Small batches update the parameters more often.",
        standing=Standing.SUPPORTED,
        sentence="By definition: the same images make more batches, and each of them is an update.",
        figures=(
            f"updates of an epoch of {units.count(evidence.study.data.train_images, 'image')} by batch size: {each}",
            f"updates/s by batch size: {'; '.join(rates) or 'not known'}",
        ),
        settles="nothing: it is arithmetic; whether more updates learn more is asked below",
    )


def _noise(evidence: Evidence) -> Claim:
    small, large = evidence.small, evidence.large
    along = [
        reading for reading in evidence.study.noise if reading.data == "all" and reading.plain.size.low is not None
    ]
    lows = [float(reading.plain.size.low or 0.0) for reading in along]
    highs = [reading.plain.size.high for reading in along]
    known = [float(high) for high in highs if high is not None]
    above = sum(low > small for low in lows)
    below = sum(high is not None and high < small for high in highs)
    standing = Standing.CANNOT_TELL
    sentence = "The noise of gradients was not read."
    if along and 2 * above > len(along):
        standing = Standing.SUPPORTED
        sentence = (
            f"At {above} of {len(along)} looks along the run the noise of a batch of {small} was larger than its "
            f"gradient; in a batch of {large} it is {units.number(large / small)} times smaller."
        )
    elif along and 2 * below > len(along):
        standing = Standing.NOT_SUPPORTED
        sentence = (
            f"At {below} of {len(along)} looks the gradient of a batch of {small} stood out of its noise already."
        )
    elif along:
        sentence = f"Whether the noise of a batch of {small} exceeds its gradient changed along the run, or was unsure."
    figures = [f"noise scale of {len(along)} looks, as batch size: {_along(along)}"] if along else []
    if lows and known:
        figures.append(f"its limits reach from {units.number(min(lows))} to {units.number(max(known))}")
    table_s = sum(run.evaluations[-1].seconds for run in evidence.study.of(Part.TABLE))
    if along and table_s > 0 and evidence.study.clock is Clock.CPU:  # by which reading is timed, too
        cost = sum(reading.cpu_s for reading in along) / table_s
        figures.append(f"reading it took {units.share(cost)} of the seconds of the table's runs")
    split = evidence.study.split
    if split is not None:
        parts = (("drawn noise", split.noise), ("timestep", split.timestep), ("image", split.image))
        shares = ", ".join(f"{name} {_share(bounds)}" for name, bounds in parts)
        figures.append(f"its variance comes from: {shares}")
    return Claim(
        key=Key.NOISE,
        heading=HEADING,
        claim="Small batches make noisy updates.",
        standing=standing,
        sentence=sentence,
        figures=tuple(figures),
        settles="the noise scale is good to a factor of 2 to 5 only; time to the target decides, below",
    )


def _along(readings: Sequence[NoiseReading]) -> str:
    return ", ".join(
        f"{amount(reading.plain.size)} after {units.count(reading.examples)} examples" for reading in readings
    )


def _share(bounds: Bounds) -> str:
    known = [value for value in (bounds.estimate, bounds.low, bounds.high) if value is not None]
    if len(known) < 3:
        return "not known"
    # A share that is small comes out below 0 as often as not.
    estimate, low, high = (units.whole_percent(min(max(value, 0.0), 1.0)) for value in known)
    return f"{estimate} % [{low}, {high}]"


def _convergence(evidence: Evidence) -> Iterator[Claim]:
    table, target = evidence.study.of(Part.TABLE), evidence.study.target
    small, large = of_size(table, evidence.small), of_size(table, evidence.large)
    reads = {
        "example": lambda run: took(run, target).examples,
        "step": lambda run: took(run, target).steps,
    }
    for of, read in reads.items():
        ratio = contrast(small, large, read)
        yield _slower(evidence, of=of, ratio=ratio, than=evidence.large)
    fastest = evidence.figures.fastest
    if fastest is None:
        yield _slower(evidence, of="second", ratio=None, than=evidence.large)
        return
    than = fastest.batch_size if fastest.batch_size != evidence.small else evidence.large
    ratio = contrast(small, of_size(table, than), lambda run: took(run, target).seconds)
    yield _slower(evidence, of="second", ratio=ratio, than=than)


def _slower(evidence: Evidence, *, of: str, ratio: Bounds | None, than: int) -> Claim:
    small = evidence.small
    standing = evidence.if_fair(standing_of(ratio, claimed_above=True))
    why = f" by {evidence.seeds}{'' if evidence.rates_are_fair else ' at rates that were not tuned'}"
    settles = _MORE if evidence.rates_are_fair else _TUNE
    if ratio is None:
        why, settles = ": too few of their runs reached the target", TO_REACH
    sentence = {
        Standing.SUPPORTED: f"A batch of {small} needs more {of}s to the same held-out loss than one of {than}.",
        Standing.NOT_SUPPORTED: f"A batch of {small} needs no more {of}s to the same held-out loss than one of {than}.",
        Standing.CANNOT_TELL: f"Whether {small} or {than} needs more {of}s is not decided{why}.",
    }[standing]
    rows = [
        f"{row.batch_size}: {amount(getattr(row, _FIELDS[of]))}" if row.reached == row.runs
        else f"{row.batch_size}: reached by {row.reached} of {row.runs}, lowest loss {units.number(row.best_loss)}"
        for row in evidence.figures.rows
    ]  # fmt: skip
    return Claim(
        key=_SLOW[of],
        heading=HEADING,
        claim=f"Small batches converge slowly (in {of}s).",
        standing=standing,
        sentence=sentence,
        figures=(f"{of}s at {small} over those at {than}: {times(ratio)}", f"{of}s by batch size: {'; '.join(rows)}"),
        settles=settles,
    )


_SLOW = {"example": Key.SLOW_IN_EXAMPLES, "step": Key.SLOW_IN_STEPS, "second": Key.SLOW_IN_SECONDS}
_FIELDS = {"example": "examples", "step": "steps", "second": "seconds"}


def _stability(evidence: Evidence) -> Claim:
    table = evidence.study.of(Part.TABLE)
    small, large = of_size(table, evidence.small), of_size(table, evidence.large)
    ratio = contrast(small, large, lambda run: last_spread(run.evaluations))
    standing = standing_of(ratio, claimed_above=True)
    words = {
        Standing.SUPPORTED: "jumped more from one look to the next",
        Standing.NOT_SUPPORTED: "jumped no more from one look to the next",
        Standing.CANNOT_TELL: "may or may not have jumped more from one look to the next",
    }
    figures = [f"jumps of the held-out loss at the end, {evidence.small} over {evidence.large}: {times(ratio)}"]
    for size in evidence.study.sizes:
        runs = of_size(table, size)
        ends = [min(evaluation.held_out_loss for evaluation in run.evaluations) for run in runs]
        diverged = sum(run.end is End.DIVERGED for run in runs)
        spread = "an amount that one seed does not tell"
        if len(ends) > 1:
            spread = f"{units.share(statistics.stdev(ends) / statistics.mean(ends))} (stdev)"
        figures.append(
            f"{size}: {diverged} of {len(runs)} runs diverged; between seeds lowest losses differ by {spread}"
        )
    rates = {rate.batch_size: rate.largest_stable for rate in evidence.study.rates if rate.largest_stable is not None}
    if rates:
        stable = ", ".join(f"{size}: {rate:.3g}" for size, rate in sorted(rates.items()))
        figures.append(f"largest learning rate tried that did not diverge: {stable}")
    return Claim(
        key=Key.SIZE_STABILITY,
        heading=HEADING,
        claim="Small batches train unstably.",
        standing=standing,
        sentence=f"At the end of training the held-out loss at {evidence.small} {words[standing]} than at "
        f"{evidence.large}, each at its own learning rate.",
        figures=tuple(figures),
        settles=_MORE if rates else f"{_MORE}; the largest rate that does not diverge: the same command with --tune",
    )


def _efficiency(evidence: Evidence) -> Claim:
    scaling = evidence.figures.scaling
    ratio = None if scaling is None else scaling.rate_ratio(evidence.large, evidence.small)
    standing = standing_of(ratio, claimed_above=True)
    sentence = {
        Standing.SUPPORTED: f"A batch of {evidence.large} is worked through at a higher rate of examples than one of "
        f"{evidence.small}.",
        Standing.NOT_SUPPORTED: f"This machine works through a batch of {evidence.large} no faster for each example.",
        Standing.CANNOT_TELL: "The rates of examples are not told apart.",
    }[standing]
    known = [(row.batch_size, row.examples_per_s) for row in evidence.figures.rows if row.examples_per_s is not None]
    rates = "; ".join(f"{size}: {units.number(rate)}" for size, rate in known)
    figures = [
        f"examples/s by batch size: {rates or 'not known'}",
        f"{evidence.large} over {evidence.small}: {times(ratio)}",
    ]
    if scaling is not None:
        figures.append(f"half of the largest rate is reached at a batch of {amount(scaling.half_saturation)}")
    return Claim(
        key=Key.EFFICIENCY,
        heading=HEADING,
        claim="Large batches compute more efficiently.",
        standing=standing,
        sentence=sentence,
        figures=tuple(figures),
        settles="another device has other rates: run it there",
    )


def _generalization(evidence: Evidence) -> Claim:
    table, level = evidence.study.of(Part.TABLE), evidence.figures.gap_level
    small, large = of_size(table, evidence.small), of_size(table, evidence.large)
    apart = None if level is None else difference(large, small, partial(_gap, level=level))
    margin = SAME * evidence.study.target
    standing = Standing.CANNOT_TELL
    if apart is not None and apart.low is not None and apart.high is not None and evidence.rates_are_fair:
        if apart.low > 0:
            standing = Standing.SUPPORTED
        elif apart.high < margin:
            standing = Standing.NOT_SUPPORTED
    sentence = {
        Standing.SUPPORTED: f"At equal training loss a batch of {evidence.large} did worse on held-out images than "
        f"one of {evidence.small}.",
        Standing.NOT_SUPPORTED: f"At equal training loss a batch of {evidence.large} did no worse on held-out images "
        f"than one of {evidence.small}: the gap is at most {units.number(_upper(apart))} wider.",
        Standing.CANNOT_TELL: "The gaps between training and held-out loss are not told apart."
        if evidence.rates_are_fair
        else "At rates that were not tuned nothing may be said of large batches.",
    }[standing]
    figures = []
    if apart is not None and apart.estimate is not None and level is not None:
        limits = "" if apart.low is None else f" {limits_of(apart)}"
        figures.append(
            f"held-out minus training loss at a training loss of {units.number(level)}, {evidence.large} minus "
            f"{evidence.small}: {units.number(apart.estimate)}{limits}"
        )
    when = "at the target" if all(row.reached == row.runs for row in evidence.figures.rows) else "when runs had ended"
    for name, unit in (("accuracy", "validation accuracy of generated images"), ("frechet", "Frechet distance")):
        readings = [(row.batch_size, getattr(row, name)) for row in evidence.figures.rows]
        known = "; ".join(f"{size}: {units.number(found.value)}" for size, found in readings if found.value is not None)
        figures.append(f"{unit} {when}: {known}" if known else f"{unit}: not known ({readings[0][1].reason})")
    return Claim(
        key=Key.GENERALIZATION,
        heading=HEADING,
        claim="Batches that are too large lose the ability to generalize.",
        standing=standing,
        sentence=sentence,
        figures=tuple(figures),
        settles=f"runs far beyond the target, where a gap can open (--target lower); {_MORE}"
        if evidence.rates_are_fair
        else _TUNE,
    )


def _upper(apart: Bounds | None) -> float:
    return 0.0 if apart is None or apart.high is None else max(apart.high, 0.0)


def _gap(run: TrainingRun, *, level: float) -> float | None:
    return gap_at(run.evaluations, level) if run.end is not End.DIVERGED else None


def _patterns(evidence: Evidence) -> Claim:
    table = evidence.study.of(Part.TABLE)
    ratio = contrast(of_size(table, evidence.large), of_size(table, evidence.small), partial(_band_share, band=0))
    found = {"the quarter of least noise, where small details are": ratio}
    rare = evidence.study.of(Part.SUBSET, data="rare")
    if rare:
        found["a class made ten times rarer"] = contrast(
            of_size(rare, evidence.large), of_size(rare, evidence.small), _rare_share
        )
    standings = [standing_of(one, claimed_above=True) for one in found.values()]
    standing = evidence.if_fair(standings[0] if len(set(standings)) == 1 else Standing.CANNOT_TELL)
    sentence = {
        Standing.SUPPORTED: f"At equal held-out loss a batch of {evidence.large} had learned small patterns less well.",
        Standing.NOT_SUPPORTED: f"At equal held-out loss a batch of {evidence.large} had learned small patterns as "
        f"well as one of {evidence.small}.",
        Standing.CANNOT_TELL: f"Whether a batch of {evidence.large} had learned small patterns less well is not "
        "decided by these limits.",
    }[standing]
    figures = [
        f"loss in {name}, over the whole loss, {evidence.large} over {evidence.small}: {times(one)}"
        for name, one in found.items()
    ]
    return Claim(
        key=Key.SMALL_PATTERNS,
        heading=HEADING,
        claim="Batches that are too large miss small patterns in the data.",
        standing=standing,
        sentence=sentence,
        figures=tuple(figures),
        settles=_MORE if rare else "a class that is made rare: the same command with --tune",
    )


def _band_share(run: TrainingRun, *, band: int) -> float | None:
    last = run.evaluations[-1]
    return last.bands[band] / last.held_out_loss if last.bands and run.end is End.REACHED else None


def _rare_share(run: TrainingRun) -> float | None:
    last = run.evaluations[-1]
    return last.rare_loss / last.held_out_loss if last.rare_loss is not None and run.end is End.REACHED else None
