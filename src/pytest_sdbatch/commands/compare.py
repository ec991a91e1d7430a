"""``sdbatch compare``: stored runs against new ones, and an exit status for a script."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pytest_sdbatch.analysis.exit_status import ExitStatus, help_of
from pytest_sdbatch.commands.help import Wrapped
from pytest_sdbatch.commands.outlets import Outlets, add_outlets, give_out, refuse
from pytest_sdbatch.errors import OptionError, RunFileError
from pytest_sdbatch.grid.axes import parse_share

_SHARES = (
    ("tolerance", "1%", "the smallest slowdown that may be called regressed"),
    ("margin", "5%", "the slowdown that unchanged excludes"),
    ("drift", "3%", "what the machine may have moved since the base was stored"),
)
_EPILOG = help_of(
    {
        ExitStatus.INVALID_ENVIRONMENT: "invalid environment of the candidate: other processes used the GPU, "
        "or a case was throttled in every round",
        ExitStatus.NOT_COMPARED: "a file cannot be read or believed, or cases cannot be compared",
        ExitStatus.REGRESSED: "a case regressed",
        ExitStatus.INCONCLUSIVE: "a case is inconclusive, and --fail-on=inconclusive was given",
        ExitStatus.NOT_WRITTEN: "the report could not be written",
        ExitStatus.GOOD: "else",
        ExitStatus.USAGE: "the command line is wrong",
    }
)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "compare",
        help="compare run files: which cases regressed, and how sure that is",
        epilog=_EPILOG,
        formatter_class=Wrapped,
    )
    what = "run files, ours or pytest-benchmark's; several files are several runs"
    parser.add_argument("base", nargs="+", type=Path, metavar="BASE.json", help=f"to compare with: {what}")
    parser.add_argument(
        "--candidate", nargs="+", action="extend", type=Path, metavar="NEW.json", default=[],
        help="to judge; it has to be given",
    )  # fmt: skip
    for name, default, text in _SHARES:
        parser.add_argument(
            f"--{name}",
            metavar="SHARE",
            type=partial(share, name=name),
            default=default,
            help=f"{text} (default: {default})".replace("%", "%%"),
        )
    parser.add_argument(
        "--fail-on", choices=("regressed", "inconclusive"), default="regressed", help="what is not exit status 0"
    )
    parser.add_argument("--json", action="store_true", help="print the same for machines")
    add_outlets(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Compare, print, and return the exit status."""
    from pytest_sdbatch.analysis.comparison import compare
    from pytest_sdbatch.analysis.config import Config
    from pytest_sdbatch.analysis.outcomes import invalid_environment
    from pytest_sdbatch.storage.plain import without_collector
    from pytest_sdbatch.storage.sides import read_sides

    outlets = Outlets(as_json=given.json, github=given.github, report=given.report)
    if not given.candidate:
        return refuse(_without_candidate(given.base), outlets, status=ExitStatus.USAGE)
    with without_collector():
        try:
            base, candidate = read_sides(given.base, given.candidate)
        except RunFileError as error:
            return refuse(error, outlets, status=ExitStatus.NOT_COMPARED)
        config = Config(tolerance=given.tolerance, margin=given.margin, drift=given.drift)
        comparison = compare(base, candidate, config)
        # Of the base too it was said when it was recorded; there it blames no code.
        invalid = invalid_environment(case.candidate for case in comparison.cases)
        lines = [invalid] if invalid is not None else []
        return give_out(comparison, outlets, lines=lines, invalid=invalid, fail_on=given.fail_on)


def _without_candidate(files: Sequence[Path]) -> OptionError:
    base, new = (files[:-1], files[-1]) if len(files) > 1 else (files, Path("NEW.json"))
    return OptionError(
        "sdbatch compare without --candidate",
        why="which of the files are to be judged is not known",
        fix=f"sdbatch compare {shlex.join(map(str, base))} --candidate {shlex.quote(str(new))}",
    )


def share(text: str, *, name: str) -> float:
    """Return the share that the option *name* was given."""
    try:
        return parse_share(text, option=f"--{name}")
    except OptionError as error:
        raise argparse.ArgumentTypeError(f"{error.what}; {error.fix}") from None
