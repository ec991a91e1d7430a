"""A comparison on screen: a table of all cases, a block for each that regressed, and a line that counts them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

from pytest_sdbatch import units
from pytest_sdbatch.analysis.comparable import Moved, Weight
from pytest_sdbatch.analysis.comparison import COMPARED, CaseComparison, Comparison
from pytest_sdbatch.analysis.config import TOLERANCE, Config
from pytest_sdbatch.analysis.estimate import FEWEST_PAIRS
from pytest_sdbatch.analysis.restless import is_noisy, runs_with, was_disturbed
from pytest_sdbatch.analysis.sides import SideRun
from pytest_sdbatch.analysis.stored import FEWEST_RUNS
from pytest_sdbatch.analysis.verdict import CaseVerdict, Verdict, worst_first
from pytest_sdbatch.report.bounded import MOST_ROWS
from pytest_sdbatch.report.escape import plain, shortened
from pytest_sdbatch.report.layout import (
    UNKNOWN,
    Cell,
    Column,
    blocks_by_test,
    by_test,
    fitting,
    lay_out,
    to_string,
    without_room,
    wrapped,
)

if TYPE_CHECKING:
    from rich.text import Text

_OF_SIDES = ("commit", "dirty")  # what two sides that ran in turn differ by: their names say it
_LONGEST_CASE = 28
_MOST_PAIRS = 1000  # beyond it nobody runs them
_MOST = 10.0  # the largest relative change that is written out: beyond it digits say nothing
COLUMNS = (
    Column("case", "case", left=True),
    Column("base", "base", drop=4),
    Column("now", "now", drop=2),
    Column("change", "change"),
    Column("interval", "95 % interval", drop=1),
    Column("detects", "finds"),
    Column("memory", "memory", drop=3),
    Column("verdict", "verdict", left=True),
)
_STYLES = {
    Verdict.REGRESSED: "red",
    Verdict.ACCEPTED: "yellow",
    Verdict.INCOMPARABLE: "red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.MISSING: "yellow",
    Verdict.NEW: "yellow",
    Verdict.IMPROVED: "green",
    Verdict.UNCHANGED: "green",
}
# In the order in which they are counted.
_COUNTED = (Verdict.REGRESSED, Verdict.IMPROVED, Verdict.UNCHANGED, Verdict.INCONCLUSIVE)
_BESIDE = (Verdict.NEW, Verdict.MISSING, Verdict.INCOMPARABLE)
_ALARMING = (Verdict.REGRESSED, Verdict.INCOMPARABLE, Verdict.INCONCLUSIVE)  # the first there is colours the count
_EXPLAINED = (Verdict.ACCEPTED, Verdict.INCONCLUSIVE, *_BESIDE)  # whose reason is a note below the table
_DOUBTS = (  # of a case in a run, and how they are told of several
    (is_noisy, "noisy: the rounds of {cases} differ a lot in {which} (was the machine busy?)"),
    (was_disturbed, "beside other work: something else may have slowed {cases} in {which}"),
)


LEFT_OUT = "base, now and change: of the runs that nothing disturbed, where they are enough"


class Told(Protocol):
    """The verdict on time or memory of a case, be it of a comparison or of what one has printed."""

    @property
    def estimate(self) -> float | None:
        """The relative change; None: not known, as below."""

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of the change, 95 %."""

    @property
    def minimum_detectable_effect(self) -> float | None:
        """The smallest slowdown that would have been found."""


def render_comparison(
    comparison: Comparison,
    *,
    width: int,
    color: bool,
    encoding: str = "utf-8",
    blocks: bool = True,
    elsewhere: str = "--json",
) -> str:
    """Return what is shown of *comparison*, without a newline at the end.

    Args:
        comparison: of stored runs with new ones.
        width: columns of the screen; where it does not do, the least important columns are left out.
        color: whether to use ANSI colours.
        encoding: of the screen; what it lacks is replaced.
        blocks: whether each case that regressed has one, with all its numbers.
        elsewhere: what to give for the columns that have no room.

    """
    from rich.text import Text

    shown = _shown(comparison.cases)
    paired = comparison.pairs is not None
    notes = notes_of(shown, paired=paired)
    lines = [Text(line) for text in heading(comparison) for line in wrapped(text, width)]
    row = partial(_row, notes=notes, config=comparison.config if paired else None)
    in_rows = list(blocks_by_test(shown, row, width=width))
    columns = _columns(shown)
    fit = fitting(columns, in_rows, width=width, encoding=encoding)
    lines += lay_out(fit, in_rows, width=width, encoding=encoding)
    unseen = without_room([column for column in columns if column not in fit], in_rows, elsewhere)
    below = [*unseen, *legend(comparison, shown), *(f"({number}) {plain(note)}" for note, number in notes.items())]
    lines += [Text(line, "dim") for text in below for line in wrapped(text, width)]
    for case in comparison.cases:
        if blocks and case.verdict is Verdict.REGRESSED:
            lines += [Text(""), *_regression(case, comparison, width)]
    lines += [Text(""), *(Text(line, style) for text, style in summary(comparison) for line in wrapped(text, width))]
    return to_string(lines, color=color, encoding=encoding)


