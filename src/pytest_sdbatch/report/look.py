"""A report on the screen: table, splits and answers of each source, and the verdicts of a comparison."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from pytest_sdbatch.report import verdicts as told
from pytest_sdbatch.report.answer import answer_of_runs, no_answer, plans_of
from pytest_sdbatch.report.bounded import MOST_ROWS
from pytest_sdbatch.report.capacity import fits_within
from pytest_sdbatch.report.layout import Block, Cell, encodable, lay_out, to_string
from pytest_sdbatch.report.measured import of_runs
from pytest_sdbatch.report.places import cut_short, side_by_side
from pytest_sdbatch.report.sources import Reported, Source
from pytest_sdbatch.report.splits import split_table
from pytest_sdbatch.report.table import rows
from pytest_sdbatch.report.terminal import render_table


def look(reported: Reported, *, width: int, color: bool, encoding: str = "utf-8") -> str:
    """Return *reported* for a screen of *width* columns, without a newline at the end."""
    blocks = [
        "\n".join(_source(source, reported, width=width, color=color, encoding=encoding)) for source in reported.sources
    ]
    apart = [line for text in side_by_side(reported.sources) for line in _wrapped(text, width, encoding)]
    blocks += ["\n".join(apart)] if apart else []
    if reported.verdicts is not None:
        blocks.append("\n".join(_verdicts(reported, width=width, color=color, encoding=encoding)))
    return "\n\n".join(blocks)


def _source(source: Source, reported: Reported, *, width: int, color: bool, encoding: str) -> Iterator[str]:
    measured = of_runs(source.runs)
    records = list(measured.records.values())
    yield from _wrapped(f"{source.name}: {', '.join(source.files)}{cut_short(source)}", width, encoding)
    yield render_table(records, width=width, color=color, encoding=encoding, elsewhere="-o")
    splits = plans_of(measured, source.question)
    table = split_table(splits, source.question, width=width, color=color, encoding=encoding)
    yield from [table] if table else []
    said = answer_of_runs(source.runs, source.question) or [no_answer(rows(records))]
    if reported.memory_limit_bytes is not None:
        said += fits_within(records, reported.memory_limit_bytes)
    for sentence in said:
        yield from _wrapped(sentence, width, encoding)


def _verdicts(reported: Reported, *, width: int, color: bool, encoding: str) -> Iterator[str]:
    assert reported.verdicts is not None
    cases = told.ranked(reported.verdicts)[:MOST_ROWS]
    shown = [column for column in told.COLUMNS if column.key not in ("case", "why")]
    blocks = tuple(
        Block(
            tuple(Cell(line) for text in (row["case"], row["why"]) for line in _wrapped(text, width, encoding)),
            ({key: Cell(f"  {text}" if key == "verdict" else text) for key, text in row.items()},),
        )
        for row in map(told.cells, cases)
    )
    for text in told.lines(reported.verdicts):
        yield from _wrapped(text, width, encoding)
    yield to_string(lay_out(shown, blocks, width=width, encoding=encoding), color=color, encoding=encoding)
    yield from _wrapped(told.headline(reported.verdicts), width, encoding)


def _wrapped(text: str, width: int, encoding: str) -> list[str]:
    from pytest_sdbatch.report.escape import plain

    lines = textwrap.wrap(plain(text), max(width, 20), subsequent_indent="    ", break_on_hyphens=False)
    return [encodable(line, encoding) for line in lines]
