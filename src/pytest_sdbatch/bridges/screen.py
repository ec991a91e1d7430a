"""Records on their way: from a test's report to the session, to the terminal, to the run files."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sdbatch.errors import SdbatchError

if TYPE_CHECKING:
    from pytest_sdbatch.host import Host
    from pytest_sdbatch.records import Record, Run

RECORD: pytest.StashKey[Record] = pytest.StashKey()


def header(host: Host) -> list[str]:
    """Return the lines that say where and what will be measured; none where no benchmark was collected."""
    if not host.grid:
        return []
    from pytest_sdbatch.report import terminal

    lines = terminal.header_lines(host.session.environment, host.options, host.grid)
    if host.options.switch("plan"):
        lines += terminal.plan_lines(host.grid, recorded_seconds(host))
    return lines


def recorded_seconds(host: Host) -> dict[str, float]:
    """Return what each case took when a stored run of this device last measured it, by case id."""
    from pytest_sdbatch.storage.run_file import read_run_file

    runs: list[Run] = []
    for path in host.stored_runs():
        try:
            runs += read_run_file(path)
        except SdbatchError as error:
            host.notes.append(f"not used for times: {error}")
    latest_last = sorted(runs, key=lambda run: run.started_at)
    return {
        record.case.id: sum(record.warmup_s) + sum(round_.wall_s for round_ in record.rounds)
        for run in latest_last
        for record in run.records
        if record.rounds
    }


def attach_record(item: pytest.Item, report: pytest.TestReport) -> None:
    """Let *report* carry the record of its benchmark, as plain builtins so that it can travel between processes.

    A record is carried by the call, by a set-up that did not pass, and again by a tear-down that failed, because
    then the test failed after measuring.
    """
    record = item.stash.get(RECORD, None)
    if record is None or (report.when != "call" and report.passed):
        return
    from pytest_sdbatch.storage.codec import encode_record

    vars(report)["sdbatch_record"] = encode_record(replace(record, test_outcome=report.outcome))


def carried_record(report: pytest.TestReport) -> Record | None:
    """Return the record that *report* carries."""
    data = vars(report).get("sdbatch_record")
    if data is None:
        return None
    from pytest_sdbatch.storage.codec import decode_record

    return decode_record(data)


def status(report: pytest.TestReport) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """Return pytest's category, no letter, and the outcome as the word of ``-v``."""
    data: dict[str, Any] | None = vars(report).get("sdbatch_record")
    if data is None or report.when == "teardown":
        return None
    if report.when == "setup" and report.failed:
        return None  # pytest calls this an error, and counts it apart
    colour = {"passed": "green", "skipped": "yellow", "failed": "red"}[report.outcome]
    return report.outcome, "", (str(data["outcome"]).upper(), {colour: True})


def keep(report: pytest.TestReport, host: Host) -> None:
    """Take the record of *report* into the session and print its line."""
    record = carried_record(report)
    if record is None:
        return
    host.session.keep(record)
    if report.when == "teardown":
        return
    host.count_finished(report.duration)
    reporter = host.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and host.config.get_verbosity() >= -1:
        _write_line(reporter, record, report.nodeid, host)


def _write_line(reporter: pytest.TerminalReporter, record: Record, node_id: str, host: Host) -> None:
    """Print the line of a finished case below the name of its file, which pytest prints once, without a line break."""
    from pytest_sdbatch.report import terminal

    width = host.config.get_terminal_writer().fullwidth
    line = terminal.case_line(record, number=host.finished, total=len(host.grid), left_s=host.time_left_s, width=width)
    file = node_id.partition("::")[0]
    starts_line = host.line_of_file == file and reporter.verbosity <= 0
    host.line_of_file = file
    # Every line but the last ends here: pytest writes its percentage behind a line that is open and long.
    is_last = host.finished >= len(host.grid)
    reporter.write(("" if starts_line else "\n") + line + ("" if is_last or reporter.verbosity > 0 else "\n"))


def save(session: pytest.Session, host: Host) -> None:
    """Write the run files; a file that cannot be written turns the run red and is said at the end."""
    targets = [
        (path, path == host.baseline_path) for path in (host.report_path, host.baseline_path) if path is not None
    ]
    if host.is_worker or host.only_check or not targets:
        return
    if not host.session.records:
        host.notes.append("no benchmark ran, so no run file was written")
        return
    interrupted = session.exitstatus == pytest.ExitCode.INTERRUPTED or host.finished < len(host.grid)
    for path, baseline in targets:
        try:
            host.notes.append(host.session.save(path, baseline=baseline, interrupted=interrupted))
        except SdbatchError as error:
            host.notes.append(f"ERROR: {error}")
            if session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED


def summary(reporter: pytest.TerminalReporter, host: Host) -> None:
    """Show the table, the answer, and what was written where."""
    records = host.session.records if host.grid else ()
    if records:
        from pytest_sdbatch.report import answer, terminal

        reporter.section("pytest-sdbatch")
        width = host.config.get_terminal_writer().fullwidth
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        table = terminal.render_table(records, width=width, color=reporter.hasmarkup, encoding=encoding)
        for line in [*table.splitlines(), *answer.answer_sentences(records, within=host.options.number("sweet_spot"))]:
            reporter.write_line(line)
    for note in host.notes:
        reporter.write_line(note, red=note.startswith("ERROR"))
