"""``sdbatch sweep``: the shipped suite or a project's own benchmarks, in one process or in several after each other."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import pytest

from pytest_sdbatch.commands.children import one_process, promise, run_child, stopped_by_signals
from pytest_sdbatch.commands.own_flags import OwnFlags
from pytest_sdbatch.commands.parser import refuse_paths
from pytest_sdbatch.errors import OptionError, RunFileError, SdbatchError, did_you_mean
from pytest_sdbatch.options import Options, Origin

if TYPE_CHECKING:
    from pytest_sdbatch.host import Host
    from pytest_sdbatch.records import Run
    from pytest_sdbatch.storage.baselines import Baselines

# Named as a package, the suite is no path, so pytest takes its configuration and its first conftest files from the
# current folder and the ones above it, and collects no other test there.
SUITE = ("--pyargs", "pytest_sdbatch.suite")
TRAINING = ("--pyargs", "pytest_sdbatch.suite_training")
# Unlike a plain pytest this process has imported the package before pytest could rewrite its asserts.
QUIET = (
    "-W",
    "ignore:Module already imported so cannot be rewritten; pytest_sdbatch:pytest.PytestAssertRewriteWarning",
)
_OPTION = "--processes"
ON = "--on"
_TRAIN = "--train"
RAY = "ray"
HELP = f"""\
usage: sdbatch sweep [{_TRAIN}] [{_OPTION} K | {ON} {RAY}] [options of pytest] [-- BENCHMARKS and options of pytest]

Without -- the shipped suite is measured, with it what is named behind it.

  {_TRAIN}        measure training steps instead of generation
  {_OPTION} K  K fresh processes one after another, whose runs are written into one file
  {ON} {RAY}       on the cluster of Ray that this machine is a node of, or the one that RAY_ADDRESS names: each
                 pipeline on a GPU of its own; {RAY}://HOST:PORT from a machine that is no node

All else is of pytest:

"""
T = TypeVar("T")
_ENDED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)  # how a process ends that the next one may follow


def sweep(words: Sequence[str]) -> int:
    """Run pytest, which takes its configuration and writes its files from the current folder; return its exit status.

    Args:
        words: ``[--train] [--processes=K | --on=CLUSTER] [options of pytest] [-- what else pytest is given]``. Without
            ``--`` the shipped suite is run. With it, what is named behind it is, or what pytest finds by itself.
    """
    try:
        processes, cluster, arguments = read(words)
    except OptionError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return int(pytest.ExitCode.USAGE_ERROR)
    if any(word in ("-h", "--help") for word in split(words)[0]):
        print(HELP, end="")
    if cluster is not None:
        from pytest_sdbatch.commands.cluster.job import sweep_on

        return sweep_on(cluster, arguments)
    if processes is None:
        return run_pytest(arguments)
    reader = Reader(_asked)
    status = run_pytest(arguments, reader)
    if reader.asked is None:
        return status or run_pytest(arguments)  # refused; or help, a plan: nothing to repeat
    return _repeat(processes, arguments, reader.asked)


def run_pytest(
    arguments: Sequence[str],
    *plugins: object,
    name: str = "sdbatch sweep",
    flags: Sequence[str] = (_TRAIN, _OPTION, ON),
) -> int:
    """Run pytest under the *name* of a command, which has *flags* of its own, and return its exit status."""
    from pytest_sdbatch.training.together import together

    try:
        if together().follows:  # of several processes that train together: the first one tells what they do
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = int(pytest.main(list(arguments), plugins=[_Named(name), OwnFlags(flags), *plugins]))
        sys.stdout.flush()  # now: what fails while the interpreter ends is printed by it
        return status
    except BrokenPipeError:  # as pytest's own command does: `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


class _Named:
    """Lets pytest's usage and errors name the command that was typed."""

    def __init__(self, name: str) -> None:
        self._name = name

    def pytest_addoption(self, parser: pytest.Parser) -> None:
        parser.prog = self._name


def read(words: Sequence[str]) -> tuple[int | None, str | None, list[str]]:
    """Return the number of processes and the cluster, each if it was given, and the arguments of pytest."""
    from pytest_sdbatch.grid.axes import parse_count

    before, behind = split(words)
    count, cluster = _taken(before, _OPTION), _taken(before, ON)
    if count is not None and cluster is not None:
        raise OptionError(
            f"{_OPTION} with {ON}",
            why="each group of cases is measured by one process",
            fix="run it again with another --sd-report, and put the files together: sdbatch merge",
        )
    processes = None if count is None else parse_count(count, option=_OPTION)
    passed_on = [word for word in split(words)[0] if word != _TRAIN]  # which does not go with --
    refuse_paths(passed_on, behind, command="sdbatch sweep")
    return processes, None if cluster is None else cluster_named(cluster), pytest_arguments(before, behind)