def summary_line(comparison: Comparison) -> str:
    """Return how many cases have which verdict."""
    counts = {word.value: comparison.count(word) for word in Verdict}
    return counted_line({"compared": comparison.count(*COMPARED), **counts})


def counted_line(counts: Mapping[str, int]) -> str:
    """Return in words how many cases there are by verdict, and how many were ``compared``."""
    counted = (*_COUNTED, Verdict.ACCEPTED) if counts[Verdict.ACCEPTED] else _COUNTED
    parts, beside = (", ".join(f"{units.count(counts[word])} {word}" for word in words) for words in (counted, _BESIDE))
    return f"{units.count(counts['compared'], 'case')} compared: {parts}; besides {beside}"


def _shown(cases: Sequence[CaseComparison]) -> Sequence[CaseComparison]:
    """Return the cases that have a row, in the order of the table: all, or of very many those that tell most."""
    if len(cases) <= MOST_ROWS:
        return by_test(cases)
    ranked = sorted(range(len(cases)), key=lambda at: rank_of(cases[at]))
    return by_test(cases[at] for at in sorted(ranked[:MOST_ROWS]))


def rank_of(case: CaseComparison) -> tuple[int, float]:
    """Return what sorts cases, the worst first."""
    return worst_first(case.verdict, None if case.time is None else case.time.estimate)


def notes_of(cases: Sequence[CaseComparison], *, paired: bool) -> dict[str, int]:
    """Return the reasons for what is no plain verdict with their numbers; equal ones share it."""
    reasons = dict.fromkeys(note_of(case, paired=paired) for case in cases if case.verdict in _EXPLAINED)
    return {reason: number for number, reason in enumerate(reasons, start=1)}


def note_of(case: CaseComparison, *, paired: bool) -> str:
    """Return why a case has its verdict; of an inconclusive one in *paired* runs also what more of them would take."""
    detectable = detectable_of(case)
    if not paired or case.verdict is not Verdict.INCONCLUSIVE or case.time is None or detectable is None:
        return case.reason
    if case.time.pairs < FEWEST_PAIRS:  # that is what it lacks, whatever these few could find
        return case.reason
    finds = f"{units.count(case.time.pairs, 'pair')} can find {change_text(detectable)}"
    needed = case.time.needs_more
    if not needed:
        return f"{case.reason}; {finds}"
    more = units.count(needed, "pair") if needed <= _MOST_PAIRS else f"over {units.count(_MOST_PAIRS, 'pair')}"
    return f"{case.reason}; {finds}, it takes {more} more to find its tolerance"


def heading(comparison: Comparison) -> Iterator[str]:
    """Yield what was compared, and what moved between the sides."""
    names = compared(comparison)
    for word, side in (("base", comparison.base), ("candidate", comparison.candidate)):
        files = ", ".join(dict.fromkeys(run.file for run in side))
        where = f" {'in' if comparison.pairs is None else 'of'} {plain(files)}" if side else ""
        yield f"{word}: {units.count(len(side), 'run')}{where}"
        for run in side:
            if run.interrupted:
                yield f"  the run of {plain(run.started_at)} was interrupted: cases are missing from it"
        yield from (f"  {said}" for said in doubts(names, side))
    yield from moved_lines(comparison.moved().items(), cases=len(comparison.cases), paired=comparison.pairs is not None)


def compared(comparison: Comparison) -> Sequence[str]:
    """Return the names of the cases that are shown and that both sides have."""
    return [case.name for case in _shown(comparison.cases) if case.base and case.candidate]


def doubts(names: Sequence[str], side: Sequence[SideRun]) -> Iterator[str]:
    """Yield what is to be doubted in the runs of *side*, of the cases *names*."""
    for holds, words in _DOUBTS:
        doubted: dict[str, list[str]] = {}  # numbers of runs by what is to be doubted in them
        for number, found in runs_with(holds, side, names):
            cases = plain(found[0]) if len(found) == 1 else units.count(len(found), "case")
            doubted.setdefault(cases, []).append(str(number))
        for cases, numbers in doubted.items():
            which = f"run{'s' * (len(numbers) > 1)} {', '.join(numbers)}"
            yield words.format(cases=cases, which=which)


