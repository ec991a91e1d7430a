"""``sdbatch report``: run files or a study shown again, on the screen or as a page; nothing is measured."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_sdbatch.analysis.exit_status import ExitStatus
from pytest_sdbatch.commands.compare import share
from pytest_sdbatch.commands.exporting import add_format, export_runs
from pytest_sdbatch.commands.help import Wrapped
from pytest_sdbatch.commands.refusal import refused
from pytest_sdbatch.commands.screen import screen
from pytest_sdbatch.errors import OptionError, RunFileError, SdbatchError
from pytest_sdbatch.grid import axes, limits, prices
from pytest_sdbatch.options import BY_SPELLING, resolve

if TYPE_CHECKING:
    from pytest_sdbatch.analysis.verdict_list import VerdictList
    from pytest_sdbatch.records import Run
    from pytest_sdbatch.report.sources import Reported, RunFile
    from pytest_sdbatch.report.splits import Question

OUTPUT = "--output"
# What a run file tells of the question that was asked when it was made, and a flag of this command asks anew.
_ASKED = ("images", "objective", "price", "start", "sweet_spot", "batch_sizes", "batch_counts")
_FLAGS = ("images", "objective", "price", "start", "sweet_spot")
_LONGEST = 200  # characters of what an error lists
_EPILOG = """
what is not given is what was asked when the runs were made

