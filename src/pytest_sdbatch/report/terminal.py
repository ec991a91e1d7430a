"""What the screen shows: the header, the plan, a line per case while running, and the table at the end."""

from __future__ import annotations

import textwrap
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from pytest_sdbatch import units
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.options import TABLE, Options, Origin
from pytest_sdbatch.records import Environment, Outcome, Record, short_name
from pytest_sdbatch.report.answer import answer_sentences
from pytest_sdbatch.report.escape import plain, shortened
from pytest_sdbatch.report.layout import Block, Cell, fitting, lay_out, to_string, without_room
from pytest_sdbatch.report.row_notes import MEMORY_SOURCES
from pytest_sdbatch.report.several import runs_of
from pytest_sdbatch.report.table import NOTHING_KEPT, Row, cells, columns, numbered_notes, rows
from pytest_sdbatch.report.training import (
    is_training,
    training_cells,
    training_columns,
    training_notes,
    training_rows,
)

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["answer_sentences", "case_line", "header_lines", "plan_lines", "render_table"]

_PREFIX = "sdbatch: "
_VERSIONS = ("torch", "diffusers", "transformers")
# Figures of the device that tell whether a measurement may be believed, as Environment.unknown calls them. Its other
# reasons are of figures that no answer rests on, or that the table speaks of itself: peak memory.
_SENSED = {
    "energy": "energy",
    "throttling": "throttling",
    "sm_clock": "SM clock",
    "temperature": "temperature",
    "ecc_errors": "ECC errors",
    "xid_faults": "XID faults",
    "other_processes": "other processes",
}
_REASON_LENGTH, _SHORTEST_REASON = 100, 30
_GOOD, _NOTABLE, _BAD = "green", "yellow", "red"
_NOTABLE_OUTCOMES = (Outcome.OOM, Outcome.SPILLED, Outcome.OVER_LIMIT, Outcome.THROTTLED, Outcome.SKIPPED)


def header_lines(environment: Environment, options: Options, cases: Sequence[Case]) -> list[str]:
    """Return where and what will be measured, and which options were given.

    Args:
        environment: of this process.
        options: in force for the run.
        cases: of all benchmarks, at least one.

    """
    facts = {**environment.shown, **environment.drift, **environment.must_match}
    about = [str(facts["device_name"])] if facts.get("device_name") else []
    if facts.get("threads") is not None and facts.get("device_kind") == "cpu":
        about.append(units.count(int(facts["threads"] or 0), "thread"))
    about = [text for text in about if text != cases[0].device]
    device = cases[0].device + (f" ({', '.join(about)})" if about else "")
    versions = [str(facts["python"])] if facts.get("python") else []
    versions += [f"{name} {facts[name]}" for name in _VERSIONS if facts.get(name)]
    given = [
        setting.spelled
        if row.kind == "switch" and setting.spelled.startswith("--")
        else f"{setting.spelled}={setting.text}"
        for row, setting in ((row, options.settings[row.name]) for row in TABLE)
        if setting.origin > Origin.DEFAULT
    ]
    from_file = any(setting.origin is Origin.INI for setting in options.settings.values())
    rest = ("markers over the file, " if from_file else "") + "the rest by marker or default"
    lines = [
        ", ".join([device, *versions]),
        f"{units.count(len(cases), 'case')}: {'; '.join(_axes(cases, options))}",
        f"given: {' '.join(given)}; {rest}" if given else "options by marker or default",
        *_not_told(environment.unknown),
    ]
    return [_PREFIX + plain(line) for line in lines]


def free_line(free: Mapping[str, int]) -> str:
    """Return how much memory there is for batch sizes that grow as far as it does.

    Args:
        free: bytes of each memory that has an end, by its name.

    """
    known = " and ".join(f"{units.memory(size)} of {name}" for name, size in free.items())
    told = f"{known} free now, beside what this process and others use" if known else "what is free is not known here"
    return f"{_PREFIX}batch sizes grow as far as they are predicted to fit: {told}"


def _not_told(unknown: Mapping[str, str]) -> list[str]:
    """Return which figures of the device are not known here, a line per reason: once, and not in every row."""
    figures: dict[str, list[str]] = {}
    for key, name in _SENSED.items():
        if key in unknown:
            figures.setdefault(unknown[key], []).append(name)
    return [f"not known here: {', '.join(names)} ({reason})" for reason, names in figures.items()]