def moved_lines(found: Iterable[tuple[Moved, int]], *, cases: int, paired: bool) -> Iterator[str]:
    """Yield what moved between the sides, and what that does to a comparison.

    Args:
        found: each fact, and in how many cases it moved.
        cases: of the comparison.
        paired: whether the sides ran in turn.

    """
    effects = {
        Weight.MUST_MATCH: "incomparable",
        Weight.DRIFT: "also differs" if paired else "at most inconclusive",
        Weight.SHOWN: "also differs",
    }
    for fact, count in found:
        if not (paired and fact.key in _OF_SIDES):
            where = "" if count == cases else f" (in {units.count(count, 'case')})"
            yield f"{effects[fact.weight]}: {plain(str(fact))}{where}"


def _columns(cases: Sequence[CaseComparison]) -> list[Column]:
    """Return the columns that have a figure."""
    empty = set() if any(case.memory is not None for case in cases) else {"memory"}
    if not any(detectable_of(case) is not None for case in cases):
        empty.add("detects")
    return [column for column in COLUMNS if column.key not in empty]


def _row(case: CaseComparison, notes: Mapping[str, int], config: Config | None) -> dict[str, Cell]:
    """Return the cells of a case; *config* is that of pairs."""
    note = notes.get(note_of(case, paired=config is not None)) if case.verdict in _EXPLAINED else None
    number = "" if note is None else f" ({note})"
    texts = {"case": f"  {shortened(plain(case.place.case), _LONGEST_CASE)}", **figures(case)}
    cells = {key: Cell(text) for key, text in texts.items()}
    return {**cells, "verdict": Cell(f"{case.verdict.value}{budget_note(case, config)}{number}", _STYLES[case.verdict])}


def figures(case: CaseComparison) -> dict[str, str]:
    """Return the figures of a case by column, in the order of the table."""
    return figures_of(case.base_call_s, case.candidate_call_s, time=case.time, memory=case.memory)


def figures_of(base_s: float | None, now_s: float | None, *, time: Told | None, memory: Told | None) -> dict[str, str]:
    """Return the figures of a case by column: seconds per call of both sides, and what is known of the change."""
    estimate, interval = (None, None) if time is None else (time.estimate, time.interval)
    detectable = None if time is None else time.minimum_detectable_effect
    grown = None if memory is None else memory.estimate
    return {
        "base": UNKNOWN if base_s is None else units.duration(base_s),
        "now": UNKNOWN if now_s is None else units.duration(now_s),
        "change": UNKNOWN if estimate is None else change_text(estimate),
        "interval": UNKNOWN if interval is None else interval_text(interval),
        "detects": UNKNOWN if detectable is None else change_text(detectable),
        "memory": UNKNOWN if grown is None else units.change(grown),
    }


def budget_note(case: CaseComparison, config: Config | None) -> str:
    """Return the budget of a case that gave itself one and did not break it; *config* is that of pairs."""
    if config is None or not isinstance(config.tolerance, Mapping) or case.time is None:
        return ""
    share = config.tolerance_of(case.name)
    return "" if share == TOLERANCE or case.verdict is Verdict.REGRESSED else f", budget {units.share(share)}"


def detectable_of(case: CaseComparison) -> float | None:
    """Return the slowdown that would have been found in most comparisons like this one; None: not known."""
    return None if case.time is None else case.time.minimum_detectable_effect


def change_text(value: float) -> str:
    """Return a relative change; beyond tenfold its size says nothing."""
    return units.change(value) if value <= _MOST else f">{units.change(_MOST)}"


def interval_text(limits: tuple[float, float]) -> str:
    """Return both limits of an interval."""
    low, high = (change_text(limit).removesuffix(" %") for limit in limits)
    return f"{low} .. {high} %" if low != high or limits[0] <= _MOST else f"{low} %"  # both beyond what is told


def legend(comparison: Comparison, cases: Sequence[CaseComparison]) -> Iterator[str]:
    """Yield what the columns mean, and what is not in them."""
    hidden = len(comparison.cases) - len(cases)
    if hidden:
        yield f"{units.count(hidden, 'more case')} without a row here: --json has them all"
    if comparison.pairs is not None and any(case.time and 0 < case.time.pairs < len(case.base) for case in cases):
        yield "base, now: of all runs; change: of the pairs that decide"
    if any(detectable_of(case) is not None for case in cases):
        yield finds_line(paired=comparison.pairs is not None)
    if any(case.counting is not None and case.counting.left_out for case in cases):
        yield LEFT_OUT
    if not any(
        measured.peak_bytes for run in (*comparison.base, *comparison.candidate) for measured in run.cases.values()
    ):
        yield "peak memory is not compared: only that of the allocator of a GPU repeats well enough"