def _taken(words: list[str], option: str) -> str | None:
    """Take *option* and its value out of *words* and return the value; None: it is not there."""
    for index, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name == option:
            taken = words[index : index + (1 if equals else 2)]
            del words[index : index + len(taken)]
            return value if equals else taken[-1]
    return None


def cluster_named(text: str) -> str:
    """Return *text* if it names a cluster.

    Raises:
        OptionError: if it does not.
    """
    host, colon, port = text.removeprefix(f"{RAY}://").rpartition(":")
    if text == RAY or (text.startswith(f"{RAY}://") and host and colon and port.isdecimal()):
        return text
    raise OptionError(
        f"{ON}={text}: no cluster",
        why="" if text.startswith(f"{RAY}://") else did_you_mean(text, [RAY]),
        fix=f"write {ON} {RAY}, or {ON} {RAY}://HOST:10001 from a machine that is no node of it",
    )


def split(words: Sequence[str]) -> tuple[list[str], list[str] | None]:
    """Return the words before ``--`` and those behind it; None: there is no ``--``."""
    at = words.index("--") if "--" in words else len(words)
    return list(words[:at]), list(words[at + 1 :]) if at < len(words) else None


def pytest_arguments(before: Sequence[str], behind: Sequence[str] | None) -> list[str]:
    """Return what pytest is given for the words around ``--``: without it the shipped suite is run.

    Raises:
        OptionError: for ``--train``, which chooses the part of that suite, where another one is named.
    """
    trains = _TRAIN in before
    if trains and behind is not None:
        raise OptionError(
            f"{_TRAIN} with --",
            why="it names the shipped benchmark of training; behind -- stand your own, which train by sd_training",
            fix="leave one of them out",
        )
    suite = () if behind is not None else TRAINING if trains else SUITE
    return [*suite, *(word for word in before if word != _TRAIN), *(behind or ()), *QUIET]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is to become of the runs."""

    reports: tuple[Path, ...]
    save: str | None
    baselines: Baselines
    save_anyway: bool
    options: Options


class Reader(Generic[T]):
    """Lets pytest read its configuration, takes what a command needs of it, and ends there.

    Args:
        ask: returns that, or refuses what was typed by an SdbatchError.

    """

    def __init__(self, ask: Callable[[Host], T]) -> None:
        self._ask = ask
        self.asked: T | None = None  # None: refused; or help, a plan: nothing to repeat

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> int:
        """In place of pytest's own, which would collect and run."""
        from pytest_sdbatch.bridges import pytest_options
        from pytest_sdbatch.host import Host

        if config.option.help or config.option.version or config.option.collectonly:
            return 0
        try:
            host = Host(config, pytest_options.read_options(config))
            if not host.options.switch("plan"):
                self.asked = self._ask(host)
        except SdbatchError as error:
            raise pytest.UsageError(str(error)) from None
        return 0


def _asked(host: Host) -> _Asked:
    from pytest_sdbatch.storage.report_file import check_reports

    options = host.options
    if options.switch("resume"):
        raise OptionError(f"--sd-resume with {_OPTION}", why="it goes on with one run", fix="leave one of them out")
    if any(options.origin(name) is Origin.COMMAND_LINE for name in ("baseline", "gate")):
        raise OptionError(
            f"--sd-baseline or --sd-gate with {_OPTION}",
            why="its processes only measure",
            fix="add --sd-report=FILE, then: sdbatch compare BASELINE.json --candidate FILE",
        )
    host.options = options = options.without("baseline", "gate")  # of a file: they are for a plain pytest
    if not host.report_paths and options.text("save") is None:
        raise OptionError(
            f"{_OPTION} without a file",
            why="its runs are written together",
            fix="add --sd-report=FILE or --sd-save=NAME",
        )
    workers = host.config.getoption("numprocesses", None)
    if options.text("save") is not None and isinstance(workers, int) and workers > 1:
        raise OptionError(
            f"{options.spelled('save')}={options.text('save')}: a run of {workers} workers is no baseline",
            why="they share the machine, so that each measures the others too",
            fix="add -n0, or keep the runs with --sd-report=FILE",
        )
    host.check()
    check_reports(host.report_paths, option=options.spelled("report"))
    return _Asked(
        reports=host.report_paths,
        save=options.text("save"),
        baselines=host.baselines,
        save_anyway=options.switch("save_anyway"),
        options=options,
    )