def plan_lines(
    cases: Iterable[Case],
    seconds: Mapping[str, float] | None = None,
    memory: Mapping[str, str] | None = None,
    tests: Sequence[str] = (),
) -> list[str]:
    """Return the cases in the order of running, below the name of their test where there are several, and their sum.

    Args:
        cases: of all benchmarks.
        seconds: by case id, what a case is known to take; a case that is missing shows no time.
        memory: by case id, in words, what is known of the memory that it will take.
        tests: of each case the one that measures it.

    """
    planned, known, needs = list(cases), seconds or {}, memory or {}
    width = max((len(case.id) for case in planned), default=0)
    lines = [
        "  ".join(
            [
                f"  {case.id:{width}}",
                *([f"about {units.duration(known[case.id])}"] if case.id in known else []),
                *([needs[case.id]] if case.id in needs else []),
            ]
        ).rstrip()
        for case in planned
    ]
    if len(set(tests)) > 1:
        pairs = groupby(zip(tests, lines, strict=True), key=lambda pair: pair[0])
        lines = [line for test, members in pairs for line in (plain(test), *(line for _, line in members))]
    timed = [known[case.id] for case in planned if case.id in known]
    total = units.count(len(planned), "case")
    if timed:
        part = "" if len(timed) == len(planned) else f" for the {len(timed)} with a known time"
        total += f", about {units.duration(sum(timed))}{part}"
    return [*lines, total]


def case_line(
    record: Record, *, number: int, total: int, left_s: float | None, width: int | None = None, named: bool = False
) -> str:
    """Return the line that says how a case ended.

    Args:
        record: of the case.
        number: of the case, from 1.
        total: cases of the run.
        left_s: seconds until the last one ends; None: not known.
        width: columns of the screen; the least important figures give way, and a reason is cut. None: no limit.
        named: whether to name the test, too.

    """
    (row,) = rows([record])
    # Without a model the id says nothing of what ran; the test does.
    name = row.case if row.model is not None and not named else f"{short_name(row.test)} {row.case}"
    figures = _figures(row, record)
    parts = [f"[{number:{len(str(total))}}/{total}] {plain(name)}", *figures.values()]
    if row.outcome_text != Outcome.OK.value:
        reason = f": {record.reason}" if record.reason else ""
        parts.append(shortened(plain(f"{row.outcome_text}{reason}"), _REASON_LENGTH))
    end = [units.time_left(left_s)] if left_s is not None and number < total else []
    for key in ("peak", "rounds", "call"):
        if _excess([*parts, *end], width) > 0 and key in figures:
            parts.remove(figures[key])
    if row.outcome_text != Outcome.OK.value:
        room = len(parts[-1]) - max(_excess([*parts, *end], width), 0)
        parts[-1] = shortened(parts[-1], max(room, _SHORTEST_REASON))
    return "  ".join([*parts, *end])


def render_table(
    records: Iterable[Record],
    *,
    width: int,
    color: bool,
    encoding: str = "utf-8",
    kept: Mapping[tuple[str, str], str] = NOTHING_KEPT,
    elsewhere: str = "--sd-report",
) -> str:
    """Return the table of all cases, its notes below, without a newline at the end.

    Args:
        records: of one run, in any order.
        width: columns of the screen; where it does not do, the least important columns are left out, and named below.
        color: whether to use ANSI colours.
        encoding: of the screen; what it lacks is replaced.
        kept: by :attr:`Record.key`, from which interrupted run a record was taken over, in words.
        elsewhere: the option that writes a report, in which every column has room.

    """
    from rich.text import Text

    generated, trained = _by_task(records)
    lines: list[Text] = []
    for shown, is_trained in ((generated, False), (trained, True)):
        if not shown:
            continue
        lines += [Text("")] if lines else []
        lines += _table(shown, kept, width=width, encoding=encoding, trained=is_trained, elsewhere=elsewhere)
    return to_string(lines, color=color, encoding=encoding)


def _by_task(records: Iterable[Record]) -> tuple[list[Record], list[Record]]:
    """Return the records of generation and those of training."""
    generated: list[Record] = []
    trained: list[Record] = []
    for record in records:
        (trained if is_training(record) else generated).append(record)
    return generated, trained


def _table(
    shown: Sequence[Record],
    kept: Mapping[tuple[str, str], str],
    *,
    width: int,
    encoding: str,
    trained: bool,
    elsewhere: str,
) -> list[Text]:
    from rich.text import Text

    if trained:
        of_training = training_rows(shown, kept)
        notes, all_columns = training_notes(of_training), training_columns(of_training)
        texts = [training_cells(one, notes) for one in of_training]
        table: Sequence[Row] = [one.row for one in of_training]
    else:
        table = rows(shown, kept)
        notes, all_columns = numbered_notes(table), columns(table)
        texts = [cells(row, notes) for row in table]
    blocks = list(_blocks(table, texts, all_columns[0].key, width))
    fit = fitting(all_columns, blocks, width=width, encoding=encoding)
    lines = lay_out(fit, blocks, width=width, encoding=encoding)
    below = [
        *legend(shown, {column.key for column in fit}),
        *without_room([column for column in all_columns if column not in fit], blocks, elsewhere),
        *(f"({number}) {plain(note)}" for note, number in notes.items()),
    ]
    for text in below:
        lines.extend(Text(line, "dim") for line in _wrapped(text, width, "    "))
    return lines


