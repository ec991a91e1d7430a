"""``sdbatch report STUDY.json``: what ``sdbatch study -o`` kept, on the screen, as a page, Markdown or CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_sdbatch.analysis.exit_status import ExitStatus
from pytest_sdbatch.analysis.learning_runs import Study
from pytest_sdbatch.commands.refusal import refused
from pytest_sdbatch.commands.screen import screen
from pytest_sdbatch.errors import OptionError, SdbatchError
from pytest_sdbatch.report.study import render_study
from pytest_sdbatch.report.study_markdown import study_document
from pytest_sdbatch.storage.report_file import NO_RUN_FILE, Kind, check_reports, kind_of, write_report
from pytest_sdbatch.storage.study_file import is_study, read_study

_OUTPUT = "--output"


def show_study(files: Sequence[Path], outputs: Sequence[Path], *, besides: Sequence[str]) -> int:
    """Show the study among *files* or write it to *outputs*; return the exit status.

    Args:
        files: one of them, at least, is a study.
        outputs: that may be written; none: it is shown on the screen.
        besides: flags that were given and ask nothing of a study.

    """
    try:
        _check(files, besides)
        check_reports(outputs, option=_OUTPUT, kinds=NO_RUN_FILE)
        study = read_study(files[0])
        if not outputs:
            print(render_study(study, **screen()))
        for path in outputs:
            kind = kind_of(path, option=_OUTPUT)
            print(f"report: {write_report(path, kind, _text(study, kind, file=str(files[0])))}")
    except SdbatchError as error:
        return refused(error)
    return ExitStatus.GOOD


def _check(files: Sequence[Path], besides: Sequence[str]) -> None:
    if besides:
        raise OptionError(
            f"{', '.join(besides)} with a study",
            why=f"{next(filter(is_study, files))} holds training runs to a loss: nothing of it is asked there",
            fix="leave it out, or name run files of sdbatch sweep",
        )
    if len(files) > 1:
        of_runs = [str(path) for path in files if not is_study(path)]
        raise OptionError(
            f"{next(filter(is_study, files))} beside {of_runs[0] if of_runs else 'another study'}",
            why="a study has a page of its own: its runs learn to one loss, and answer other questions",
            fix="one report for each study, and one for all run files",
        )


def _text(study: Study, kind: Kind, *, file: str) -> str:
    if kind is Kind.HTML:
        from pytest_sdbatch.report.page.study import study_page

        return study_page(study, file=file)
    if kind is Kind.MARKDOWN:
        return study_document(study, file=file)
    from pytest_sdbatch.report.study_csv import study_csv

    assert kind is Kind.CSV
    return study_csv(study, file=file)
