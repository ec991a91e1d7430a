"""Records on their way: from a test's report to the session, to the terminal, to the run files."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sdbatch.errors import SdbatchError
from pytest_sdbatch.options import Options, Origin

if TYPE_CHECKING:
    from pytest_sdbatch.host import Host
    from pytest_sdbatch.records import Environment, Fact, Record, Run
    from pytest_sdbatch.report.splits import Question

SECOND_REPORT = "sdbatch_second_report"  # attribute of the report that a test gets whose case regressed
# How pytest ends that was neither stopped nor refused.
_ENDED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)


def header(host: Host) -> list[str]:
    """Return the lines that say where and what will be measured; none where nothing is."""
    lines = []
    if host.grid:
        from pytest_sdbatch.measure import room
        from pytest_sdbatch.report import terminal

        environment = host.session.environment
        lines += terminal.header_lines(environment, host.options, host.grid)
        # Workers collect, their controller does not: it knows the options of the run alone.
        guarded = host.guarded or host.options.choice("foreign_processes") == "fail"
        if guarded and "other_processes" in environment.unknown:
            lines.append("sdbatch: foreign_processes=fail guards nothing here: other processes are not known")
        if host.options.grows:
            lines.append(terminal.free_line(room.free_now(host.device)))
    lines += [f"sdbatch: {hint}" for hint in host.hints]
    if host.grid and host.options.switch("plan"):
        from pytest_sdbatch.bridges.training_items import memory_of

        lines += terminal.plan_lines(host.grid, recorded_seconds(host), memory_of(host.grid, host))
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
        record.case.id: record.untimed_s + sum(round_.wall_s for round_ in record.rounds)
        for run in latest_last
        for record in run.records
        if record.rounds
    }


def attach_record(item: pytest.Item, call: pytest.CallInfo[Any], report: pytest.TestReport) -> None:
    """Let *report* carry the record of its benchmark, as plain builtins so that it can travel between processes.

    A record is carried by the call, by a set-up that did not pass, and again by a tear-down that failed, because
    then the test failed after measuring. One that ended without measuring gets a record here, so that it is a row.
    """
    from pytest_sdbatch.bridges import pytest_items
    from pytest_sdbatch.host import host_of

    if report.when != "call" and report.passed:
        return
    record = item.stash.get(pytest_items.RECORD, None)
    if record is None and not report.passed and call.excinfo is not None:
        record = _unmeasured(item, call.excinfo)
        if record is not None:
            item.stash[pytest_items.RECORD] = record  # what a tear-down raises must not take its place
            pytest_items.leave_out(item)
    if record is None:
        return
    from pytest_sdbatch.bridges import gate, junit
    from pytest_sdbatch.storage.codec import encode_record

    gate.attach(item, report, record)
    junit.attach(item, record)
    vars(report)["sdbatch_record"] = encode_record(record)
    vars(report)["sdbatch_options"] = pytest_items.options_of(item, host_of(item.config)).given("measure")


def _unmeasured(item: pytest.Item, raised: pytest.ExceptionInfo[BaseException]) -> Record | None:
    from pytest_sdbatch.bridges import pytest_benchmark, pytest_items
    from pytest_sdbatch.host import host_of

    host = host_of(item.config)
    case = pytest_items.case_of_item(item, host)
    if case is None or not pytest_items.measures(item) or host.only_check or pytest_benchmark.skips_all(item.config):
        return None
    assert isinstance(item, pytest.Function)
    outcome, reason = pytest_items.outcome_of(raised.value), pytest_items.reason_of(raised)
    return host.session.unmeasured(pytest_items.name_of_test(item, case), case, reason, outcome)


def carried_record(report: pytest.TestReport) -> Record | None:
    """Return the record that *report* carries."""
    data = vars(report).get("sdbatch_record")
    if data is None:
        return None
    from pytest_sdbatch.storage.codec import decode_record

    return decode_record(data)


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


def keep(report: pytest.TestReport, host: Host) -> None:
    """Take the record of *report* into the session and print its line."""
    record = carried_record(report)
    if type(report) is not pytest.TestReport:  # a subtest's: the test's own comes behind it
        return
    if record is None:
        if report.when == "call" or not report.passed:  # it may be one that only asked for its case
            host.progress.end(report.nodeid, report.duration)
        return
    # What the test came to is only known here: plugins may change it until it is reported.
    # A plugin that runs it again says "rerun" in between.
    expected = report.skipped and hasattr(report, "wasxfail")  # to fail, which it did
    test_outcome = report.outcome if report.outcome in ("passed", "skipped") and not expected else "failed"
    record = replace(record, test_outcome=test_outcome)
    if host.workers > 1:
        record = _without_common_facts(record, host.session.environment.must_match)
    host.session.keep(record)
    if report.location[1] is not None:
        host.test_lines[record.key] = report.location[1] + 1  # pytest counts from 0
    crash = getattr(report.longrepr, "reprcrash", None)
    if report.failed and crash is not None:
        host.test_failures[record.key] = crash.message.removeprefix("Failed: ")
    if host.journal is not None:
        from pytest_sdbatch.storage.journal import Entry

        host.journal.add(Entry(record=record, options=vars(report)["sdbatch_options"]))
    if report.when == "teardown":
        return
    host.progress.end(report.nodeid, report.duration)
    reporter = host.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and host.config.get_verbosity() >= -1:
        _write_line(reporter, record, report.nodeid, host)


def _without_common_facts(record: Record, of_run: Mapping[str, Fact]) -> Record:
    """Return *record*, of a worker, without what its device has in common with that of the run."""
    own = {key: fact for key, fact in record.must_match.items() if key not in of_run or of_run[key] != fact}
    return replace(record, must_match=own)


def _write_line(reporter: pytest.TerminalReporter, record: Record, node_id: str, host: Host) -> None:
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


def finish(session: pytest.Session, host: Host) -> None:
    """Write the run files, and end the journal."""
    from pytest_sdbatch.bridges import resuming

    if host.refused and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        from pytest_sdbatch.analysis.exit_status import ExitStatus

        session.exitstatus = int(ExitStatus.NOT_COMPARED)
    # Refused; what was taken over from another run is no result.
    if host.refused or session.exitstatus == pytest.ExitCode.USAGE_ERROR:
        return
    whole = session.exitstatus in _ENDED and host.progress.complete
    if host.kept and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        session.exitstatus = pytest.ExitCode.OK  # every benchmark had been measured before
    save(session, host, whole=whole)
    resuming.end(host, whole=whole)


def save(session: pytest.Session, host: Host, *, whole: bool) -> None:
    """Write the run files; a file that cannot be written turns the run red and is said at the end."""
    origins = [host.options.origin(name) for name in ("report", "save") if host.options.text(name) is not None]
    idle = host.is_worker or host.only_check or host.options.switch("plan")
    if idle or not (origins or host.hand_in is not None):
        return
    if not host.records:
        # A file that was typed for is missed; one that the project's configuration names is not, by its unit tests.
        if max(origins, default=None) is Origin.COMMAND_LINE and session.exitstatus != pytest.ExitCode.USAGE_ERROR:
            _fail(session, host, "no benchmark was measured, so no run file was written")
        return
    for write in _writers(host, interrupted=not whole):
        try:
            said = write()
            if host.hand_in is None:
                host.notes.append(said)
        except SdbatchError as error:
            _fail(session, host, str(error))


def _writers(host: Host, *, interrupted: bool) -> Iterator[Callable[[], str]]:
    """Yield what writes each file, and says so: run files first, then what is made of them."""
    from pytest_sdbatch.bridges import reports, verdict
    from pytest_sdbatch.storage.report_file import Kind, kind_of

    spelled = host.options.spelled("report")
    paths = host.report_paths if host.hand_in is None else (host.hand_in,)
    run_files = [path for path in paths if kind_of(path, option=spelled) is Kind.JSON]
    baseline = host.baseline_path if host.hand_in is None else None
    doubt = verdict.unfit(host)

    def save(path: Path, *, baseline: bool) -> str:
        over = path in host.over_reports and not baseline
        return host.session.save(path, baseline=baseline, interrupted=interrupted, over=over, doubt=doubt)

    def report(path: Path) -> str:
        run = host.session.run(interrupted=interrupted)
        comparison = host.gate.comparison if host.gate is not None else None
        made = reports.reported_of(
            [run], host.options, name=run_files[0].name if run_files else "this run", comparison=comparison
        )
        return f"report: {reports.write(path, made, option=spelled)}"

    yield from (partial(save, path, baseline=False) for path in run_files)
    if baseline is not None:
        yield partial(save, baseline, baseline=True)
    yield from (partial(report, path) for path in paths if path not in run_files)


def _fail(session: pytest.Session, host: Host, why: str) -> None:
    host.notes.append(f"ERROR: {why}")
    if session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def summary(reporter: pytest.TerminalReporter, host: Host, exitstatus: pytest.ExitCode) -> None:
    """Show the table, the answer, and what was written where; of a run that was refused no table."""
    records = () if exitstatus == pytest.ExitCode.USAGE_ERROR else host.records
    if records and not host.options.switch("plan"):
        from pytest_sdbatch.bridges import resuming
        from pytest_sdbatch.report import answer, terminal

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
    for note in host.notes:
        reporter.write_line(note, red=note.startswith("ERROR"))


def question_of(options: Options, environment: Callable[[], Environment]) -> Question:
    """Return what *options* ask of the splits. Images that stronger axes set aside are no longer asked for.

    Args:
        options: of the run.
        environment: returns where it measured; called where a price depends on it.

    """
    from pytest_sdbatch.analysis.splits import Objective
    from pytest_sdbatch.grid.prices import price_of
    from pytest_sdbatch.report.splits import Question

    prices = options.prices()
    axes = max(options.origin("batch_sizes"), options.origin("batch_counts"))
    wanted = options.text("images") is not None and options.origin("images") >= axes
    name = environment().must_match.get("device_name") if prices else None
    return Question(
        images=options.count("images") if wanted else None,
        objective=Objective(options.choice("objective")),
        price_per_s=price_of(prices, None if name is None else str(name)),
        cold=options.choice("start") == "cold",
        within=options.number("sweet_spot"),
    )
