"""What a run measured, as Markdown for the summary of a job: what went wrong first, then the figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pytest_sdbatch import units
from pytest_sdbatch.records import Environment, Outcome
from pytest_sdbatch.report.bounded import MOST_ROWS, Bounded
from pytest_sdbatch.report.layout import Column
from pytest_sdbatch.report.markdown_table import bounded_text, table_head, table_row
from pytest_sdbatch.report.table import Row, cells, columns

_KEPT_BYTES = 500  # for what is said of what was left out
_POINTS = 0.25  # share of what is left that points at the top may take
_VERSIONS = ("torch", "diffusers", "transformers")
_LEFT_OUT = ("case", "outcome")  # of the table's columns: they stand at its ends, in other words


def run_summary(
    table: Sequence[Row], sentences: Sequence[str], environment: Environment, *, most_bytes: int, title: str = "sdbatch"
) -> str:
    """Return Markdown of a run, all text from outside escaped.

    Args:
        table: of the run.
        sentences: what it answers.
        environment: where it ran.
        most_bytes: that the text may have in UTF-8; of more, the worst is kept, and the number of what is missing.
        title: of the section.

    """
    made = Bounded(most_bytes - _KEPT_BYTES)
    made.add(f"## {bounded_text(title)}", "", f"**{bounded_text(counted(table))}**", "")
    points = [[f"- {bounded_text(text)}"] for text in (_where(environment), *sentences)]
    made.add_blocks(points, keep=round(made.left * (1 - _POINTS)))
    shown = [column for column in columns(table) if column.key not in _LEFT_OUT]
    ends = [Column(name, name, left=True) for name in _LEFT_OUT]
    made.add("", *table_head((ends[0], *shown, ends[1])))
    order = sorted(table, key=worst_first)[:MOST_ROWS]
    several, mixed = len({row.test for row in table}) > 1, len({row.nouns for row in table}) > 1
    keys = [column.key for column in shown]
    added = made.add_blocks([_line(row, keys, named=several, mixed=mixed)] for row in order)
    text = made.text()
    if added < len(table):
        text += f"\n{units.count(len(table) - added, 'more case')} without a row here; the run file has them all\n"
    return text


def counted(table: Sequence[Row]) -> str:
    """Return how many cases ended how, and how many figures are doubtful: ``8 cases: 7 ok, 1 oom``."""
    found = Counter(row.outcome_text for row in table)
    order = sorted(found, key=lambda text: (text != Outcome.OK.value, text))
    parts = ", ".join(f"{units.count(found[text])} {text}" for text in order)
    doubtful = sum(row.unreliable for row in table)
    return f"{units.count(len(table), 'case')}: {parts}{f'; do not rely on {doubtful} of them' if doubtful else ''}"


def worst_first(row: Row) -> int:
    """Return what sorts rows: a failed test, then what has no figures or doubtful ones, then the rest as it was."""
    if row.test_outcome in ("failed", "regressed"):
        return 0
    if row.outcome in (Outcome.OOM, Outcome.SKIPPED):
        return 2
    return 1 if row.outcome is not Outcome.OK or row.unreliable else 3


def _line(row: Row, keys: Sequence[str], *, named: bool, mixed: bool) -> str:
    texts = cells(row, dict.fromkeys(row.notes, 0), mixed=mixed)
    outcome = "; ".join([row.outcome_text, *row.notes])
    name = f"{row.test} {row.case}" if named or row.model is None else row.case
    return table_row([name, *(texts[key] for key in keys), outcome])


def _where(environment: Environment) -> str:
    facts = {**environment.shown, **environment.drift, **environment.must_match}
    return ", ".join(_facts(facts)) or "nothing is known of the machine"


def _facts(facts: dict[str, str | int | float | bool | None]) -> Iterator[str]:
    if facts.get("device_name") or facts.get("device_kind"):
        yield str(facts.get("device_name") or facts["device_kind"])
    if facts.get("threads") is not None and facts.get("device_kind") == "cpu":
        yield units.count(int(facts["threads"] or 0), "thread")
    if facts.get("python"):
        yield str(facts["python"])
    yield from (f"{name} {facts[name]}" for name in _VERSIONS if facts.get(name))
    if facts.get("commit"):
        yield f"commit {str(facts['commit'])[:12]}{' with changes' if facts.get('dirty') else ''}"