def _axes(cases: Sequence[Case], options: Options) -> list[str]:
    """Return what varies and what does not, in the order of an id; of code without a model only what was given."""
    models = dict.fromkeys(case.label or "own code" for case in cases)
    has_model = any(case.model is not None for case in cases)
    frames = [str(case.frames) for case in cases if case.frames is not None]
    trains = all(case.training is not None for case in cases)
    counts = dict.fromkeys(str(case.batch_count) for case in cases)
    counted = f"{'batches per epoch' if trains else 'batch counts'} {_some(counts)}"
    kinds = dict.fromkeys(case.training.id for case in cases if case.training is not None)

    def told(name: str, values: Iterable[str]) -> list[str]:
        found = dict.fromkeys(values)
        asked = has_model or len(found) > 1 or options.origin(name) > Origin.DEFAULT
        return [_some(found)] if asked else []

    steps = [] if trains else told("steps", (str(case.steps) for case in cases))
    return [
        " ".join(
            [
                _some(models),
                *told("dtypes", (case.dtype for case in cases)),
                *told("resolutions", (f"{case.height}x{case.width}" for case in cases)),
            ]
        ),
        *([f"frames {_some(dict.fromkeys(frames))}"] if frames else []),
        *(f"steps {one}" for one in steps),
        *([f"training {_some(kinds)}"] if kinds else []),
        f"batch sizes {_some(dict.fromkeys(str(case.batch_size) for case in cases))}",
        *([] if trains and set(counts) == {"1"} else [counted]),  # of data that nobody named
    ]


def _some(values: Iterable[str], most: int = 8) -> str:
    """Return the values, the middle left out where they are many."""
    texts = list(values)
    if len(texts) <= most:
        return ",".join(texts)
    return f"{','.join(texts[: most - 2])},...,{texts[-1]} ({len(texts)} values)"


def _excess(parts: Sequence[str], width: int | None) -> int:
    """Return the columns that a line of *parts* has too many."""
    return 0 if width is None else len("  ".join(parts)) - width


def _figures(row: Row, record: Record) -> dict[str, str]:
    if row.call_s is None or row.rate_text is None:
        return {}
    rounds = units.count(row.rounds, "round")
    figures = {
        "call": f"{units.duration(row.call_s)}/{record.case.nouns.call}",
        "rate": row.rate_text,
        "rounds": rounds if record.stopped is None else f"{rounds}, {record.stopped.value}",
    }
    if row.peak_bytes is not None:
        figures["peak"] = f"peak {units.memory(row.peak_bytes)}"
    return figures


def _blocks(table: Sequence[Row], texts: Sequence[Mapping[str, str]], first: str, width: int) -> Iterator[Block]:
    """Yield the rows of each group under its id; a test's name stands above its first group.

    Args:
        table: the rows.
        texts: the cells of each of them.
        first: the column that is indented.
        width: of the screen.

    """
    test = None
    pairs = zip(table, texts, strict=True)
    for (owner, group), members in groupby(pairs, key=lambda pair: (pair[0].test, pair[0].group)):
        titles = [(plain(group), "bold")]
        if owner != test:
            titles.insert(0, (plain(owner), "cyan"))
        test = owner
        heading = [Cell(line, style) for title, style in titles for line in _wrapped(title, width)]
        yield Block(tuple(heading), tuple(_styled(row, text, first) for row, text in members))


def _styled(row: Row, of_row: Mapping[str, str], first: str) -> dict[str, Cell]:
    texts = {**of_row, first: f"  {of_row[first]}"}
    return {key: Cell(text, _style(row) if key == "outcome" else "") for key, text in texts.items()}


def _style(row: Row) -> str:
    if row.counts and not row.notes:
        return _GOOD
    return _NOTABLE if row.counts or row.outcome in _NOTABLE_OUTCOMES else _BAD


def legend(records: Sequence[Record], shown: Container[str]) -> list[str]:
    """Return what the interval, "peak memory" and "on the device" mean here, as far as their columns are *shown*.

    Why energy is not known is said at any width: where nobody knows it there is no column.
    """
    meanings = dict.fromkeys(
        MEMORY_SOURCES[record.memory_source] if _is_torch_s(record.case) else f"as {record.case.device} tells it"
        for record in records
        if record.outcome.has_numbers and record.memory_source in MEMORY_SOURCES
    )
    if not meanings:
        return []
    most = max(len(runs_of(record.rounds)) for record in records)
    first = {
        "spread": "within this run: 95 % interval of one process"
        if most == 1
        else f"between runs: 95 % interval by how {most} processes differ",
        "peak": f"peak memory: {' or '.join(meanings)}",
    }
    lines = ["; ".join(text for key, text in first.items() if key in shown)]
    if "device" in shown:
        lines.append("on the device: the most memory in use by all processes, in one more round that is not timed")
    coarse = dict.fromkeys(record.energy_reason for record in records if record.energy_reason is not None)
    return [*filter(None, lines), *(f"energy is not known of every case: {reason}" for reason in coarse)]


def _is_torch_s(case: Case) -> bool:
    """Return whether the case ran on a device of torch, and not on one of the project's own."""
    return case.device.partition(":")[0] in ("cpu", "cuda")


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(text, max(width, 20), subsequent_indent=indent, break_on_hyphens=False)
