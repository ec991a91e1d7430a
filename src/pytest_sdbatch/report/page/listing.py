"""All cases in one table, and where they were measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_sdbatch import units
from pytest_sdbatch.nouns import TRAINING
from pytest_sdbatch.report.escape import plain
from pytest_sdbatch.report.layout import UNKNOWN, Column
from pytest_sdbatch.report.page.markup import Section, bullets, heading, paragraph, table
from pytest_sdbatch.report.page.subject import Subject
from pytest_sdbatch.report.places import fact_rows, origin, side_by_side, unknown
from pytest_sdbatch.report.table import Row, cells, columns
from pytest_sdbatch.report.training import TrainingRow, training_cells, training_columns, training_rows

_FIRST = ("case", "batch", "outcome")
_SORTED = {
    "call": "call_s",
    "step": "call_s",
    "rate": "images_per_s",
    "image": "s_per_image",
    "peak": "peak_bytes",
    "cold": "cold_start_s",
    "energy": "joules_per_image",
}  # columns whose order is that of a figure


def all_cases(subject: Subject) -> Section:
    """Make room for the table of all cases: the script fills it from :func:`case_data`, a screenful at a time."""
    notes = [
        f"({number}) {note}" if len(subject.sources) == 1 else f"{source.name} ({number}) {note}"
        for source, numbers in zip(subject.sources, subject.notes, strict=True)
        for note, number in numbers.items()
    ]
    return Section(
        id="cases",
        title="All cases",
        lead=f"{units.count(subject.cases, 'case')}. A heading sorts; the arrow keys scroll a table that is wide.",
        content='<div id="case-table"></div>' + bullets(notes[:_MOST_NOTES], "dim"),
    )


_MOST_NOTES = 200


def case_data(subject: Subject) -> dict[str, Any]:
    """Return all cases as columns: texts as the terminal has them, names once, numbers to sort by."""
    found = _found(subject)
    all_columns = _training_columns(subject) if _trains(subject) else columns([one.row for one in found])
    shown = [column for column in all_columns if any(one.texts[column.key] != UNKNOWN for one in found)]
    shown.sort(key=lambda column: _FIRST.index(column.key) if column.key in _FIRST else len(_FIRST))
    tests, groups = (list(dict.fromkeys(getattr(one.row, name) for one in found)) for name in ("test", "group"))
    test_at, group_at = ({name: at for at, name in enumerate(names)} for names in (tests, groups))
    return {
        "sources": [source.name for source in subject.sources],
        "tests": list(map(plain, tests)),
        "groups": list(map(plain, groups)),
        "source": [one.source for one in found],
        "test": [test_at[one.row.test] for one in found],
        "group": [group_at[one.row.group] for one in found],
        "columns": [_column(column, found) for column in shown],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One case: its source, its figures, their texts by column, and what of training sorts a column."""

    source: int
    row: Row
    texts: Mapping[str, str]
    more: Mapping[str, float | None] = field(default_factory=dict)


def _found(subject: Subject) -> list[_Line]:
    found: list[_Line] = []
    mixed = len({row.nouns for table in subject.tables for row in table}) > 1
    for source, (of_source, notes) in enumerate(zip(subject.tables, subject.notes, strict=True)):
        if _trains(subject):
            of_training = training_rows(subject.measured[source].records.values())
            found += [
                _Line(source=source, row=one.row, texts=training_cells(one, notes), more=_sorting(one))
                for one in of_training
            ]
        else:
            texts = ((row, cells(row, notes, mixed=mixed)) for row in of_source)
            found += [_Line(source=source, row=row, texts=of_row) for row, of_row in texts]
    return found


def _sorting(one: TrainingRow) -> Mapping[str, float | None]:
    numbers = {"batches": one.batches, "epoch": one.epoch_s, "effective": one.effective}
    return {**numbers, "accumulation": one.accumulation, "processes": one.processes}


def _trains(subject: Subject) -> bool:
    """Return whether there is nothing but training."""
    return subject.nouns == TRAINING


def _training_columns(subject: Subject) -> tuple[Column, ...]:
    records = (record for measured in subject.measured for record in measured.records.values())
    return training_columns(training_rows(records))


def _column(column: Column, found: Sequence[_Line]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "title": plain(column.title),
        "left": column.left,
        "texts": [plain(one.texts[column.key]) for one in found],
    }
    values: list[float | None] = []
    if column.key in _SORTED:
        values = [getattr(one.row, _SORTED[column.key]) for one in found]
    elif column.key in ("case", "batch"):
        made["by"] = [one.row.batch_size for one in found]
    elif all(column.key in one.more for one in found):
        values = [one.more[column.key] for one in found]
    if values:
        made["by"] = [None if value is None else float(f"{value:.5g}") for value in values]
    return made


def where(subject: Subject) -> Section:
    """Show where the runs were made: what differs first."""
    parts = [paragraph(origin(source)) for source in subject.sources]
    parts += [paragraph(sentence) for sentence in side_by_side(subject.sources)]
    facts = fact_rows(subject.sources)
    names = [Column("fact", "fact", left=True), Column("weight", "for a comparison", left=True)]
    names += [Column(str(k), source.name, left=True) for k, source in enumerate(subject.sources)]
    lines = [
        {"fact": row.name, "weight": row.weight.value, **{str(k): value for k, value in enumerate(row.values)}}
        for row in facts
    ]
    marked = {at: "differs" for at, row in enumerate(facts) if row.differs}
    if len(subject.sources) > 1:
        count = sum(row.differs for row in facts)
        parts.append(
            paragraph(f"What differs comes first: {units.count(count, 'fact')}." if count else "All facts agree.")
        )
    parts.append(
        table(names, lines, caption="Where the runs were made", marked=marked)
        if lines
        else paragraph("Nothing is known of the machine.", "dim")
    )
    for source in subject.sources:
        missing = list(unknown(source))
        parts += [heading(f"Not known of {source.name}", 4), bullets(missing, "dim")] if missing else []
    return Section(id="where", title="Where it ran", content="".join(parts))