exit status:
   2  the command line is wrong
   1  a file cannot be read, believed or written
   0  else
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "report",
        help="show run files, or a study, again: sdbatch report run.json -o report.html (or .md, .csv; without -o on "
        "the screen)",
        epilog=_EPILOG,
        formatter_class=Wrapped,
    )
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN.json",
        help="run files, of one machine or of several; or what one sdbatch study kept",
    )  # fmt: skip
    parser.add_argument(
        "-o", OUTPUT, action="append", type=Path, metavar="FILE", default=[],
        help="write it: .html a page to look at, .md, .csv; may be given several times",
    )  # fmt: skip
    add_format(parser)
    parser.add_argument(
        "--baseline", nargs="+", action="extend", type=Path, metavar="BASE.json", default=[],
        help="run files to compare with: the page shows both sides and the verdicts",
    )  # fmt: skip
    parser.add_argument(
        "--verdicts", type=Path, metavar="FILE.json",
        help="verdicts to show, as sdbatch compare --json or sdbatch ab --json printed them",
    )  # fmt: skip
    parser.add_argument("--price", type=_price, help=_help("price"))
    parser.add_argument(
        "--images", type=_images, metavar="N", help="show every split of so many images, or an epoch of them"
    )
    parser.add_argument("--objective", metavar="AIM", choices=BY_SPELLING["objective"].choices, help=_help("objective"))
    parser.add_argument("--start", choices=BY_SPELLING["start"].choices, help="what splits of --images start from")
    parser.add_argument("--sweet-spot", type=_sweet_spot, metavar="SHARE", help=_help("sweet_spot").replace("%", "%%"))
    parser.add_argument(
        "--memory", type=_memory, metavar="LIMIT", help="predict the largest batch for so much memory, such as 24GiB"
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Read, and show or write; return the exit status."""
    from pytest_sdbatch.commands.report_study import show_study
    from pytest_sdbatch.storage.plain import without_collector
    from pytest_sdbatch.storage.report_file import NO_RUN_FILE, check_reports
    from pytest_sdbatch.storage.study_file import is_study

    if any(map(is_study, given.runs)):
        tracker = [] if given.format is None else ["--format"]
        return show_study(given.runs, given.output, besides=[*tracker, *_besides(given)])
    if given.format is not None:
        return export_runs(given.format, given.runs, given.output, besides=_besides(given))
    try:
        check_reports(given.output, option=OUTPUT, kinds=NO_RUN_FILE)
        if given.verdicts is not None and given.baseline:
            raise OptionError("--verdicts with --baseline", why="both say what regressed", fix="leave one of them out")
    except SdbatchError as error:
        return refused(error)
    try:
        with without_collector():
            reported = _reported(given)
            _show(reported, given.output)
    except SdbatchError as error:
        return refused(error)
    return ExitStatus.GOOD


def _besides(given: argparse.Namespace) -> list[str]:
    """Return the flags that were given and ask something of runs of cases."""
    names = ("baseline", "verdicts", "memory", *_FLAGS)
    return [f"--{name.replace('_', '-')}" for name in names if getattr(given, name) not in (None, [])]


def _reported(given: argparse.Namespace) -> Reported:
    from pytest_sdbatch.report.epoch import with_images
    from pytest_sdbatch.report.escape import shortened
    from pytest_sdbatch.report.sources import Reported, sources_of
    from pytest_sdbatch.storage.verdict_file import read_verdicts

    verdicts = read_verdicts(given.verdicts) if given.verdicts is not None else None
    if given.baseline:
        verdicts = _compared(given.baseline, given.runs)
    files = _run_files(given.runs, given.baseline)
    if given.images is not None:
        images = axes.parse_count(given.images, option="--images")
        files = [
            replace(file, runs=tuple(with_images(run, images, spelled="--images") for run in file.runs))
            for file in files
        ]
    asked = {name: text for name in _FLAGS if (text := getattr(given, name)) is not None}
    sources = sources_of(files, _question(asked))
    if given.price is not None and all(source.question.price_per_s is None for source in sources):
        devices = ", ".join(dict.fromkeys(str(source.facts.get("device_name")) for source in sources))
        raise OptionError(
            f"--price={given.price}: no run is of such a device",
            why=f"they are of {shortened(devices, _LONGEST)}",
            fix="name a device by whole words of its name, or none: 2.49/h",
        )
    return Reported(sources=sources, verdicts=verdicts, memory_limit_bytes=given.memory)


def _compared(base: Sequence[Path], candidate: Sequence[Path]) -> VerdictList:
    from pytest_sdbatch.analysis.comparison import compare
    from pytest_sdbatch.bridges.reports import verdicts_in
    from pytest_sdbatch.storage.sides import read_sides

    return verdicts_in(compare(*read_sides(base, candidate)))


def _run_files(paths: Sequence[Path], base: Sequence[Path]) -> list[RunFile]:
    """Return the files, those of the base first. One of pytest-benchmark's has no run to show."""
    from pytest_sdbatch.report.sources import RunFile
    from pytest_sdbatch.storage.run_file import is_ours, read_run_file

    files = [RunFile(name=str(path), runs=read_run_file(path), is_base=True) for path in base if is_ours(path)]
    files += [RunFile(name=str(path), runs=read_run_file(path)) for path in paths]
    first: dict[str, str] = {}
    for file in files:
        for run in file.runs:
            if run.id in first:
                where = file.name if first[run.id] == file.name else f"{first[run.id]} and {file.name}"
                raise RunFileError(f"a run is given twice: {where}", fix="name each run once")
            first[run.id] = file.name
    if not any(run.records for file in files for run in file.runs):
        raise RunFileError(f"no case was measured in {', '.join(file.name for file in files)}")
    return files


def _question(asked: Mapping[str, str]) -> Callable[[Run], Question]:
    """Return a function that tells what the user wants to know of a run: now, else when it was made."""
    from pytest_sdbatch.report.question import question_of

    def question(run: Run) -> Question:
        then = {name: text for name, text in run.options.items() if name in _ASKED}
        try:
            options = resolve(command_line=asked, ini=then, overrides={})
            options.check()
            return question_of(options, lambda: run.environment)
        except OptionError as error:
            raise RunFileError(f"the options of run {run.id}: {error.what}", fix=error.fix) from None

    return question


def _show(reported: Reported, paths: Sequence[Path]) -> None:
    if not paths:
        from pytest_sdbatch.report.look import look

        print(look(reported, **screen()))
        return
    from pytest_sdbatch.bridges.reports import write
    from pytest_sdbatch.plain_text import plain
    from pytest_sdbatch.report.layout import encodable

    for path in paths:
        written = plain(f"report: {write(path, reported, option=OUTPUT)}")
        print(encodable(written, getattr(sys.stdout, "encoding", None) or "utf-8"))


def _help(name: str) -> str:
    return BY_SPELLING[name].help


def _price(text: str) -> str:
    return _checked(text, partial(prices.parse_prices, option="--price"))


def _images(text: str) -> str:
    return _checked(text, partial(axes.parse_count, option="--images"))


def _sweet_spot(text: str) -> str:
    share(text, name="sweet-spot")
    return text


def _memory(text: str) -> float:
    try:
        return limits.parse_memory(text, option="--memory")
    except OptionError as error:
        raise argparse.ArgumentTypeError(f"{error.what}; {error.fix}") from None


def _checked(text: str, read: Callable[[str], object]) -> str:
    try:
        read(text)
    except OptionError as error:
        raise argparse.ArgumentTypeError(f"{error.what}; {error.fix}") from None
    return text
