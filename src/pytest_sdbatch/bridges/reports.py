"""Reports made of runs: which writer a name asks for, and what of a pytest run goes into them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_sdbatch.analysis.comparison import Comparison
    from pytest_sdbatch.analysis.verdict_list import VerdictList
    from pytest_sdbatch.options import Options
    from pytest_sdbatch.records import Run
    from pytest_sdbatch.report.sources import Reported
    from pytest_sdbatch.storage.report_file import Kind


def write(path: Path, reported: Reported, *, option: str) -> Path:
    """Write *reported* to *path* as its suffix says, and return *path*.

    Raises:
        SdbatchError: for a suffix that names no report, or a file that cannot be written.

    """
    from pytest_sdbatch.storage.report_file import kind_of, write_report

    kind = kind_of(path, option=option)
    return write_report(path, kind, _writer(kind)(reported))


def reported_of(runs: Sequence[Run], options: Options, *, name: str, comparison: Comparison | None = None) -> Reported:
    """Return what is to be shown of *runs* of this place, which are called *name*."""
    from pytest_sdbatch.report.question import question_of
    from pytest_sdbatch.report.sources import Reported, RunFile, sources_of

    sources = sources_of(
        [RunFile(name=name, runs=tuple(runs))], lambda run: question_of(options, lambda: run.environment)
    )
    return Reported(sources=sources, verdicts=None if comparison is None else verdicts_in(comparison))


def verdicts_in(comparison: Comparison) -> VerdictList:
    """Return what a report shows of *comparison*: read as from a file of ``--json``, so that both show the same."""
    from pytest_sdbatch.report.comparison_data import comparison_data
    from pytest_sdbatch.storage.verdict_file import verdicts_of

    return verdicts_of(comparison_data(comparison, status=0))  # a report shows no status


def _writer(kind: Kind) -> Callable[[Reported], str]:
    from pytest_sdbatch.storage.report_file import Kind

    if kind is Kind.HTML:
        from pytest_sdbatch.report.page.document import page

        return page
    if kind is Kind.MARKDOWN:
        from pytest_sdbatch.report.markdown_report import report_markdown

        return report_markdown
    assert kind is Kind.CSV
    from pytest_sdbatch.report.csv_table import csv_table

    return csv_table
