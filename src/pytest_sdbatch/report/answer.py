"""The answer in one sentence per group: which split is fastest, and what a smaller batch costs and gains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

from pytest_sdbatch import units
from pytest_sdbatch.analysis import sweet_spot
from pytest_sdbatch.analysis.latency import fewest_for_quantile, latency_of, quantile_s
from pytest_sdbatch.analysis.splits import Objective
from pytest_sdbatch.analysis.sweet_spot import Choice, Point, best, price_of
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import NO_PIPELINE, Outcome, Record, Run, short_name
from pytest_sdbatch.report.capacity import capacity
from pytest_sdbatch.report.escape import plain
from pytest_sdbatch.report.front import front_of_rows, worth_choosing
from pytest_sdbatch.report.measured import Measured, doubt, of_records, of_runs
from pytest_sdbatch.report.splits import Plan, Question, plan_of, split_sentence, split_table
from pytest_sdbatch.report.table import Row, rows
from pytest_sdbatch.report.throughput import throughput
from pytest_sdbatch.report.tiny import is_tiny
from pytest_sdbatch.report.training import training_sentences

_WORTH_SAYING = 1.05  # times as soon; less would read "1.0 times sooner"
_MOST_CHOICES = 500  # of which the ones that are worth choosing from are told
_QUANTILE = 0.95  # of the calls, within how long they end
_SWEEP = Question()
# Of the points to choose from, those that only help to fit the curve, and how many fewer images/s will do.
Chooser: TypeAlias = Callable[[tuple[Point, ...], tuple[Point, ...], float], Choice]


def choose(points: tuple[Point, ...], others: tuple[Point, ...], within: float) -> Choice:
    """Return the best of *points* and their sweet spot; *others* help to fit the curve."""
    return sweet_spot.choose(points, within=within, others=others)


def answer_sentences(records: Iterable[Record], question: Question = _SWEEP) -> list[str]:
    """Return what the figures answer: a sentence per test and group with at least two batch sizes.

    Only sound records of passed tests count. Tiny models carry no recommendation, only what fits and what keeps no
    limit; a line says so.

    Args:
        records: of one run.
        question: what the user wants to know.

    """
    return answers_of(of_records(records), question)


def answer_of_runs(runs: Iterable[Run], question: Question = _SWEEP) -> list[str]:
    """Return what several runs of the same cases answer, in the sentences of :func:`answer_sentences`.

    How sure the figures are is told by what differs between the runs.

    Args:
        runs: of one place and one set of options.
        question: what the user wants to know.

    """
    return answers_of(of_runs(runs), question)


def answers_of(
    measured: Measured, question: Question, *, table: Sequence[Row] | None = None, choose: Chooser = choose
) -> list[str]:
    """Return the sentences of :func:`answer_sentences` of what was *measured*.

    Args:
        measured: of one place.
        question: what the user wants to know.
        table: its rows, where somebody has made them; they take time.
        choose: decides on points, where somebody remembers what it decided; that takes time, too.

    """
    whole = rows(measured.records.values()) if table is None else table
    table = [row for row in whole if not _trains(row, measured)]
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in table:
        groups.setdefault((row.test, row.group), []).append(row)
    names = _names(dict.fromkeys(test for test, _ in groups))
    trained = [one for one in measured.records.values() if one.case.training is not None]
    sentences = training_sentences(trained, price_per_s=question.price_per_s)
    for (test, group), members in groups.items():
        fewest = 1 if asked_of(members, question).images is not None else 2  # sizes
        sizes = {row.batch_size for row in members if row.counts}
        over = [row for row in members if row.outcome is Outcome.OVER_LIMIT]
        fits = capacity([measured.records[row.test, row.case] for row in members])
        owned = members[0].model is None or len(names) > 1
        title = f"{names[test]} {group}: " if owned else f"{group}: "
        if over and not sizes:
            sentences.append(f"{title}{_over_limits(over, measured, asked_of(members, question))}")
            continue
        if is_tiny(members[0].model):
            sentences += [f"{title}{fits}"] if fits else []
            continue
        if len(sizes) < fewest:
            continue
        sentences.append(title)
        if len({row.batch_size for row in members if row.answers}) < fewest:
            sentences[-1] += "no answer, because the outputs were not looked at: return the images"
            continue
        sentences[-1] += _answer(members, measured, question, choose)
        sentences[-1] += f"; {fits}" if fits else ""
        sentences[-1] += doubt([row for row in members if row.answers])
    for test, name in names.items():
        works = _works([row for row in table if row.test == test], measured)
        for work, members in works.items():
            if len(members) > _MOST_CHOICES:  # each is compared with each, and nobody reads so long a list
                continue
            front = front_of_rows(members, measured, price_per_s=question.price_per_s)
            said = worth_choosing(front, [measured.records[row.test, row.case].case for row in members])
            owner = f"{name} " if work.model is None or len(names) > 1 else ""
            sentences += [f"{owner}{said}"] if said else []
    tiny = dict.fromkeys(row.model for row in whole if row.model and is_tiny(row.model) and row.counts)
    if tiny:
        verb = "is" if len(tiny) == 1 else "are"
        sentences.append(
            f"{', '.join(map(plain, tiny))} {verb} for trying the tool; use --sd-models=sd15 for an answer"
        )
    return sentences


def _over_limits(over: Sequence[Row], measured: Measured, question: Question) -> str:
    """Return that nothing keeps the limits, and by how much the smallest of the rows that are *over* them does not."""
    row = min(over, key=lambda row: (row.batch_size, row.batch_count))
    reason = measured.records[row.test, row.case].reason
    broken = f" (batch size {row.batch_size}: {plain(reason)})" if reason else ""
    if question.images is None:
        return f"no answer, because no size that was measured keeps the limits{broken}"
    images = units.count(question.images, "image" if row.frames is None else "video")
    return f"{images}: no split that was measured keeps the limits{broken}"


def no_answer(table: Sequence[Row]) -> str:
    """Return why the rows of one place answer nothing at all."""
    if any(row.counts for row in table):
        return "no answer, because it takes two batch sizes that ended well"
    ended = Counter(row.outcome_text for row in table)
    found = ", ".join(f"{units.count(ended[text])} {text}" for text in sorted(ended))
    return f"no answer, because no case ended well: {found or 'nothing was measured'}"


def _trains(row: Row, measured: Measured) -> bool:
    return measured.records[row.test, row.case].case.training is not None


def _works(table: Iterable[Row], measured: Measured) -> dict[Case, list[Row]]:
    """Return the rows that make the same images, whatever the dtype and variant; none of tiny models."""
    works: dict[Case, list[Row]] = {}
    for row in table:
        if not is_tiny(row.model):
            case = measured.records[row.test, row.case].case
            works.setdefault(replace(case, dtype="", variant="", batch_size=1, batch_count=1), []).append(row)
    return works


def _names(tests: Iterable[str]) -> dict[str, str]:
    """Return each test's function name, or its whole node id where two functions share the name."""
    short = {test: short_name(test) for test in tests}
    shared = [name for name in short.values() if list(short.values()).count(name) > 1]
    return {test: plain(test if name in shared else name) for test, name in short.items()}


