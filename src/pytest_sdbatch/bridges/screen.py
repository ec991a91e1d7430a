"""What pytest's terminal shows of benchmarks: a word, a line for each, and the table with the answer at the end."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sdbatch.bridges import leasing

if TYPE_CHECKING:
    from pytest_sdbatch.host import Host
    from pytest_sdbatch.records import Record

SECOND_REPORT = "sdbatch_second_report"  # attribute of the report that a test gets whose case regressed


def status(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Return pytest's category, no letter, and the word of ``-v``: the outcome, or FAILED."""
    if SECOND_REPORT in vars(report):
        return "failed", "", "FAILED"
    data: dict[str, Any] | None = vars(report).get("sdbatch_record")
    # A failed set-up is an error to pytest, an expected failure is counted apart, and so is a test that is run again.
    is_error = report.when == "setup" and report.failed
    is_ours = data is not None and type(report) is pytest.TestReport
    if data is None or not is_ours or report.when == "teardown" or is_error or hasattr(report, "wasxfail"):
        return None
    if report.outcome not in ("passed", "skipped", "failed"):
        return None
    return report.outcome, "", "FAILED" if report.failed else str(data["outcome"]).upper()


def write_line(reporter: pytest.TerminalReporter, record: Record, node_id: str, host: Host) -> None:
    """Print the line of a finished case below the name of its file, which pytest prints once, without a line break."""
    from pytest_sdbatch.report import terminal

    progress = host.progress
    # Behind the last line pytest writes its percentage.
    width = host.config.get_terminal_writer().fullwidth - (len(" [100%]") if progress.complete else 0)
    line = terminal.case_line(
        record,
        number=progress.ended,
        total=progress.total,
        left_s=progress.left_s,
        width=width,
        named=len({case.id for case in host.grid}) < len(host.grid),  # several tests measure the same case
    )
    file = node_id.partition("::")[0]
    starts_line = progress.line_of_file == file and reporter.verbosity <= 0
    progress.line_of_file = file
    # Every line but the last ends here: pytest writes its percentage behind a line that is open and long.
    is_last = progress.complete
    reporter.write(("" if starts_line else "\n") + line + ("" if is_last or reporter.verbosity > 0 else "\n"))


def summary(reporter: pytest.TerminalReporter, host: Host, exitstatus: pytest.ExitCode) -> None:
    """Show the table, the answer, and what was written where; of a run that was refused no table."""
    records = () if exitstatus == pytest.ExitCode.USAGE_ERROR else host.records
    if records and not host.options.switch("plan"):
        from pytest_sdbatch.bridges import resuming
        from pytest_sdbatch.report import answer, terminal
        from pytest_sdbatch.report.question import question_of

        reporter.section("pytest-sdbatch")
        width = host.config.get_terminal_writer().fullwidth
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        kept = dict.fromkeys(host.kept, resuming.kept_from(host))
        table = terminal.render_table(records, width=width, color=reporter.hasmarkup, encoding=encoding, kept=kept)
        question = question_of(host.options, lambda: host.session.environment)
        splits = answer.plan_table(records, question, width=width, color=reporter.hasmarkup, encoding=encoding)
        sentences = answer.answer_sentences(records, question)
        wrapped = [textwrap.fill(sentence, width, subsequent_indent="    ") for sentence in sentences]
        for line in [*table.splitlines(), *splits.splitlines(), *wrapped]:
            reporter.write_line(line)
    for note in [*host.notes, *leasing.notes(host)]:
        reporter.write_line(note, red=note.startswith("ERROR"))
