"""A report as Markdown: the answers first, then what regressed, the figures of every case, and where they were made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pytest_sdbatch import units
from pytest_sdbatch.report import verdicts as told
from pytest_sdbatch.report.answer import answer_of_runs, no_answer, plans_of
from pytest_sdbatch.report.bounded import MOST_ROWS
from pytest_sdbatch.report.capacity import fits_within, what_fits
from pytest_sdbatch.report.escape import markdown
from pytest_sdbatch.report.layout import Block, Column
from pytest_sdbatch.report.markdown_table import table_head, table_row
from pytest_sdbatch.report.measured import of_runs
from pytest_sdbatch.report.places import fact_rows, origin, side_by_side
from pytest_sdbatch.report.sources import Reported, Source
from pytest_sdbatch.report.splits import split_blocks, split_notes
from pytest_sdbatch.report.table import Row, cells, columns, numbered_notes, rows
from pytest_sdbatch.report.terminal import legend
from pytest_sdbatch.report.training import is_training, training_cells, training_columns, training_rows


def report_markdown(reported: Reported) -> str:
    """Return *reported* as Markdown, all text from outside escaped."""
    return "\n".join([*_document(reported), ""])


def _document(reported: Reported) -> Iterator[str]:
    yield "# sdbatch report"
    for source in reported.sources:
        yield from _answers(source, reported, named=len(reported.sources) > 1)
    if reported.verdicts is not None:
        yield from _verdicts(reported)
    for source in reported.sources:
        yield from _figures(source, named=len(reported.sources) > 1)
    yield from _places(reported.sources)


def _answers(source: Source, reported: Reported, *, named: bool) -> Iterator[str]:
    yield ""
    if named:
        yield f"**{markdown(source.name)}**"
        yield ""
    records = of_runs(source.runs).records.values()
    said = answer_of_runs(source.runs, source.question) or [no_answer(rows(records))]
    yield from (f"- {markdown(sentence)}" for sentence in said)
    trained = [record for record in records if is_training(record)]  # whose sentences tell what fits
    fits = what_fits((record for record in records if not is_training(record)), reported.memory_limit_bytes)
    fits += [] if reported.memory_limit_bytes is None else fits_within(trained, reported.memory_limit_bytes)
    if fits:
        yield from ("", "What fits:", "")
        yield from (f"- {markdown(sentence)}" for sentence in fits)


def _verdicts(reported: Reported) -> Iterator[str]:
    assert reported.verdicts is not None
    yield from ("", "## What changed", "", f"**{markdown(told.headline(reported.verdicts))}**", "")
    yield from (f"- {markdown(line)}" for line in told.lines(reported.verdicts))
    cases = told.ranked(reported.verdicts)
    yield ""
    yield from _table(told.COLUMNS, [told.cells(case) for case in cases])


def _figures(source: Source, *, named: bool) -> Iterator[str]:
    records = of_runs(source.runs).records.values()
    generated, trained = rows(r for r in records if not is_training(r)), training_rows(filter(is_training, records))
    notes = numbered_notes([*generated, *(one.row for one in trained)])
    yield from ("", f"## Figures{f' of {markdown(source.name)}' if named else ''}")
    yield from _groups(columns(generated), [(row, cells(row, notes)) for row in generated])
    yield from _groups(training_columns(trained), [(one.row, training_cells(one, notes)) for one in trained])
    keys = {column.key for column in columns(generated)} if generated else set()
    meant = legend([record for record in records if not is_training(record)], keys)
    if notes or meant:
        yield ""
        yield from (f"- {markdown(text)}" for text in meant)
        yield from (f"- ({number}) {markdown(note)}" for note, number in notes.items())
    yield from _splits(source)


def _groups(shown: Sequence[Column], lines: Iterable[tuple[Row, Mapping[str, str]]]) -> Iterator[str]:
    """Yield a table for each group of each test."""
    groups: dict[tuple[str, str], list[Mapping[str, str]]] = {}
    for row, texts in lines:
        groups.setdefault((row.test, row.group), []).append(texts)
    for (test, group), members in groups.items():
        yield from ("", f"{markdown(f'{test}:')} **{markdown(group)}**", "")
        yield from _table(shown, members)


def _splits(source: Source) -> Iterator[str]:
    plans = plans_of(of_runs(source.runs), source.question)
    shown, blocks = split_blocks(plans, source.question)
    for block in blocks:
        yield from ("", *(f"**{markdown(cell.text)}**" for cell in block.heading), "")
        yield from _table(shown, _texts(block))
    for text in split_notes(plans):
        yield from ("", markdown(text))


def _texts(block: Block) -> list[Mapping[str, str]]:
    return [{key: cell.text for key, cell in row.items()} for row in block.rows]


def _places(sources: Sequence[Source]) -> Iterator[str]:
    yield from ("", "## Where", "")
    yield from (f"- {markdown(text)}" for text in (*map(origin, sources), *side_by_side(sources)))
    yield ""
    names = [Column("fact", "", left=True), *(Column(str(k), source.name) for k, source in enumerate(sources))]
    facts = [row for row in fact_rows(sources) if row.differs or len(sources) == 1]
    if not facts:
        yield "Nothing that is known of them differs." if len(sources) > 1 else "Nothing is known of the machine."
        return
    values = ({"fact": row.name, **{str(k): value for k, value in enumerate(row.values)}} for row in facts)
    yield from _table(names, list(values))


def _table(shown: Iterable[Column], lines: Sequence[Mapping[str, str]]) -> Iterator[str]:
    there = list(shown)
    yield from table_head(there)
    for line in lines[:MOST_ROWS]:
        yield table_row(line[column.key] for column in there)
    if len(lines) > MOST_ROWS:
        yield ""
        yield f"{units.count(len(lines) - MOST_ROWS, 'more row')}: see the .csv or .html report"
