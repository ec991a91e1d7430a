"""``--sd-baseline`` and ``--sd-gate``: what a run is held to, and the tests that break it by themselves.

A case's own test fails for what one run of it shows beyond doubt: a broken limit, out of memory where the baseline was
ok, peak memory over its budget. The verdict on time comes after the loop: :mod:`pytest_sdbatch.bridges.verdict`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from pytest_sdbatch import units
from pytest_sdbatch.bridges import arguments, pytest_items
from pytest_sdbatch.errors import BaselineError, OptionError, RunFileError, SdbatchError
from pytest_sdbatch.options import Origin

if TYPE_CHECKING:
    from pytest_sdbatch.analysis.comparison import Comparison
    from pytest_sdbatch.analysis.sides import SideRun
    from pytest_sdbatch.host import Host
    from pytest_sdbatch.records import Record

_TOLD = "sdbatch_gate"  # attribute of a report: what the gate needs to know of its test
_BROKEN: pytest.StashKey[bool] = pytest.StashKey()  # of an item: the gate failed its test


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedTest:
    """What is known of the test of a case, wherever it ran."""

    node_id: str
    location: tuple[str, int | None, str]  # as a report has it
    budget: Mapping[str, float]
    limited: bool  # whether it has limits to keep
    failed: bool  # whether pytest counts it as failed: not where that was expected


class Gate:
    """What this run is held to, and what came of it."""

    def __init__(self, *, enforced: bool, name: str | None, base: Sequence[SideRun] = ()) -> None:
        self.enforced = enforced  # fail, or only show
        self.name = name  # of the baseline, as it was given; None: limits alone
        self.base = tuple(base)
        self.tests: dict[str, GatedTest] = {}  # by node id with the parameters, as run files have it
        self.comparison: Comparison | None = None
        self.last_word = ""  # printed when all else is

    def tell(self, report: pytest.TestReport, told: Mapping[str, Any]) -> None:
        """Take note of a test that ended."""
        self.tests[told["name"]] = GatedTest(
            node_id=report.nodeid,
            location=report.location,
            budget=told["budget"],
            limited=told["limited"],
            failed=report.failed and not hasattr(report, "wasxfail"),
        )


def check(host: Host) -> None:
    """Refuse, when pytest is configured, options that contradict the gate.

    Raises:
        OptionError: for the first of them.

    """
    options, typed = host.options, Origin.COMMAND_LINE
    if options.switch("gate") and host.config.getoption("benchmark_compare_fail", None):
        raise OptionError(
            "--benchmark-compare-fail with --sd-gate: two gates",
            why="a threshold on one run's mean fails a third of the runs in which nothing changed",
            fix="leave --benchmark-compare-fail out",
        )
    if options.switch("gate") and options.switch("resume"):
        raise OptionError(
            "--sd-gate with --sd-resume",
            why="a verdict is on runs of one process, and a resumed run has cases of two",
            fix="run it anew, or finish it without --sd-gate and use: sdbatch compare",
        )
    if options.origin("gate") is typed and options.switch("gate") and host.only_check:
        raise OptionError("--sd-gate with --benchmark-disable", why="nothing is measured", fix="leave one of them out")


def end_early(config: pytest.Config) -> int | None:
    """Return the exit status where what was typed has nothing to be compared with, and say why; None: go on.

    As far as that is known before pytest is configured; mistakes of other kinds are said when it is.
    """
    from pytest_sdbatch.bridges import pytest_options
    from pytest_sdbatch.host import Host

    if config.option.help or getattr(config.option, "version", 0) or hasattr(config, "workerinput"):
        return None
    if not any(pytest_options.is_typed(config, name) for name in ("baseline", "gate")):
        return None
    try:
        host = Host(config, pytest_options.read_options(config))
        workers = config.getoption("numprocesses", None)
        refuse_workers(host, workers if isinstance(workers, int) else 1)
        _look_for(host)
    except BaselineError as error:
        from pytest_sdbatch.analysis.exit_status import ExitStatus

        print(f"ERROR: {error}", file=sys.stderr)
        return int(ExitStatus.NOT_COMPARED)
    except SdbatchError:
        return None
    return None


def _look_for(host: Host) -> None:
    """Refuse a typed baseline that is not there; one that is stored by device is looked for once that is known.

    Raises:
        BaselineError: says how to record it.

    """
    from pytest_sdbatch.storage.names import check_name

    name = host.options.text("baseline")
    if name is None or host.options.origin("baseline") is not Origin.COMMAND_LINE or host.only_check:
        return
    commit, stored = _parts(name)
    if _is_file(name):
        _read(host, name)
        return
    check_name(stored)
    if not commit and not list((host.baselines_folder / stored).glob("*.json")):
        raise _missing(host, name, host.baselines_folder / stored)


def refuse_workers(host: Host, workers: int) -> None:
    """Refuse to gate times that *workers* take from each other, before any of them starts.

    Raises:
        BaselineError: where the gate and a baseline were asked for, one of them typed.

    """
    options = host.options
    if workers < 2 or host.only_check or options.text("baseline") is None or not options.switch("gate"):
        return
    if Origin.COMMAND_LINE in (options.origin("baseline"), options.origin("gate")):
        raise BaselineError(
            f"a run of {workers} workers cannot be compared with the baseline {options.text('baseline')}",
            why="they share the machine; the baseline was recorded by one process alone",
            fix="add -n0",
        )


def collected(items: Sequence[pytest.Item], host: Host) -> None:
    """Read what the benchmarks among *items* are held to.

    Raises:
        BaselineError: as :func:`prepare`, and where no benchmark has a limit and no baseline was named.

    """
    benchmarks = [item for item in items if pytest_items.full_name_of(item, host) is not None]
    if not benchmarks:
        return
    prepare(host)
    if host.gate is None or host.gate.name is not None or host.is_worker:
        return
    if not any(pytest_items.options_of(item, host).limit() for item in benchmarks):
        raise BaselineError(
            "--sd-gate has nothing to hold the benchmarks to",
            why="no baseline was named, and none of them has a limit",
            fix="add --sd-baseline=NAME, or a limit: @pytest.mark.sdbatch(limit={'peak_memory': '20GiB'})",
        )


def prepare(host: Host) -> None:
    """Read what this run is held to; call it once benchmarks are known to run.

    Raises:
        BaselineError: where the baseline is missing or cannot be read. Not in a worker: its controller says so.

    """
    options = host.options
    name, enforced = options.text("baseline"), options.switch("gate")
    if host.gate is not None or host.config.option.collectonly or not (name or enforced):
        return
    if host.only_check:
        host.hints.append("nothing is compared or gated: nothing is measured (--benchmark-disable)")
        return
    host.gate = Gate(enforced=enforced, name=name)
    if host.parallel > 1 or name is None:
        if name is None and not host.is_worker:
            host.hints.append("gate: limits alone, for no baseline was named")
        return
    try:
        host.gate.base = _read(host, name)
    except BaselineError:
        if not host.is_worker:
            raise
    if host.gate.base and not host.is_worker:
        runs, since = units.count(len(host.gate.base), "run"), host.gate.base[0].started_at[:10]
        word = "gate against" if enforced else "compared with"
        host.hints.append(f"{word} {host.gate.base[0].file}: {runs}, recorded {since}")
        host.hints += _own_words(host, name)


@contextlib.contextmanager
def held(item: pytest.Item, host: Host) -> Iterator[None]:
    """Fail the test *item* around whose phase this is, where its case breaks what it is held to."""
    skipped: BaseException | None = None
    try:
        yield
    except pytest.skip.Exception as ended:
        skipped = ended
    found = _failure(item, host)
    if found is not None:
        pytest_items.leave_out(item)
        item.stash[_BROKEN] = True
        raise pytest.fail.Exception(found, pytrace=False) from None  # how the case was skipped is said in it
    if skipped is not None:
        raise skipped


def insist(item: pytest.Item, report: pytest.TestReport) -> None:
    """Let *report* fail where the gate failed the test *item*: xfail is for what the test itself finds."""
    if item.stash.get(_BROKEN, False) and hasattr(report, "wasxfail"):
        report.outcome = "failed"
        del report.wasxfail


def attach(item: pytest.Item, report: pytest.TestReport, record: Record) -> None:
    """Let *report* carry what the gate needs to know of its test, as plain builtins."""
    from pytest_sdbatch.host import host_of
    from pytest_sdbatch.records import full_name

    host = host_of(item.config)
    if host.gate is None:
        return
    options = pytest_items.options_of(item, host)
    told = {"name": full_name(record.test, record.case), "budget": dict(options.budget())}
    vars(report)[_TOLD] = {**told, "limited": bool(options.limit())}


def hear(report: pytest.TestReport, host: Host) -> None:
    """Take note of the test of *report*."""
    told = vars(report).get(_TOLD)
    if told is not None and host.gate is not None:
        host.gate.tell(report, told)


def leave_out(items: Sequence[pytest.Item], host: Host) -> None:
    """Take note of tests that were deselected: they are not missing."""
    if host.options.text("baseline") is not None:
        host.deselected.update(name for item in items if (name := pytest_items.full_name_of(item, host)) is not None)


def _failure(item: pytest.Item, host: Host) -> str | None:
    """Return what to say of the case of *item*, measured or not, where it breaks what it is held to."""
    record = item.stash.get(pytest_items.RECORD, None)
    if host.gate is None or not host.gate.enforced or record is None:
        return None
    from pytest_sdbatch.analysis.config import MEMORY_TOLERANCE
    from pytest_sdbatch.analysis.exact_rules import exact_regression
    from pytest_sdbatch.analysis.limits import unknown_limits
    from pytest_sdbatch.records import Outcome, full_name
    from pytest_sdbatch.report.gate import own_failure
    from pytest_sdbatch.storage.sides import measured_of

    options = pytest_items.options_of(item, host)
    broken = [record.reason or ""] if record.outcome is Outcome.OVER_LIMIT else []
    broken += unknown_limits(record, options.limit())
    name, tolerance = full_name(record.test, record.case), options.budget().get("peak_memory", MEMORY_TOLERANCE)
    base = [run.cases[name] for run in host.gate.base if name in run.cases]
    now = measured_of(record, host.session.environment)
    if record.outcome is Outcome.SKIPPED and host.session.larger_than_fits(record.test, record.case) is not None:
        now = replace(now, state=Outcome.OOM.value)  # not tried, because less did not fit
    worse = exact_regression(base, now, memory_tolerance=tolerance) if base and not broken else None
    if not broken and worse is None:
        return None
    return own_failure(name, broken=broken, worse=worse, baseline=host.gate.name, memory_tolerance=tolerance)


def _read(host: Host, name: str) -> tuple[SideRun, ...]:
    """Return the runs of the baseline *name*.

    Raises:
        BaselineError: names the file, and the key where one is wrong.

    """
    from pytest_sdbatch.measure.repository import read_committed
    from pytest_sdbatch.storage.run_file import MOST_BYTES
    from pytest_sdbatch.storage.sides import read_side_runs, side_runs_of

    commit, stored = _parts(name)
    path = host.path_of("baseline", name) if _is_file(name) else host.stored_path(stored)
    if not commit and not path.exists():
        raise _missing(host, name, path)
    try:
        if not commit:
            runs = read_side_runs(path)
        else:
            inside = Path(arguments.relative(path, host.config.rootpath)).as_posix()
            data = read_committed(host.config.rootpath, commit, inside)
            if len(data) > MOST_BYTES:
                raise RunFileError(f"{commit}:{inside} is larger than {MOST_BYTES / 2**20:g} MiB")
            runs = side_runs_of(data, f"{commit}:{inside}")
    except RunFileError as error:
        raise BaselineError(f"--sd-baseline={name}: {error.what}", why=error.why, fix=error.fix) from None
    if not any(run.cases for run in runs):
        raise BaselineError(f"--sd-baseline={name}: no case is in {path}")
    return runs


def _own_words(host: Host, name: str) -> Iterator[str]:
    """Yield what is to be said where a pull request brings its baseline along."""
    from pytest_sdbatch.measure.repository import is_tracked

    if not os.environ.get("CI") or ":" in name or _is_file(name):
        return
    path = Path(arguments.relative(host.stored_path(name), host.config.rootpath)).as_posix()
    if is_tracked(host.config.rootpath, path):
        yield f"the baseline comes from this tree; name the base commit: --sd-baseline=REF:{name}"


def _is_file(name: str) -> bool:
    return name.lower().endswith(".json")


def _parts(name: str) -> tuple[str, str]:
    """Return commit and name of ``REF:NAME``; no commit where none is given.

    Raises:
        BaselineError: for a colon without a commit.

    """
    if _is_file(name):
        return "", name
    commit, colon, stored = name.rpartition(":")
    if colon and not commit:
        raise BaselineError(
            f"--sd-baseline={name} names no commit before its colon",
            why="a variable was empty, perhaps: without a commit the baseline would come from the tree that is gated",
            fix=f"write --sd-baseline=REF:{stored}, or --sd-baseline={stored} for the tree's own",
        )
    return commit, stored


def _missing(host: Host, name: str, path: Path) -> BaselineError:
    if _is_file(name):
        fix = f"record one: sdbatch sweep --processes=5 --sd-report={name} -- {arguments.to_measure(host.config)}"
        return BaselineError(f"no baseline {path}", why="there is no such file", fix=fix)
    stored = sorted(found.name for found in host.baselines_folder.glob("*") if any(found.glob("*.json")))
    others = f"; stored for some device: {', '.join(stored)}" if stored else ""
    return BaselineError(
        f"no baseline {name} of this device",
        why=f"{path} does not exist{others}",
        fix=f"record one: sdbatch sweep --processes=5 --sd-save={name} -- {arguments.to_measure(host.config)}",
    )


def refuse(error: BaselineError, host: Host, items: list[pytest.Item]) -> None:
    """Run nothing: *error* is said at the end, and is the exit status."""
    items.clear()
    host.refused = True
    host.notes.append(f"ERROR: {error}")


def end_run(error: BaselineError, config: pytest.Config) -> NoReturn:
    """End pytest, whose workers have started, with the exit status of a missing baseline."""
    from pytest_sdbatch.analysis.exit_status import ExitStatus

    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.ensure_newline()
        for line in f"ERROR: {error}".splitlines():
            reporter.write_line(line, red=True)
    said = str(error) if reporter is None else "the error is said above"
    pytest.exit(said, returncode=int(ExitStatus.NOT_COMPARED))