def plan_table(
    records: Iterable[Record], question: Question, *, width: int, color: bool, encoding: str = "utf-8"
) -> str:
    """Return a table of every split of the images, by group, without a newline at the end; empty where none is asked.

    Args:
        records: of one run.
        question: what the user wants to know.
        width: columns of the screen.
        color: whether to use ANSI colours.
        encoding: of the screen.

    """
    plans = plans_of(of_records(records), question)
    return split_table(plans, question, width=width, color=color, encoding=encoding)


def plans_of(measured: Measured, question: Question, *, table: Sequence[Row] | None = None) -> dict[str, Plan]:
    """Return the splits of each group that *question* asks for, by a title; of a tiny model none is chosen."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows(measured.records.values()) if table is None else table:
        if not _trains(row, measured):
            groups.setdefault((row.test, row.group), []).append(row)
    names = _names(dict.fromkeys(test for test, _ in groups))
    plans: dict[str, Plan] = {}
    for (test, group), members in groups.items():
        asked = asked_of(members, question)
        if asked.images is not None:
            plan = plan_of(members, measured, asked)
            title = f"{units.count(asked.images, plan.unit)}, {group}"
            plans[f"{names[test]}, {title}" if len(names) > 1 else title] = (
                replace(plan, chosen=None, beaten=()) if is_tiny(members[0].model) else plan
            )
    return plans


def asked_of(members: Sequence[Row], question: Question) -> Question:
    """Return the question about one group: rows that split one number of images ask for the splits of it."""
    images = {row.images for row in members}
    if question.images is None and len(images) == 1 and len({row.batch_size for row in members}) > 1:
        return replace(question, images=images.pop())
    return question


def _answer(members: Sequence[Row], measured: Measured, question: Question, choose: Chooser) -> str:
    """Return the answer of one group, in the terms of the question."""
    asked = asked_of(members, question)
    if asked.images is not None:
        said = split_sentence(plan_of(members, measured, asked), asked)
    elif question.objective in (Objective.THROUGHPUT, Objective.COST):
        said = _sentence(members, measured, question, choose)
    else:
        said = _least(members, measured, question.objective)
    waits = question.objective in (Objective.LATENCY, Objective.FIRST_IMAGE)
    made = [measured.records[row.test, row.case] for row in members if row.answers]
    # An application that makes all batches by itself, and a function, return what they make, whatever the case says.
    if waits and any(one.case.output_type != "pil" and not one.count_inside and _is_pipeline(one) for one in made):
        said += "; without making PIL images of them: -o sd_output_type=pil"
    return said


def _is_pipeline(record: Record) -> bool:
    return record.case.model is not None or record.stages != NO_PIPELINE


def _least(members: Sequence[Row], measured: Measured, objective: Objective) -> str:
    """Return the row with the smallest figure of *objective*, and the fastest one where that is another."""
    waits = objective in (Objective.LATENCY, Objective.FIRST_IMAGE)

    def seconds(row: Row) -> list[float]:
        return [reading.wall_s for reading in measured.records[row.test, row.case].rounds]

    def figure(row: Row) -> float | None:
        if waits:
            return latency_of(seconds(row)).median_s if row.batch_count == 1 else None
        return row.peak_bytes if objective == Objective.MEMORY else row.joules_per_image

    def told(row: Row) -> str:
        value, rate = figure(row) or 0.0, throughput(row.images_per_s or 0.0, row.frames)
        if waits:
            waited = _waited(seconds(row)) if row is least else ""
            return f"{units.duration(value)} a call{waited} and {rate}"
        if objective == Objective.ENERGY:
            return f"{units.energy(value)} per {'image' if row.frames is None else 'video'} and {rate}"
        return f"{units.memory(value)} at the peak and {rate}"

    known = [row for row in members if row.answers and row.images_per_s is not None and figure(row) is not None]
    if not known:
        lacking = "no row has batch count 1" if waits else f"the {objective.value} of no row is known"
        return f"no answer, because {lacking}"
    least = min(known, key=lambda row: (figure(row) or 0.0, -(row.images_per_s or 0.0), row.batch_size))
    fastest = max(known, key=lambda row: (row.images_per_s or 0.0, -row.batch_size))
    unit = "image" if least.frames is None else "video"
    least_of = (
        f"the first {unit} comes soonest with" if objective == Objective.FIRST_IMAGE else f"least {objective.value} has"
    )
    said = f"{least_of} batch size {least.batch_size}, {told(least)}"
    if fastest.batch_size == least.batch_size:
        return f"{said}; no other is faster"
    return f"{said}; fastest is batch size {fastest.batch_size}, {told(fastest)}"


def _waited(seconds: Sequence[float]) -> str:
    """Return what is known of a latency beside its median; a quantile that so many rounds do not tell is refused."""
    found = latency_of(seconds)
    said = f" (median; at most {units.duration(found.highest_s)} in {units.count(found.rounds, 'round')}"
    if found.rounds < fewest_for_quantile(_QUANTILE):
        return f"{said}, too few for a {units.share(_QUANTILE)} quantile)"
    return f"{said}, {units.share(_QUANTILE)} within {units.duration(quantile_s(seconds, _QUANTILE))})"


def _sentence(members: Sequence[Row], measured: Measured, question: Question, choose: Chooser) -> str:
    within = question.within
    points = measured.points(members)
    choice = choose(tuple(points), tuple(measured.points_over_limit(members)), within)
    said = _chosen(members, points, choice, within=within)
    if choice.scaling is not None and choice.scaling.rejected:
        said += "; the times lie on no line, so that only measured ones were compared"
    elif choice.scaling is not None and choice.scaling.curve.free_up_to > 1:
        said += f"; up to batch size {choice.scaling.curve.free_up_to} a larger batch is free: a call takes no longer"
    if question.price_per_s is not None:
        said += f"; ${units.number(choice.spot.seconds_per_image * question.price_per_s * 1000)} per 1000"
        said += f" {'images' if members[0].frames is None else 'videos'}"
    if question.objective == Objective.COST:
        said += "; without the cold start, which --sd-images=N shares among so many"
    return said


def _chosen(members: Sequence[Row], points: Sequence[Point], choice: Choice, *, within: float) -> str:
    fastest, spot = choice.best, choice.spot
    frames = members[0].frames  # part of the group's id, so the same for all
    named = {
        point: f"batch size {point.batch_size}"
        + (f" x count {point.batch_count}" if any(other.batch_count != 1 for other in points) else "")
        for point in points
    }
    said = f"fastest is {named[fastest]} at {throughput(fastest.images_per_s, frames)}{_beyond(members, choice)}"
    if spot.batch_size < fastest.batch_size:
        price = price_of(spot, fastest)
        by = "" if 1 - spot.images_per_s / fastest.images_per_s <= within else " by the curve of all sizes"
        return (
            f"{said}; {named[spot]} is within {units.share(within)}{by} ({throughput(spot.images_per_s, frames)}),"
            f" costs {units.share(price.more_per_image)} more per"
            f" {'image' if frames is None else 'video'}{_sooner(spot, fastest)}"
        )
    smaller = [point for point in points if point.batch_size < fastest.batch_size]
    if not smaller:
        return f"{said}; larger batch sizes are no faster"
    size = max(point.batch_size for point in smaller)
    less = best(point for point in smaller if point.batch_size == size)
    made = "images" if frames is None else "frames"
    fewer = 1 - less.images_per_s / fastest.images_per_s
    surely, most = "", ""
    if fewer <= within and choice.scaling is not None:
        ratio = choice.scaling.rate_ratio(size, fastest.batch_size)
        surely, low = " surely", ratio.estimate if ratio.low is None else ratio.low
        most = f" (up to {units.share(1 - (low or 0.0))} by the curve of all sizes)"
    return (
        f"{said}; no smaller size is{surely} within {units.share(within)}:"
        f" {named[less]} makes {units.share(fewer)} fewer {made}/s{most}{_sooner(less, fastest)}"
    )


def _sooner(less: Point, fastest: Point) -> str:
    times = price_of(less, fastest).times_sooner
    return f" and answers {units.times(times)} sooner" if times >= _WORTH_SAYING else ""


def _beyond(members: Sequence[Row], choice: Choice) -> str:
    """Return what is known beyond the largest measured size, where that is the fastest."""
    fastest = choice.best
    if any(row.counts and row.batch_size > fastest.batch_size for row in members):
        return ""
    larger = [row for row in members if row.batch_size > fastest.batch_size]
    if not larger and choice.untested is not None:
        return f" (at least: larger sizes should be faster yet, {choice.untested} is not tested)"
    if not larger:
        return " (larger sizes were not tried)"
    # What was skipped was skipped because of another one, which says more.
    first = min(larger, key=lambda row: (row.outcome is Outcome.SKIPPED, row.batch_size))
    if first.outcome is Outcome.OK:
        ended = f"was measured in a test that {first.test_outcome}"
    elif first.outcome is Outcome.SKIPPED:
        ended = "was skipped"
    else:
        ended = "ran out of memory" if first.outcome is Outcome.OOM else f"ended as {first.outcome.value}"
    return f" (batch size {first.batch_size} {ended})"
