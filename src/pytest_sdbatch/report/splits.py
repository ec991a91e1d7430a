"""What is known of every split of N images: a table, and the sentence that recommends one."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_sdbatch import units
from pytest_sdbatch.analysis.scaling import Scaling, fit
from pytest_sdbatch.analysis.splits import Call, Objective, Split, Start, plan_splits, recommended
from pytest_sdbatch.analysis.spread import Timing
from pytest_sdbatch.analysis.sweet_spot import choose
from pytest_sdbatch.pipelines.variants import is_compiled
from pytest_sdbatch.records import Outcome
from pytest_sdbatch.report.escape import plain
from pytest_sdbatch.report.front import front_of_splits
from pytest_sdbatch.report.layout import UNKNOWN, Block, Cell, Column, lay_out, to_string
from pytest_sdbatch.report.measured import Measured
from pytest_sdbatch.report.table import Row

_USABLE_MISFIT = 0.1  # of a time from the curve: beyond it nothing is read off it
_WORTH_SAYING = 0.01  # of a time or memory; less would read "0 % faster"
_COLUMNS = (
    Column("split", "split", left=True),
    Column("all", "all"),
    Column("first", "first\nimage"),
    Column("peak", "peak\nmemory", drop=1),
    Column("energy", "energy", drop=3),
    Column("cost", "$ per 1000,\nincl. loading", drop=2),
    Column("how", "", left=True),
)
_OPTIONAL = ("energy", "cost")
_BEATEN = ", beaten"
DOUBTFUL = "doubtful"
_LEGEND = "beaten: another split is no worse in any figure, and better in one beyond the noise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the user wants to know of the splits."""

    images: int | None = None  # to make; None: a sweep
    objective: Objective = Objective.THROUGHPUT
    price_per_s: float | None = None  # dollars of the device; None: not known
    cold: bool = False  # whether the work starts with loading
    within: float = 0.05  # how many fewer images/s are accepted, as a share of the best


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The splits of one group."""

    splits: tuple[Split, ...]
    cold_s: Mapping[int, float]  # seconds from a cold start, by batch size: what the whole work is paid for
    chosen: Split | None  # the recommended one
    beaten: tuple[Split, ...] = ()  # another one is no worse in any figure, and surely better in one
    unplanned: Mapping[int, int] = field(
        default_factory=dict
    )  # size that ran: images left over, of which nothing is known
    unit: str  # "image" or "video"
    what: str = ""  # is made, in words: ``sd15, bf16, 512x512 pixels, 20 steps``
    doubtful: frozenset[int] = frozenset()  # batch sizes of rows that are not to be relied on


def plan_of(members: Sequence[Row], measured: Measured, question: Question) -> Plan:
    """Return the plan of the rows of one group: of measured sizes, and read off the curve of powers of 2 between them.

    A size that was tried and does not answer is no split, whatever the curve says of it.

    Args:
        members: rows of the group; those that do not answer are left out.
        measured: that they show.
        question: with a number of images.

    """
    there = [row for row in members if row.answers]
    images = question.images or 0
    if not there:
        return Plan(splits=(), cold_s={}, chosen=None, unit="image")
    made = [measured.records[row.test, row.case] for row in there]
    calls = _calls(there, [measured.timings[row.test, row.case] for row in there], images)
    compiled = is_compiled(made[0].case.variant)
    load_s = max((float(record.load_s.value or 0.0) for record in made), default=0.0)
    # Which size paid for the first call of the process is chance: it ran first. A compile is each shape's own.
    first_s = 0.0 if compiled else max(call.first_s for call in calls.values())
    cold = Start(cold=True, load_s=load_s, first_s=first_s, compiled=compiled)
    failed = {row.batch_size for row in members if row.outcome is not Outcome.SKIPPED}
    failed -= {row.batch_size for row in there}
    cold_splits, warm_splits = (
        tuple(split for split in plan_splits(images, calls, start) if split.batch_size not in failed)
        for start in (cold, Start(compiled=compiled))
    )
    splits = cold_splits if question.cold else warm_splits
    if any(record.count_inside for record in made):  # what one call makes is there when it returns
        splits = tuple(replace(split, first_image_s=split.seconds, call_s=split.seconds) for split in splits)
    return Plan(
        splits=splits,
        cold_s={split.batch_size: split.seconds for split in cold_splits},
        chosen=_chosen(splits, cold_splits, members, measured, question),
        beaten=front_of_splits(splits, cold_splits if question.price_per_s is not None else ()).beaten,
        unplanned={
            row.batch_size: images % row.batch_size
            for row in there
            if row.batch_size <= images and row.batch_size not in {split.batch_size for split in splits}
        },
        unit="image" if there[0].frames is None else "video",
        what=made[0].case.words,
        doubtful=frozenset(row.batch_size for row in there if row.unreliable),
    )


def _chosen(
    splits: Sequence[Split], paid: Sequence[Split], members: Sequence[Row], measured: Measured, question: Question
) -> Split | None:
    """Return the recommended one of *splits*; *paid* are the same from a cold start, which is what costs."""
    by_size = {split.batch_size: split for split in splits}
    ran = [split for split in splits if split.measured]
    if question.objective == Objective.THROUGHPUT and not question.cold and ran and not any(one.rest for one in ran):
        # So many equal calls: the sweet spot is that of a sweep, decided on the curve.
        sizes = {split.batch_size for split in ran}
        points = measured.points(row for row in members if row.batch_size in sizes)
        choice = choose(points, within=question.within, others=measured.points_over_limit(members))
        return by_size[choice.spot.batch_size]
    among = paid if question.objective == Objective.COST else splits
    found = recommended(among, objective=question.objective, within=question.within)
    return None if found is None else by_size[found.batch_size]


def _calls(there: Sequence[Row], timings: Sequence[Timing], images: int) -> dict[int, Call]:
    found: dict[int, Call] = {}
    extras = [row.cold_start_s - row.call_s for row in there if row.cold_start_s is not None and row.call_s is not None]
    usual_s = max(statistics.median(extras), 0.0) if extras else 0.0
    for row in sorted(there, key=lambda row: -(row.s_per_image or 0.0)):  # of several counts the fastest stands
        call_s = row.call_s or 0.0
        first_s = usual_s if row.cold_start_s is None else max(row.cold_start_s - call_s, 0.0)
        joules = None if row.joules_per_image is None else row.joules_per_image * row.batch_size
        spread = row.call_interval
        found[row.batch_size] = Call(
            seconds=call_s,
            low_s=spread.low if spread else None,
            high_s=spread.high if spread else None,
            measured=True,
            first_s=first_s,
            peak_bytes=row.peak_bytes,
            joules=joules,
        )
    curve = _curve(timings)
    if curve is not None:
        for size in _between(found, images):
            seconds = curve.seconds(size)
            found[size] = Call(
                seconds=seconds.estimate or 0.0,
                low_s=seconds.low,
                high_s=seconds.high,
                measured=False,
                first_s=usual_s,
                peak_bytes=_peak_at(size, there),
            )
    return found


def _between(measured: Iterable[int], images: int) -> list[int]:
    """Return powers of 2, and the remainders of all sizes, that were not measured but lie below one that was."""
    known = set(measured)
    powers = {2**k for k in range(max(known).bit_length()) if 2**k < max(known)}
    sizes = {size for size in known | powers if size <= images}
    remainders = {images % size for size in sizes if images % size}
    return sorted((sizes | remainders) - known)


def _curve(timings: Sequence[Timing]) -> Scaling | None:
    if len({timing.batch_size for timing in timings}) < 2:
        return None
    curve = fit(timings)
    return curve if curve.worst_misfit <= _USABLE_MISFIT else None


def _peak_at(size: int, there: Sequence[Row]) -> float | None:
    """Return the peak at a size between those of *there*; below the smallest its own.

    The peak is convex in the batch size, as another stage overtakes, so that the line between two neighbours says at
    most too much.
    """
    peaks = sorted((row.batch_size, row.peak_bytes) for row in there if row.peak_bytes is not None)
    above = next(((at, peak) for at, peak in peaks if at >= size), None)
    below = next(((at, peak) for at, peak in reversed(peaks) if at <= size), above)
    if above is None or below is None:
        return None
    part = (size - below[0]) / (above[0] - below[0]) if above[0] > below[0] else 1.0
    return below[1] + max(part, 0.0) * (above[1] - below[1])


def split_sentence(plan: Plan, question: Question) -> str:
    """Return the recommended split, what it gains and what it costs.

    ``16 images: 4x4, 3.10 s, 14 % faster than 1x16, 2.00 GiB less than 16x1; first image after 775 ms;
    $0.41 per 1000 images, incl. loading``
    """
    chosen, of = plan.chosen, units.count(question.images or 0, plan.unit)
    if chosen is None:
        lacking = f": none that was measured has a figure of {question.objective.value}" if plan.splits else ""
        if plan.splits and not any(split.measured for split in plan.splits):
            lacking = ": each has a call that was not measured"
        return f"{of}: no split can be recommended{lacking}"
    aim = "" if question.objective == Objective.THROUGHPUT else f", for {question.objective.value}"
    parts = [f"{of}{aim}: {chosen.text}", units.duration(chosen.seconds), *_compared(plan, chosen)]
    said = f"{', '.join(parts)}; first {plan.unit} after {units.duration(chosen.first_image_s)}"
    if question.price_per_s is not None:
        said += f"; {_dollars(plan, chosen, question.price_per_s)} per 1000 {plan.unit}s, incl. loading"
    return said


def _compared(plan: Plan, chosen: Split) -> Iterable[str]:
    """Yield the gain over the smallest and the largest batch, and what a faster split would gain."""
    measured = [split for split in plan.splits if split.measured]
    smallest, largest = measured[0], measured[-1]
    fastest = min(measured, key=lambda split: (split.seconds, split.batch_size))
    faster = smallest.seconds / chosen.seconds - 1
    if smallest is not chosen and faster >= 1:
        yield f"{units.times(faster + 1)} as fast as {smallest.text}"
    elif smallest is not chosen and faster >= _WORTH_SAYING:
        yield f"{units.share(faster)} faster than {smallest.text}"
    slower = chosen.seconds / fastest.seconds - 1
    if slower >= 1:
        yield f"takes {units.times(slower + 1)} as long as {fastest.text}"
    elif slower >= _WORTH_SAYING:
        yield f"{units.share(slower)} slower than {fastest.text}"
    if largest.peak_bytes is not None and chosen.peak_bytes is not None:
        less = largest.peak_bytes - chosen.peak_bytes
        if less >= _WORTH_SAYING * largest.peak_bytes and less > 0:
            yield f"{units.memory(less)} less than {largest.text}"


def _dollars(plan: Plan, split: Split, price_per_s: float) -> str:
    """Return the dollars of 1000 images, the cold start shared by the images of the plan."""
    return f"${units.number(plan.cold_s[split.batch_size] * price_per_s / split.images * 1000)}"


def split_table(
    plans: Mapping[str, Plan], question: Question, *, width: int, color: bool, encoding: str = "utf-8"
) -> str:
    """Return the splits of each group, by its title, as a table without a newline at the end; empty for no split.

    Args:
        plans: by title of the group.
        question: that they answer.
        width: columns of the screen.
        color: whether to use ANSI colours.
        encoding: of the screen.

    """
    shown, blocks = split_blocks(plans, question)
    if not blocks:
        return ""
    from rich.text import Text

    lines = lay_out(shown, blocks, width=width, encoding=encoding)
    for text in split_notes(plans):
        lines.extend(Text(line, "dim") for line in textwrap.wrap(text, width, subsequent_indent="    "))
    return to_string(lines, color=color, encoding=encoding)


def split_blocks(plans: Mapping[str, Plan], question: Question) -> tuple[tuple[Column, ...], tuple[Block, ...]]:
    """Return the columns that have a figure, and the splits of each group that has some, under its title."""
    blocks = tuple(
        Block((Cell(plain(title), "bold"),), tuple(_cells(plan, split, question) for split in plan.splits))
        for title, plan in plans.items()
        if plan.splits
    )
    rows = [row for block in blocks for row in block.rows]
    of_videos = all(plan.unit == "video" for plan in plans.values() if plan.splits)
    shown = (
        replace(column, header="first\nvideo") if column.key == "first" and of_videos else column
        for column in _COLUMNS
        if column.key not in _OPTIONAL or any(row[column.key].text != UNKNOWN for row in rows)
    )
    return tuple(shown), blocks


def split_notes(plans: Mapping[str, Plan]) -> Iterator[str]:
    """Yield what a reader of the splits must know."""
    if any(plan.doubtful for plan in plans.values()):
        yield f"{DOUBTFUL}: from a row that is not to be relied on"
    if any(plan.beaten for plan in plans.values()):
        yield _LEGEND
    for plan in plans.values():
        for size, rest in plan.unplanned.items():
            yield (
                f"{size} at a time is no split here: a last call of {rest} was not measured, and the times lie on no "
                f"curve that would tell; to have it, add {rest} to the batch sizes"
            )


def _cells(plan: Plan, split: Split, question: Question) -> dict[str, Cell]:
    price = question.price_per_s
    how = "measured" if split.measured else "predicted"
    if split is plan.chosen and len(plan.splits) > 1:  # an only one was not chosen
        how += ", recommended"
    elif split in plan.beaten:
        how += _BEATEN
    # What is predicted lies on the curve of all rows.
    if plan.doubtful and (not split.measured or plan.doubtful & {split.batch_size, split.rest}):
        how += f", {DOUBTFUL}"
    texts = {
        "split": f"  {split.text}",
        "all": units.duration(split.seconds),
        "first": units.duration(split.first_image_s),
        "peak": UNKNOWN if split.peak_bytes is None else units.memory(split.peak_bytes),
        "energy": UNKNOWN if split.joules is None else units.energy(split.joules),
        "cost": UNKNOWN if price is None else _dollars(plan, split, price),
        "how": how,
    }
    return {key: Cell(text) for key, text in texts.items()}
