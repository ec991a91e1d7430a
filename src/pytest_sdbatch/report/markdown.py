"""A comparison as Markdown, for a pull request or the summary of a job: the verdict first, the worst cases first.

It is as large as it may be where it is put, and says what was left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_sdbatch import units
from pytest_sdbatch.analysis.comparison import CaseComparison, Comparison
from pytest_sdbatch.analysis.config import Config
from pytest_sdbatch.analysis.verdict import Verdict
from pytest_sdbatch.report.bounded import COMMENT_BYTES, MOST_ROWS, Bounded
from pytest_sdbatch.report.comparison import (
    COLUMNS,
    budget_note,
    figures,
    heading,
    legend,
    note_of,
    rank_of,
    regression_texts,
    summary_line,
)
from pytest_sdbatch.report.escape import markdown
from pytest_sdbatch.report.markdown_table import bounded_text, table_head, table_row

# What a report begins with. A job that comments finds its own earlier comment by it.
MARK = "<!-- a report of pytest-sdbatch: the next one of this name replaces it -->"
_PLAIN = (Verdict.REGRESSED, Verdict.IMPROVED, Verdict.UNCHANGED)  # need no reason in the table
_POINTS, _ROWS = 0.25, 0.6  # shares of what is left that points at the top and rows may take
_KEPT_BYTES = 3_000  # for what is said of what was left out, and of the columns


def comparison_markdown(comparison: Comparison, *, lines: Sequence[str] = (), most_bytes: int = COMMENT_BYTES) -> str:
    """Return *comparison* as Markdown, all text from outside escaped.

    Args:
        comparison: of both sides.
        lines: what the reader should know besides.
        most_bytes: that it may have in UTF-8; of more, the worst is kept, and the number of what is missing.

    """
    made = Bounded(most_bytes - _KEPT_BYTES)
    made.add(MARK, "## sdbatch", "", f"**{markdown(summary_line(comparison))}**", "")
    points = [f"- {bounded_text(text)}" for text in (*heading(comparison), *lines)]
    notes = []
    added = made.add_blocks(([point] for point in points), keep=round(made.left * (1 - _POINTS)))
    if added < len(points):
        notes.append(f"{units.count(len(points) - added, 'line')} more of what was compared and what moved")
    order = sorted(comparison.cases, key=rank_of)
    shown, rows = order[:MOST_ROWS], []
    regressed = [case for case in order if case.verdict is Verdict.REGRESSED]
    config = None if comparison.pairs is None else comparison.config
    rows = [[_row(case, config)] for case in shown]
    made.add("", *table_head(COLUMNS))
    shown = shown[: made.add_blocks(rows, keep=round(made.left * (1 - _ROWS)) if regressed else 0)]
    blocks = [["", f"**regressed: {bounded_text(case.name)}**", "", *_about(case, comparison)] for case in regressed]
    below = Bounded(made.left)
    explained = below.add_blocks(blocks)
    if explained < len(blocks):
        notes.append(f"{units.count(len(blocks) - explained, 'more case')} regressed, without their numbers here")
    told = [f"{bounded_text(text)}  " for text in (*legend(comparison, shown), *notes)]
    return made.text() + "\n".join(["", *told, ""]) + below.text()


def _about(case: CaseComparison, comparison: Comparison) -> Iterator[str]:
    yield from (f"- {bounded_text(text)}" for text in regression_texts(case, comparison))


def _row(case: CaseComparison, config: Config | None) -> str:
    verdict = f"{case.verdict.value}{budget_note(case, config)}"
    if case.verdict not in _PLAIN:
        verdict += f": {note_of(case, paired=config is not None)}"
    return table_row((case.name, *figures(case).values(), verdict))
