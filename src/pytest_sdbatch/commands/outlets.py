"""Where verdicts of ``sdbatch ab`` and ``sdbatch compare`` go: the screen, a Markdown file, GitHub Actions."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_sdbatch.analysis.exit_status import ExitStatus, status_of
from pytest_sdbatch.commands.refusal import as_json
from pytest_sdbatch.commands.screen import screen
from pytest_sdbatch.errors import SdbatchError
from pytest_sdbatch.plain_text import plain

if TYPE_CHECKING:
    from pytest_sdbatch.analysis.comparison import Comparison

_REPORT = "--report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlets:
    """What was asked for."""

    as_json: bool  # on the screen; all else that is said goes to stderr
    github: bool
    report: Path | None


def add_outlets(parser: argparse.ArgumentParser) -> None:
    """Declare ``--report`` and ``--no-github``."""
    parser.add_argument(
        _REPORT,
        metavar="FILE.md",
        type=_report,
        help="write the verdicts as Markdown, too, small enough for a comment of a pull request",
    )
    parser.add_argument(
        "--no-github",
        dest="github",
        action="store_false",
        help="in a job of GitHub Actions, write no summary of it and no annotations",
    )


def _report(text: str) -> Path:
    from pytest_sdbatch.storage.report_file import check_reports

    path = Path(text)
    if path.suffix.lower() != ".md":
        raise argparse.ArgumentTypeError(f"{text}: the report is Markdown; name it .md")
    try:
        check_reports([path], option=_REPORT)
    except SdbatchError as error:
        raise argparse.ArgumentTypeError(error.line) from None
    return path


def give_out(
    comparison: Comparison,
    outlets: Outlets,
    *,
    lines: Sequence[str] = (),
    invalid: str | None = None,
    interrupted: bool = False,
    report_only: bool = False,
    fail_on: str = "regressed",
) -> ExitStatus:
    """Show *comparison*, tell GitHub where it listens, write the report, and return the exit status.

    Args:
        comparison: of both sides, with what is accepted.
        outlets: where it goes.
        lines: what the reader should know besides.
        invalid: as :func:`~pytest_sdbatch.analysis.exit_status.status_of`, and so the others.
        interrupted: whether it was stopped before it was done.
        report_only: whether no verdict makes it fail.
        fail_on: ``regressed`` or ``inconclusive``.

    """
    from pytest_sdbatch.bridges import github

    status = status_of(comparison, invalid=invalid, interrupted=interrupted, report_only=report_only, fail_on=fail_on)
    print(_text(comparison, status, lines=lines, as_json=outlets.as_json), flush=True)
    beside = sys.stderr if outlets.as_json else sys.stdout
    if outlets.github:
        github.tell(comparison, lines=lines, red=not report_only, inconclusive=fail_on == "inconclusive", to=beside)
    if outlets.report is None:
        return status
    try:
        _write(outlets.report, comparison, lines)
    except SdbatchError as error:
        print(f"ERROR: {_REPORT}: {error}", file=sys.stderr)
        return status or ExitStatus.NOT_WRITTEN
    print(f"sdbatch: report: {plain(str(outlets.report))}", file=beside, flush=True)
    return status


def refuse(error: SdbatchError, outlets: Outlets, *, status: ExitStatus) -> ExitStatus:
    """Say why there is no verdict at all, and return *status*."""
    from pytest_sdbatch.bridges import github

    if outlets.github:
        github.tell_refusal(error)
    if outlets.as_json:
        print(as_json(error, status))
    print(f"ERROR: {error}", file=sys.stderr)
    return status


def _write(path: Path, comparison: Comparison, lines: Sequence[str]) -> None:
    from pytest_sdbatch.report.markdown import comparison_markdown
    from pytest_sdbatch.storage.report_file import Kind, write_report

    write_report(path, Kind.MARKDOWN, comparison_markdown(comparison, lines=lines))


def _text(comparison: Comparison, status: ExitStatus, *, lines: Sequence[str], as_json: bool) -> str:
    if as_json:
        from pytest_sdbatch.report.comparison_data import comparison_data

        return json.dumps(comparison_data(comparison, status=status, notes=lines), allow_nan=False)
    from pytest_sdbatch.report.comparison import render_comparison
    from pytest_sdbatch.report.escape import plain

    table = render_comparison(comparison, **screen())
    return "\n".join([table, *(f"sdbatch: {plain(line)}" for line in lines)])