def finds_line(*, paired: bool) -> str:
    """Return what the column of that name means; *paired*: the sides ran in turn."""
    runs = "pairs of runs" if paired else "runs"
    return f"finds: the smallest slowdown that is called regressed in 80 % of comparisons with so many {runs}"


def _regression(case: CaseComparison, comparison: Comparison, width: int) -> list[Text]:
    """Return the block of a case that regressed: numbers, interval, budget, explanation."""
    from rich.text import Text

    # The name stays in one piece, however long: it is given to pytest as it is.
    title = Text(plain(f"regressed: {case.name}"), "bold red")
    return [title, *(Text(line) for text in regression_texts(case, comparison) for line in wrapped(text, width))]


def regression_texts(case: CaseComparison, comparison: Comparison) -> Iterator[str]:
    """Yield what is known of a case that regressed: numbers, interval, budget, explanation."""
    for verdict in (case.outcome, case.memory):
        if verdict is not None:
            yield f"{exact_text(verdict, is_memory=verdict is case.memory)}{_unless_red(verdict)}"
    time = case.time
    if time is None or time.estimate is None or case.base_call_s is None or case.candidate_call_s is None:
        return
    config = comparison.config
    interval = f", 95 % interval {interval_text(time.interval)}" if time.interval is not None else ""
    yield (
        f"  time: {units.duration(case.base_call_s)} -> {units.duration(case.candidate_call_s)} "
        f"{case.place.nouns.per_call}, {units.change(time.estimate)}{interval}{_unless_red(time)}"
    )
    if time.verdict is Verdict.REGRESSED:
        yield f"  why: {time.reason}" + (f" (p = {time.p:.1g})" if time.p is not None else "")
        drift = f", and {units.share(config.drift)} of drift" if comparison.pairs is None else ""
        yield f"  budget: {units.share(config.tolerance_of(case.name))}{drift}"
        yield from (f"  {plain(cause)}" for cause in case.causes)
        # Of stored runs the reason says it.
        if comparison.pairs is not None and (disturbed := sum(map(was_disturbed, case.candidate))):
            where = f"{disturbed} of {units.count(len(case.candidate), 'run')} of the candidate"
            yield f"  doubt: something else may have slowed it in {where}: measure on a quiet machine"
    for explanation in comparison.explanations:
        if explanation.group in case.place.groups:
            yield f"  explanation: {plain(str(explanation))}"


def exact_text(verdict: CaseVerdict, *, is_memory: bool) -> str:
    """Return what a verdict on the outcome, or on peak memory, says."""
    change = "" if verdict.estimate is None else f" ({units.change(verdict.estimate)})"
    return f"  {'peak memory' if is_memory else 'outcome'}: {plain(verdict.reason)}{change}"


def _unless_red(verdict: CaseVerdict) -> str:
    return "" if verdict.verdict is Verdict.REGRESSED else f": {verdict.verdict}"


def summary(comparison: Comparison) -> Iterator[tuple[str, str]]:
    """Yield the last lines and their styles: the count, and what an inconclusive comparison needs."""
    worst = next((word for word in _ALARMING if comparison.count(word)), Verdict.UNCHANGED)
    yield summary_line(comparison), f"bold {_STYLES[worst]}"
    unclear = [case for case in comparison.cases if case.verdict is Verdict.INCONCLUSIVE]
    if not unclear:
        return
    said = f"inconclusive: {units.count(len(unclear), 'case')}"
    if comparison.pairs is not None or comparison.needs_rounds:
        yield f"{said}: see what each needs above", _STYLES[Verdict.INCONCLUSIVE]
        return
    if all(case.drifted for case in unclear):
        yield f"{said}: more runs do not help where the sides differ as told above", _STYLES[Verdict.INCONCLUSIVE]
        return
    if all(case.disturbed or case.drifted for case in unclear):
        yield f"{said}: something else used the cores; measure again on a quiet machine", _STYLES[Verdict.INCONCLUSIVE]
        return
    more = comparison.more_runs
    if more:
        runs = units.count(FEWEST_RUNS - more, "run")
        yield (
            (
                f"{said}; {runs} of both sides are here and {FEWEST_RUNS} are needed: make "
                f"{more} more, of either side (sdbatch sweep --processes={more} ...)"
            ),
            _STYLES[Verdict.INCONCLUSIVE],
        )
        return
    known = [found for case in unclear if (found := detectable_of(case)) is not None]
    limits = dict.fromkeys(change_text(limit) for limit in (min(known), max(known))) if known else ()
    finds = f"; so many runs find slowdowns of {' to '.join(limits)}" if limits else ""
    yield f"{said}{finds}; more runs of either side find smaller ones", _STYLES[Verdict.INCONCLUSIVE]
