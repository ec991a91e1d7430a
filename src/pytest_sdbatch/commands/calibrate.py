"""``sdbatch calibrate``: what this machine can detect, of processes of the same code one after another."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_sdbatch import units
from pytest_sdbatch.analysis.noise import FEWEST_PROCESSES
from pytest_sdbatch.commands.children import one_process, run_child, stopped_by_signals
from pytest_sdbatch.commands.help import Wrapped
from pytest_sdbatch.commands.parser import Parser, refuse_paths
from pytest_sdbatch.commands.screen import screen
from pytest_sdbatch.commands.sweep import Reader, pytest_arguments, run_pytest, split
from pytest_sdbatch.errors import OptionError, RunFileError
from pytest_sdbatch.grid.axes import parse_count

if TYPE_CHECKING:
    from pytest_sdbatch.analysis.calibration import Calibration
    from pytest_sdbatch.host import Host

NAME = "sdbatch calibrate"
# The differences of ten neighbours tell a stdev to within a factor of about two, nineteen times in twenty: enough to
# choose between gates. Twenty tell it to within 1.6 and take twice the time.
PROCESSES = 10
SAID, PARTLY, NOTHING = 0, 1, 12
_ENDED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)  # how a process ends that the next one may follow
_LAST_LINES = 15  # of what a process printed that ended badly
_EPILOG = f"""
What stands behind --, and options that are not listed here, are pytest's: the benchmarks that are run, and their
grid. Without -- it is the shipped suite.

exit status, the first that applies:
   2  the command line is wrong (4: what pytest was given)
  {NOTHING}  nothing can be said: no case was measured in {FEWEST_PROCESSES} processes
   {PARTLY}  a process failed or was stopped: judged on what came
   {SAID}  else
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    """What the processes left."""

    files: tuple[Path, ...]  # of those that left a run, in time order
    status: int  # the first that is not 0
    said: str = ""  # the last lines of the one that ended badly


def calibrate(words: Sequence[str]) -> int:
    """Run the processes, print what the machine can detect, and return the exit status.

    Args:
        words: ``[--processes=N] [--json] [--keep-traces=FILE] [options of pytest] [-- what else pytest is given]``.
    """
    before, behind = split(words)
    given, more = _parser().parse_known_args(before)
    try:
        refuse_paths(before, behind, command=NAME, switches=_parser().switches)
        arguments = pytest_arguments(more, behind)
        if given.keep_traces is not None:
            from pytest_sdbatch.storage.exclusive import check_target

            check_target(given.keep_traces)
    except RunFileError as error:
        _parser().error(str(error))
    except OptionError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return int(pytest.ExitCode.USAGE_ERROR)
    reader = Reader(_check)
    with redirect_stdout(sys.stderr if given.json else sys.stdout):
        status = run_pytest(arguments, reader, name=NAME)
        if reader.asked is None:
            return status or run_pytest(arguments, name=NAME)  # refused; or help, a plan: nothing to repeat
    with tempfile.TemporaryDirectory(prefix="sdbatch-") as folder:
        ended = _run(given.processes, arguments, Path(folder))
        return _say(ended, given)


def _parser() -> Parser:
    parser = Parser(
        prog=NAME,
        usage="sdbatch calibrate [--processes N] [--json] [--keep-traces FILE]\n"
        "                         [options of pytest] [-- ...]",
        description="What can this machine detect? Processes of the same code are run one after another; how they "
        "scatter says which slowdown would be found on it.",
        epilog=_EPILOG,
        formatter_class=Wrapped,
        passes_on=True,
    )
    parser.add_argument(
        "--processes", metavar="N", type=_count, default=PROCESSES, help=f"how many (default: {PROCESSES})"
    )
    parser.add_argument("--json", action="store_true", help="print the same for machines, and all else on stderr")
    parser.add_argument("--keep-traces", metavar="FILE.json", type=Path, help="write the runs to a new file")
    return parser


def _count(text: str) -> int:
    try:
        number = parse_count(text, option="--processes")
    except OptionError as error:
        raise argparse.ArgumentTypeError(f"{error.what}; {error.fix}") from None
    if number < FEWEST_PROCESSES:
        raise argparse.ArgumentTypeError(
            f"{number} cannot tell how processes differ; name {FEWEST_PROCESSES} or more, {PROCESSES} are usual"
        )
    return number


def _check(host: Host) -> bool:
    """Refuse what would be without effect: the runs are kept by an option of this command."""
    from pytest_sdbatch.options import OF_THE_WHOLE_RUN, Origin

    options = host.options
    for name in OF_THE_WHOLE_RUN:
        if options.origin(name) is Origin.COMMAND_LINE and options.text(name) != "no":
            raise OptionError(
                f"{options.spelled(name)} with {NAME}",
                why="its processes are one measurement of the machine",
                fix="keep them with --keep-traces=FILE.json",
            )
    host.options = options.without(*OF_THE_WHOLE_RUN)  # of a file: they are for a plain pytest
    host.check()
    return True


def _run(processes: int, arguments: Sequence[str], folder: Path) -> _Ended:
    """Run the processes, and say how long that takes; the first one tells."""
    files: list[Path] = []
    statuses: list[int] = []
    said = ""
    _tell(f"{processes} processes one after another; the first one will tell how long that takes")
    start = time.monotonic()
    with stopped_by_signals():
        for number in range(1, processes + 1):
            file, log = folder / f"{number}.json", folder / f"{number}.log"
            with log.open("wb") as output:
                status, stopped = run_child(one_process(file, arguments), output=output)
            statuses.append(status)
            left_a_run = file.exists()
            files += [file] if left_a_run else []
            if (status or not left_a_run) and not said:
                said = _last_lines(log)
            if stopped or status not in _ENDED or not left_a_run:  # the next one would end the same
                break
            each_s = (time.monotonic() - start) / number
            left = units.time_left(each_s * (processes - number)) if number < processes else "done"
            _tell(f"process {number} of {processes} ended; {units.duration(each_s)} each, {left}")
    return _Ended(files=tuple(files), status=next((code for code in statuses if code), 0), said=said)


def _last_lines(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:])


def _tell(text: str) -> None:
    print(f"sdbatch: {text}", file=sys.stderr, flush=True)


def _say(ended: _Ended, given: argparse.Namespace) -> int:
    """Print what is known, keep the runs where that was asked for, and return the exit status."""
    from pytest_sdbatch.analysis.calibration import calibrate as judge
    from pytest_sdbatch.storage.sides import read_side_runs

    if ended.said:
        how = f"did not end well (exit status {ended.status})" if ended.status else "measured no benchmark"
        _tell(f"a process {how}; the last it printed:")
        print(ended.said, file=sys.stderr, flush=True)
    found = judge([run for file in ended.files for run in read_side_runs(file)])
    status = NOTHING if not found.known else PARTLY if ended.status else SAID
    if given.keep_traces is not None and ended.files:
        try:
            _tell(f"traces: {_keep(ended.files, given.keep_traces)}")
        except RunFileError as error:
            print(f"ERROR: {error}", file=sys.stderr)
            status = status or PARTLY
    print(_text(found, status, given))
    return status


def _keep(files: Sequence[Path], path: Path) -> Path:
    from pytest_sdbatch.storage.run_file import read_run_file, write_run

    return write_run(path, [run for file in files for run in read_run_file(file)])


def _text(found: Calibration, status: int, given: argparse.Namespace) -> str:
    from pytest_sdbatch.report.calibration import calibration_data, render_calibration

    if given.json:
        return json.dumps(calibration_data(found, asked=given.processes, status=status), allow_nan=False)
    return render_calibration(found, asked=given.processes, **screen())
