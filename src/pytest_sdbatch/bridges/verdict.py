"""The verdict on a run, once all its tests ran: comparison, second reports of what regressed, exit status."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_sdbatch import units
from pytest_sdbatch.bridges import arguments, rerun
from pytest_sdbatch.bridges.gate import Gate
from pytest_sdbatch.bridges.screen import SECOND_REPORT
from pytest_sdbatch.options import Origin

if TYPE_CHECKING:
    from pytest_sdbatch.analysis.comparison import CaseComparison, Comparison
    from pytest_sdbatch.analysis.config import Config
    from pytest_sdbatch.analysis.exit_status import ExitStatus
    from pytest_sdbatch.analysis.sides import Measured, SideRun
    from pytest_sdbatch.host import Host

_AGAIN = 3  # fresh processes for what looks slower: four runs of this code in all


def reach(host: Host) -> None:
    """Compare what was measured with the baseline, and fail the tests of the cases that regressed.

    Raises:
        KeyboardInterrupt: where this process was told to stop while suspects ran again.

    """
    gate = host.gate
    if gate is None or host.is_worker or not gate.base or not host.records or host.options.switch("plan"):
        return
    from pytest_sdbatch.analysis.comparison import compare
    from pytest_sdbatch.analysis.fresh import confirmed, without_failures
    from pytest_sdbatch.storage.sides import side_run

    own = side_run(host.session.run(interrupted=False), "this run")
    base, rules = _selected_base(host, own, gate), _rules(gate)
    found = compare(base, [own], rules)
    if gate.enforced and found.suspects:
        rerun.announce(host, found.suspects, baseline=gate.name or "", processes=_AGAIN)
        again, failed = without_failures(own, rerun.fresh_runs(host, found.suspects, processes=_AGAIN))
        host.notes += [f"{name} ended otherwise in a fresh process: {_how(one)}" for name, one in failed.items()]
        found = confirmed(compare(base, [own, *again], rules), again, processes=_AGAIN)
    gate.comparison = found
    if gate.enforced:
        _fail_regressed(host, gate, found)


def _how(measured: Measured) -> str:
    return f"{measured.state}: {measured.reason}" if measured.reason else measured.state


def unfit(host: Host) -> str | None:
    """Return why this run is no baseline, where that is known from the comparison with another one."""
    from pytest_sdbatch.analysis.verdict import Verdict

    found = host.gate.comparison if host.gate is not None else None
    count = found.count(Verdict.REGRESSED) if found is not None else 0
    return f"{units.count(count, 'case')} regressed against {host.gate.name}" if count and host.gate else None


def finish(session: pytest.Session, host: Host) -> None:
    """Turn the verdict into pytest's exit status, where that is 0 so far, and note the last line of the run."""
    idle = host.is_worker or host.only_check or host.options.switch("plan")
    if host.gate is None and host.options.origin("gate") is Origin.COMMAND_LINE and not idle:
        host.gate = Gate(enforced=host.options.switch("gate"), name=host.options.text("baseline"))  # found no benchmark
    gate = host.gate
    if gate is None or not gate.enforced or idle or session.config.option.collectonly:
        return
    if session.exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return
    status, gate.last_word = _end(host, gate)
    if session.exitstatus == pytest.ExitCode.OK and status:
        session.exitstatus = int(status)
        gate.last_word += f" (exit status {status:d})"


def summary(reporter: pytest.TerminalReporter, host: Host) -> None:
    """Show the comparison: a row for each case, a block for each that regressed, and how many there are of what."""
    gate = host.gate
    if gate is None or host.is_worker or not gate.name or not host.records or host.options.switch("plan"):
        return
    if gate.comparison is None:
        reporter.write_line(f"not compared with {gate.name}: {_why_not(host)}", yellow=True)
        return
    from pytest_sdbatch.report.comparison import render_comparison

    reporter.section(f"compared with {gate.name}")
    width = host.config.get_terminal_writer().fullwidth
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    text = render_comparison(
        gate.comparison,
        width=width,
        color=reporter.hasmarkup,
        encoding=encoding,
        blocks=not gate.enforced,  # else they are those of the failures
        elsewhere="--sd-report",
    )
    settled_by = None if gate.enforced else _settling(host, gate)
    for line in [*text.splitlines(), *([] if settled_by is None else [f"inconclusive: {settled_by}"])]:
        reporter.write_line(line)


def say_last(host: Host) -> None:
    """Print the last line of a run with a gate, behind all that pytest prints."""
    reporter = host.config.pluginmanager.get_plugin("terminalreporter")
    if host.gate is not None and host.gate.last_word and reporter is not None:
        reporter.write_line(f"sdbatch: gate: {host.gate.last_word}")


