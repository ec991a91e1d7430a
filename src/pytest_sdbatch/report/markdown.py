"""A comparison as Markdown, for a pull request or the summary of a job: the verdict first, the worst cases first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_sdbatch.analysis.comparison import CaseComparison, Comparison
from pytest_sdbatch.analysis.config import Config
from pytest_sdbatch.analysis.verdict import Verdict
from pytest_sdbatch.report.comparison import (
    MOST_ROWS,
    budget_note,
    figures,
    heading,
    legend,
    note_of,
    regression_texts,
    summary_line,
)
from pytest_sdbatch.report.escape import markdown

_ORDER = (
    Verdict.REGRESSED,
    Verdict.INCOMPARABLE,
    Verdict.ACCEPTED,
    Verdict.MISSING,
    Verdict.INCONCLUSIVE,
    Verdict.NEW,
    Verdict.IMPROVED,
    Verdict.UNCHANGED,
)
_PLAIN = (Verdict.REGRESSED, Verdict.IMPROVED, Verdict.UNCHANGED)  # need no reason in the table


def comparison_markdown(comparison: Comparison, *, lines: Sequence[str] = ()) -> str:
    """Return *comparison* as Markdown, all text from outside escaped.

    Args:
        comparison: of both sides.
        lines: what the reader should know besides.

    """
    return "\n".join([*_document(comparison, lines), ""])


def _document(comparison: Comparison, lines: Sequence[str]) -> Iterator[str]:
    yield "## sdbatch"
    yield ""
    yield f"**{markdown(summary_line(comparison))}**"
    yield ""
    yield from (f"- {markdown(text)}" for text in (*heading(comparison), *lines))
    shown = sorted(comparison.cases, key=lambda case: _ORDER.index(case.verdict))[:MOST_ROWS]
    yield ""
    yield "| case | base | now | change | 95 % interval | finds | memory | verdict |"
    yield "|---|---:|---:|---:|---:|---:|---:|---|"
    paired = comparison.pairs is not None
    yield from (_row(case, comparison.config if paired else None) for case in shown)
    yield ""
    yield from (f"{markdown(text)}  " for text in legend(comparison, shown))
    for case in comparison.cases:
        if case.verdict is Verdict.REGRESSED:
            yield ""
            yield f"**regressed: {markdown(case.name)}**"
            yield ""
            yield from (f"- {markdown(text)}" for text in regression_texts(case, comparison))


def _row(case: CaseComparison, config: Config | None) -> str:
    verdict = f"{case.verdict.value}{budget_note(case, config)}"
    if case.verdict not in _PLAIN:
        verdict += f": {note_of(case, paired=config is not None)}"
    return f"| {' | '.join(map(markdown, (case.name, *figures(case).values(), verdict)))} |"