def _repeat(processes: int, arguments: Sequence[str], asked: _Asked) -> int:
    """Run *processes* processes one after another, write their runs together, and return the first bad exit status."""
    from pytest_sdbatch.analysis.exit_status import ExitStatus

    folder = Path(tempfile.mkdtemp(prefix="sdbatch-"))
    statuses: list[int] = []
    with stopped_by_signals():
        for number in range(1, processes + 1):
            print(f"\nsdbatch: process {number} of {processes}", flush=True)
            file = folder / f"{number}.json"
            if asked.save is not None and number == 1:  # later there are runs to lose, by a store that fails once
                promise(file, name=asked.save)
            status, stopped = run_child(one_process(file, arguments))
            statuses.append(status)
            if stopped or status not in _ENDED:
                break
            # One that failed is followed by the others: what they came to is of use to whoever mends it.
            if not status and number < processes and (why := _in_vain(file, asked)) is not None:
                print(f"\nsdbatch: no other process is run: {why}", flush=True)
                break
    status = next((code for code in statuses if code), 0)
    files = [path for number in range(1, processes + 1) if (path := folder / f"{number}.json").exists()]
    if not files and status == pytest.ExitCode.USAGE_ERROR:  # it has said why
        shutil.rmtree(folder, ignore_errors=True)
        return status
    try:
        with stopped_by_signals():
            for line in _write(files, asked, processes=processes):
                print(f"sdbatch: {line}", flush=True)
    except (RunFileError, KeyboardInterrupt) as error:
        stopped = isinstance(error, KeyboardInterrupt)
        print(f"ERROR: {'stopped before all was written' if stopped else error}", file=sys.stderr)
        status = int(ExitStatus.STOPPED) if stopped else status or int(pytest.ExitCode.TESTS_FAILED)
        if files and not any(path.suffix.lower() == ".json" and path.exists() for path in asked.reports):
            kept = shlex.join(map(str, files))
            print(f"kept: {kept}\n  as one file: sdbatch merge {kept} -o NEW.json", file=sys.stderr)
            return status
    shutil.rmtree(folder, ignore_errors=True)
    return status


def _in_vain(file: Path, asked: _Asked) -> str | None:
    """Return why the baseline will not be written whatever other processes give, where nothing else was asked for."""
    from pytest_sdbatch.storage.baselines import unfit
    from pytest_sdbatch.storage.run_file import read_run_file

    if asked.save is None or asked.save_anyway or asked.reports or not file.exists():
        return None
    return next(iter(unfit(read_run_file(file))), None)


def _write(files: Sequence[Path], asked: _Asked, *, processes: int) -> Iterator[str]:
    """Write the runs of *files* where they were asked for; yield what was done, and what several runs answer."""
    from pytest_sdbatch.bridges import github_run
    from pytest_sdbatch.bridges.reports import reported_of, write
    from pytest_sdbatch.report.answer import answer_of_runs
    from pytest_sdbatch.report.question import question_of
    from pytest_sdbatch.storage.baselines import save_baseline, unfit
    from pytest_sdbatch.storage.names import baseline_key
    from pytest_sdbatch.storage.report_file import Kind, kind_of
    from pytest_sdbatch.storage.run_file import read_run_file, write_run

    runs: list[Run] = [run for path in files for run in read_run_file(path)]
    if not runs:
        raise RunFileError("no process left a run: nothing was written")
    whole = sum(not run.interrupted for run in runs)
    said = f"{whole} of {processes} processes ended whole"
    yield from github_run.tell_runs(runs, asked.options)
    spelled = asked.options.spelled("report")
    run_files = [path for path in asked.reports if kind_of(path, option=spelled) is Kind.JSON]
    for path in run_files:
        yield f"run file: {write_run(path, runs)} ({said})"
    made = reported_of(runs, asked.options, name=run_files[0].name if run_files else "this sweep")
    for path in asked.reports:
        if path not in run_files:
            yield f"report: {write(path, made, option=spelled)} ({said})"
    if asked.save is not None:
        ended = [run for run in runs if not run.interrupted]
        if whole < processes and not asked.save_anyway and not unfit(ended):  # which would tell more
            raise RunFileError(
                f"no baseline {asked.save} was written", why=said, fix="run it again; -o sd_save_anyway=yes stores it"
            )
        key = baseline_key(asked.save, runs[0].environment)
        yield f"{save_baseline(asked.baselines, key, runs, anyway=asked.save_anyway)} ({said})"
    if len(runs) > 1:
        question = question_of(asked.options, lambda: runs[0].environment)
        yield from (f"of {len(runs)} runs: {sentence}" for sentence in answer_of_runs(runs, question))
