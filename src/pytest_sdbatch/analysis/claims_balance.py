"""The claims about the right balance: raising both gradually, and what small, varied, large or simple data want."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from pytest_sdbatch import units
from pytest_sdbatch.analysis.claims import TO_REACH, Claim, Evidence, Key, Standing, amount, standing_of, times
from pytest_sdbatch.analysis.learning_curve import End, convergence_rate, early_rate, last_spread
from pytest_sdbatch.analysis.learning_runs import NoiseReading, Part, Study, TrainingRun
from pytest_sdbatch.analysis.scaling import Bounds
from pytest_sdbatch.analysis.study_figures import contrast, law_of, of_size, over_seeds, ratio_of, took

HEADING = "Finding the right balance"
_SUBSETS = {"one-class": "one class", "three-classes": "three classes", "small": "a tenth of the images"}


def claims(evidence: Evidence) -> Iterator[Claim]:
    """Yield them in their order."""
    yield _ramp(evidence)
    yield _sweet_spot(evidence)
    yield _data(evidence, wants_small=True)
    yield _data(evidence, wants_small=False)


def _ramp(evidence: Evidence) -> Claim:
    claim = "Start with a moderate size and a low count, and raise both gradually."
    ramp, fastest, target = evidence.study.of(Part.RAMP), evidence.figures.fastest, evidence.study.target
    if not ramp or fastest is None:
        return Claim(
            key=Key.RAMP, heading=HEADING, claim=claim, standing=Standing.CANNOT_TELL,
            sentence="No constant size reached the target in all its runs: there is none to compare the ramp with."
            if ramp else "There is no ramp to compare.",
            figures=(), settles=TO_REACH if ramp else "a study with a ramp",
        )  # fmt: skip
    table = evidence.study.of(Part.TABLE)
    ratios = {
        size: contrast(ramp, of_size(table, size), lambda run: took(run, target).seconds)
        for size in evidence.study.sizes
    }
    against_best = ratios[fastest.batch_size]
    standing = evidence.if_fair(standing_of(against_best, claimed_above=False))
    best = fastest.batch_size
    every = all(standing_of(ratio, claimed_above=False) is Standing.SUPPORTED for ratio in ratios.values())
    than = f"every constant size, {best} included" if every else f"the best constant size, {best}"
    sentence = {
        Standing.SUPPORTED: f"The ramp reached the loss sooner than {than}.",
        Standing.NOT_SUPPORTED: f"The ramp reached the loss no sooner than a constant size of {best}.",
        Standing.CANNOT_TELL: f"Whether the ramp is sooner than a constant size of {best} is not decided by "
        f"{evidence.seeds}" + ("." if evidence.rates_are_fair else " at rates that were not tuned."),
    }[standing]
    way = [found for found in ramp[0].evaluations if found.batch_size is not None]
    stages = dict.fromkeys(f"{found.batch_size} x {found.batch_count}" for found in way)
    speed = convergence_rate(ramp[0].evaluations, lambda found: found.seconds)
    accuracy = ramp[0].quality.accuracy.value if ramp[0].quality else None
    figures = [
        "seconds of the ramp over those of a constant size, paired by seed: "
        + "; ".join(f"{size}: {times(ratio)}" for size, ratio in ratios.items()),
        f"it went {', '.join(stages)}, and ended: {ramp[0].reason}",
    ]
    jumps = contrast(ramp, of_size(table, best), lambda run: last_spread(run.evaluations))
    figures.append(f"jumps of its held-out loss at the end, over those at a constant size of {best}: {times(jumps)}")
    if speed is not None:
        told = f", validation accuracy {units.number(accuracy)}" if accuracy is not None else ""
        figures.append(f"its held-out loss fell by a factor of e every {units.number(1 / speed)} s{told}")
    return Claim(
        key=Key.RAMP,
        heading=HEADING,
        claim=claim,
        standing=standing,
        sentence=sentence,
        figures=tuple(figures),
        settles="more seeds: --seeds=9",
    )


def _sweet_spot(evidence: Evidence) -> Claim:
    figures, table = evidence.figures, evidence.study.of(Part.TABLE)
    soonest = None if figures.fastest is None else figures.fastest.batch_size
    span = _span(evidence.study)
    halving = {size: over_seeds(_halving_s(of_size(table, size), span)) for size in evidence.study.sizes}
    accuracies = {row.batch_size: row.accuracy.value for row in figures.rows if row.accuracy.value is not None}
    known = {size: found for size, found in halving.items() if found is not None}
    steepest = min(known, key=lambda size: known[size].estimate or math.inf, default=None)
    best = max(accuracies, key=lambda size: accuracies[size], default=None)
    named = {"loss, soonest at the target": soonest, "convergence rate": steepest, "validation accuracy": best}
    sizes = [size for size in named.values() if size is not None]
    standing = Standing.CANNOT_TELL
    sentence = "Loss, convergence rate and validation accuracy name different sizes, by less than their limits."
    if soonest is None or not evidence.rates_are_fair:
        sentence = "No size reached the target in all its runs, or rates were not tuned: there is no best size to show."
    elif len(sizes) == 1:
        sentence = f"Only the time to the loss is known, which was least at {soonest}: nothing else names a size."
    elif len(set(sizes)) == 1:
        which = "All of them" if len(sizes) == len(named) else "Those that are known"
        standing, sentence = Standing.SUPPORTED, f"{which} name one size, {soonest}."
    elif _surely_more_accurate(of_size(table, best or soonest), of_size(table, soonest)):
        standing = Standing.NOT_SUPPORTED
        sentence = f"They do not agree: {soonest} reached the loss soonest, and {best} gave the better images at it."
    told = [f"{name}: {'not known' if size is None else f'best at {size}'}" for name, size in named.items()]
    seconds = "; ".join(f"{size}: {amount(found)}" for size, found in known.items())
    return Claim(
        key=Key.SWEET_SPOT,
        heading=HEADING,
        claim="Convergence rate, loss and validation accuracy show which balance is the best.",
        standing=standing,
        sentence=sentence,
        figures=(
            "; ".join(told),
            f"seconds in which the held-out loss halved, over the first {units.count(int(span), 'example')}, by batch "
            f"size: {seconds or 'not known'}",
        ),
        settles=TO_REACH if soonest is None else "more seeds (--seeds=9); another measure of images may say otherwise",
    )


def _span(study: Study) -> float:
    """Return the examples over which convergence rates are taken: a quarter of the most, if all runs went so far."""
    ends = [run.evaluations[-1].examples for run in study.of(Part.TABLE) if run.end is not End.DIVERGED]
    return min([study.most_examples / 4, *ends])


def _halving_s(runs: Sequence[TrainingRun], span: float) -> list[float]:
    """Return the seconds in which the loss halved at first, of those of *runs* whose loss fell."""
    rates = [
        early_rate(run.evaluations, span, lambda evaluation: evaluation.seconds)
        for run in runs
        if run.end is not End.DIVERGED
    ]
    return [math.log(2) / rate for rate in rates if rate is not None and rate > 0]


def _surely_more_accurate(one: Sequence[TrainingRun], other: Sequence[TrainingRun]) -> bool:
    ratio = contrast(one, other, lambda run: run.quality.accuracy.value if run.quality else None)
    return standing_of(ratio, claimed_above=True) is Standing.SUPPORTED


def _data(evidence: Evidence, *, wants_small: bool) -> Claim:
    study = evidence.study
    ratios = _ratios(study)
    standings = [standing_of(ratio, claimed_above=above) for ratio, above in ratios.values()]
    standing = standings[0] if standings and len(set(standings)) == 1 else Standing.CANNOT_TELL
    claim = (
        "Small or highly varied data want small batches."
        if wants_small
        else "Large data of simple patterns want large batches."
    )
    if not evidence.rates_are_fair and standing is Standing.SUPPORTED:
        standing = Standing.CANNOT_TELL
    sentence = {
        Standing.SUPPORTED: "The batch size that pays grew with the number of images, and fell with their variety.",
        Standing.NOT_SUPPORTED: "The batch size that pays neither grew with the number of images nor fell with their "
        "variety.",
        Standing.CANNOT_TELL: "The parts of these data do not tell which batch size they want: the limits overlap, or "
        "one comparison says otherwise than another.",
    }[standing]
    if not ratios:
        sentence = "The data have no parts to compare: they are of one class, or no gradient was read on them."
    figures = [f"{name}: {times(ratio)}" for name, (ratio, _) in ratios.items()]
    scales = ", ".join(
        f"{_SUBSETS.get(reading.data, 'all')} {amount(reading.plain.size)}" for reading in _last(study).values()
    )
    if scales:
        figures.append(f"noise scale at the end, as batch size: {scales}")
    figures += _critical(study)
    return Claim(
        key=Key.SMALL_DATA if wants_small else Key.LARGE_DATA,
        heading=HEADING,
        claim=claim,
        standing=standing,
        sentence=sentence,
        figures=tuple(figures),
        settles="the critical batch size of each part: the same command with --tune; and other data: --data FOLDER"
        if not study.of(Part.SUBSET, data="small")
        else "more seeds: --seeds=9; and other data: --data FOLDER",
    )


def _ratios(study: Study) -> Mapping[str, tuple[Bounds | None, bool]]:
    """Return the contrasts that the claims are about, each with whether it is claimed to be above 1."""
    critical = _critical_of(study)
    what, sizes = "critical batch size", critical
    if not {"all", "small", "one-class"} <= critical.keys():  # the time to a target is the verdict, where it was taken
        what, sizes = "noise scale", {name: reading.plain.size for name, reading in _last(study).items()}
    found: dict[str, tuple[Bounds | None, bool]] = {}
    if "all" in sizes and "small" in sizes:
        found[f"{what} of all images over that of a tenth"] = (ratio_of(sizes["all"], sizes["small"]), True)
    if "all" in sizes and "one-class" in sizes:
        found[f"{what} of one class over that of all"] = (ratio_of(sizes["one-class"], sizes["all"]), True)
    return found


def _critical_of(study: Study) -> Mapping[str, Bounds]:
    """Return the critical batch sizes of those parts of the data for which there is one, all of it included."""
    runs = {name: study.of(Part.SUBSET, data=name) for name in _SUBSETS} | {"all": study.of(Part.TABLE)}
    laws = {name: law_of(found, study.target)[0] for name, found in runs.items() if found}
    return {name: law.critical_batch for name, law in laws.items() if law is not None}


def _last(study: Study) -> Mapping[str, NoiseReading]:
    """Return the last reading of each part of the data, those that were taken of one network."""
    most = max((reading.examples for reading in study.noise), default=0)
    found = {reading.data: reading for reading in study.noise if reading.examples == most}
    return found if len(found) > 1 else {}


def _critical(study: Study) -> Iterator[str]:
    known = _critical_of(study)
    learned = [name for name in _SUBSETS if study.of(Part.SUBSET, data=name)]
    for name in (*learned, "all") if learned else ():
        words = _SUBSETS.get(name, "all")
        runs = study.of(Part.SUBSET, data=name) if name != "all" else study.of(Part.TABLE)
        reason = law_of(runs, study.target)[1]
        yield f"critical batch size of {words}: {amount(known[name]) if name in known else f'not known: {reason}'}"
