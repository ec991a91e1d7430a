"""All cases in one table, and where they were measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_sdbatch import units
from pytest_sdbatch.report.escape import plain
from pytest_sdbatch.report.layout import Column
from pytest_sdbatch.report.page.markup import Section, bullets, heading, paragraph, table
from pytest_sdbatch.report.page.subject import Subject
from pytest_sdbatch.report.places import fact_rows, origin, unknown
from pytest_sdbatch.report.table import UNKNOWN, Row, cells, columns

_SORTED = {
    "call": "call_s",
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
    found = [
        (source, row, texts)
        for source, (rows, notes) in enumerate(zip(subject.tables, subject.notes, strict=True))
        for row, texts in ((row, cells(row, notes)) for row in rows)
    ]
    shown = [
        column
        for column in columns([row for _, row, _ in found])
        if any(texts[column.key] != UNKNOWN for _, _, texts in found)
    ]
    shown.sort(key=lambda column: ("case", "outcome").index(column.key) if column.key in ("case", "outcome") else 2)
    tests, groups = (list(dict.fromkeys(getattr(row, name) for _, row, _ in found)) for name in ("test", "group"))
    test_at, group_at = ({name: at for at, name in enumerate(names)} for names in (tests, groups))
    return {
        "sources": [source.name for source in subject.sources],
        "tests": list(map(plain, tests)),
        "groups": list(map(plain, groups)),
        "source": [source for source, _, _ in found],
        "test": [test_at[row.test] for _, row, _ in found],
        "group": [group_at[row.group] for _, row, _ in found],
        "columns": [_column(column, found) for column in shown],
    }


def _column(column: Column, found: Sequence[tuple[int, Row, dict[str, str]]]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "title": plain(column.title),
        "left": column.left,
        "texts": [plain(texts[column.key]) for _, _, texts in found],
    }
    if column.key in _SORTED:
        values = (getattr(row, _SORTED[column.key]) for _, row, _ in found)
        made["by"] = [None if value is None else float(f"{value:.5g}") for value in values]
    elif column.key == "case":
        made["by"] = [row.batch_size for _, row, _ in found]
    return made


def where(subject: Subject) -> Section:
    """Show where the runs were made: what differs first."""
    parts = [paragraph(origin(source)) for source in subject.sources]
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