def _end(host: Host, gate: Gate) -> tuple[ExitStatus, str]:
    """Return the exit status that applies, with the last line of the run."""
    from pytest_sdbatch.analysis.exit_status import ExitStatus, status_of
    from pytest_sdbatch.report.gate import counted

    if not host.records:
        if host.shard_is_empty:
            return ExitStatus.GOOD, "nothing to compare in this shard"
        if host.options.origin("gate") is Origin.COMMAND_LINE:
            return ExitStatus.NOT_COMPARED, "no benchmark was measured, so nothing was compared"
        return ExitStatus.GOOD, ""
    invalid = _invalid_environment(host)
    if invalid is not None:
        return ExitStatus.INVALID_ENVIRONMENT, invalid
    found = gate.comparison
    if gate.name is None:
        limited = sum(test.limited for test in gate.tests.values())
        if not limited:
            return ExitStatus.NOT_COMPARED, "no baseline was named, and no benchmark has a limit"
        return ExitStatus.GOOD, f"limits alone, of {units.count(limited, 'case')}; no baseline was named"
    if found is None:
        return ExitStatus.NOT_COMPARED, f"not compared: {_why_not(host)}"
    status = status_of(found, fail_on=host.options.choice("fail_on"))
    if status is ExitStatus.NOT_COMPARED:
        return status, counted(found)
    return status, "; ".join(filter(None, [counted(found), _settling(host, gate)]))


def _invalid_environment(host: Host) -> str | None:
    """Return why this run cannot be believed. The fresh processes do not count: they met this one on the device."""
    from pytest_sdbatch.analysis.outcomes import invalid_environment
    from pytest_sdbatch.storage.sides import side_run

    own = side_run(host.session.run(interrupted=False), "this run")
    return invalid_environment([measured] for measured in own.cases.values())


def _settling(host: Host, gate: Gate) -> str | None:
    from pytest_sdbatch.report.gate import settling

    assert gate.comparison is not None
    return settling(gate.comparison, arguments=arguments.to_measure(host.config))


def _why_not(host: Host) -> str:
    if host.parallel > 1:
        return f"{host.parallel} workers share the machine, and it was recorded by one process alone; add -n0"
    return "the run did not come to its end"


def _rules(gate: Gate) -> Config:
    """Return the rules with the budgets that markers and files gave."""
    from pytest_sdbatch.analysis.config import Config

    def by_case(metric: str) -> Mapping[str, float]:
        return {name: test.budget[metric] for name, test in gate.tests.items() if metric in test.budget}

    return Config(tolerance=by_case("time"), memory_tolerance=by_case("peak_memory"))


def _selected_base(host: Host, own: SideRun, gate: Gate) -> list[SideRun]:
    """Return the baseline without the cases that this run was not asked for: others that did not run are missing."""
    return [
        replace(run, cases={n: m for n, m in run.cases.items() if n in own.cases or _was_asked_for(n, host)})
        for run in gate.base
    ]


def _was_asked_for(name: str, host: Host) -> bool:
    """Return whether the case *name* lies in what pytest was given, and no -k, -m or --deselect left it out."""
    config = host.config
    if name in host.deselected:
        return False
    if host.is_controller and any(config.getoption(option, "") for option in ("keyword", "markexpr", "deselect")):
        return False  # only its workers know what that left out
    path, _, inside = name.partition("::")
    for given in map(str, config.args):
        where, _, part = given.partition("::")
        if path == "pytest_sdbatch.suite":
            asked = where.startswith("pytest_sdbatch")
        else:
            asked = Path(config.rootpath, path).is_relative_to(Path(config.invocation_params.dir, where).resolve())
        if asked and (not part or inside == part or inside.startswith((f"{part}[", f"{part}::"))):
            return True
    return False


def _fail_regressed(host: Host, gate: Gate, found: Comparison) -> None:
    """Send a second, failed report for each case that regressed and whose test pytest does not count as failed."""
    from pytest_sdbatch.analysis.verdict import Verdict
    from pytest_sdbatch.records import full_name

    records = {full_name(r.test, r.case): r for r in host.records}
    for case in found.cases:
        if case.verdict is not Verdict.REGRESSED:
            continue
        record, test = records[case.name], gate.tests.get(case.name)
        # One that is not known here is of a worker that died, which is a failed test.
        if record.test_outcome not in ("failed", "regressed") or (test is not None and not test.failed):
            if record.test_outcome != "failed":  # the verdict is the gate's own, and its measurement stands
                runs = len(case.judged[1])  # with those of fresh processes: its own row may be doubtful
                said = f"regressed against {gate.name}{f' by {runs} runs of this code' if runs > 1 else ''}"
                reason = said if record.reason is None else f"{record.reason}; {said}"
                host.session.keep(replace(record, test_outcome="regressed", reason=reason))
            host.config.hook.pytest_runtest_logreport(report=_second_report(case, found, gate))


def _second_report(case: CaseComparison, found: Comparison, gate: Gate) -> pytest.TestReport:
    from pytest_sdbatch.report.gate import regression

    test = gate.tests.get(case.name)
    file, _, rest = case.name.partition("::")
    report = pytest.TestReport(
        nodeid=test.node_id if test is not None else case.name,
        location=test.location if test is not None else (file, None, rest),
        keywords={},
        outcome="failed",
        longrepr=regression(case, found, baseline=gate.name or ""),
        when="call",
    )
    vars(report)[SECOND_REPORT] = True
    return report
