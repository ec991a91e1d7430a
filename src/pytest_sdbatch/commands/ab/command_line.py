"""What ``sdbatch ab`` is given."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pytest_sdbatch.analysis.ab import METRICS, Acceptance
from pytest_sdbatch.analysis.exit_status import ExitStatus, help_of
from pytest_sdbatch.analysis.location import FEWEST_FOR_ERROR
from pytest_sdbatch.bridges import pytest_options
from pytest_sdbatch.commands.compare import share
from pytest_sdbatch.commands.help import Wrapped
from pytest_sdbatch.commands.outlets import Outlets, add_outlets
from pytest_sdbatch.commands.parser import Parser, refuse_paths
from pytest_sdbatch.commands.sweep import ON, QUIET, RAY, SUITE, cluster_named
from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.options import TABLE

_STATUSES = help_of(
    {
        ExitStatus.INVALID_ENVIRONMENT: "invalid environment: other processes used the GPU, or a case was throttled in "
        "every round",
        ExitStatus.NOT_COMPARED: "no comparison: no such base, no case is on both sides, both sides ran the same code, "
        "incomparable cases, no time for a single pair",
        ExitStatus.REGRESSED: "a case regressed",
        ExitStatus.STOPPED: "it was stopped before it was done",
        ExitStatus.INCONCLUSIVE: "a case is inconclusive, and --fail-on=inconclusive was given",
        ExitStatus.NOT_WRITTEN: "the report could not be written",
        ExitStatus.GOOD: "else",
        ExitStatus.USAGE: "the command line is wrong",
    }
)
_EPILOG = f"""
Behind -- stands what pytest is given: benchmarks and options. Without -- the benchmarks that ship with the plugin
are run, as by `sdbatch sweep`; conftest.py files of the current folder count for them. Both sides run the
candidate's benchmarks, at 4 steps where neither an option, a marker nor the configuration says how many.

{_STATUSES}
with --report-only 0 takes the place of 10 and 11.
"""
# What would make the processes do something else than measure and hand in.
_REFUSED = {
    "--sd-report": "each process writes a run file of its own; --report=FILE.md writes the report",
    "--sd-save": "the runs of two sides are no baseline",
    "--sd-resume": "a verdict needs fresh processes",
    "--sd-baseline": "the base is run anew, in turn with the candidate",
    "--sd-gate": "this is a gate of its own: its exit status says what it found",
    "--sd-plan": "to see the cases: pytest BENCHMARKS --sd-plan",
    "--collect-only": "to see the cases: pytest BENCHMARKS --sd-plan",
    "--co": "to see the cases: pytest BENCHMARKS --sd-plan",
    "-n": "processes that time at once disturb each other",
    "--numprocesses": "processes that time at once disturb each other",
    "--benchmark-disable": "nothing would be measured",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The command line."""

    base: str | None
    base_python: str | None
    on: str | None  # the cluster on which it is run; None: here
    arguments: tuple[str, ...]  # of pytest
    setup: str | None
    minutes: float | None
    accept: tuple[Acceptance, ...]
    report_only: bool
    outlets: Outlets
    fail_on: str
    tolerance: float | None  # None: the budget of each case
    margin: float

    @property
    def fixes_steps(self) -> bool:
        """Whether the number of steps stands on the command line."""
        return any(word.startswith(("--sd-step", "sd_step", "-osd_step")) for word in self.arguments)


def read(words: Sequence[str]) -> Given:
    """Return what *words* mean; a mistake, and ``--help``, end the process as argparse does."""
    at = words.index("--") if "--" in words else len(words)
    parser = _parser()
    found, rest = parser.parse_known_args(list(words[:at]))
    _refuse_mistyped(parser, (*rest, *words[at + 1 :]))
    try:
        refuse_paths(words[:at], words[at + 1 :], command="sdbatch ab", switches=parser.switches)
    except OptionError as error:
        parser.error(error.line)
    if found.base is None and found.base_python is None:
        parser.error("name the other side: --base REF, or --base-python PYTHON")
    if found.on is not None and found.base is None:
        parser.error(f"{ON} with --base-python: run it on the node that has both, without {ON}")
    arguments = [*(() if at < len(words) else SUITE), *map(relative, (*rest, *words[at + 1 :]))]
    for word, name in _named(arguments):
        if name in _REFUSED or (word.startswith("-n") and word[2:].isalnum()):
            parser.error(f"{word}: not with ab: {_REFUSED.get(name, _REFUSED['-n'])}")
    _refuse_few_rounds(parser, arguments)
    return Given(
        base=found.base,
        base_python=found.base_python,
        on=found.on,
        arguments=(*arguments, *QUIET),
        setup=found.setup,
        minutes=found.minutes,
        accept=tuple(found.accept),
        report_only=found.report_only,
        outlets=Outlets(as_json=found.json, github=found.github, report=found.report),
        fail_on=found.fail_on,
        tolerance=found.tolerance,
        margin=found.margin,
    )


def _parser() -> Parser:
    parser = Parser(
        prog="sdbatch ab",
        usage="sdbatch ab (--base REF | --base-python PYTHON) [options]\n"
        "                  [-- BENCHMARKS and options of pytest]",
        description="Run base and candidate in turn, in fresh processes on one device, and say which cases regressed.",
        epilog=_EPILOG,
        formatter_class=Wrapped,
        passes_on=True,
    )
    _add_sides(parser)
    parser.add_argument(
        "--setup",
        metavar="CMD",
        help="shell command that builds or installs a side, run in a checkout of each with the Python of its "
        "environment first on PATH (default: pip install without dependencies)",
    )
    parser.add_argument(
        "--minutes",
        metavar="N",
        type=_minutes,
        help="end within so many: with fewer rounds, steps or cases; what is not done by then is inconclusive",
    )
    parser.add_argument(
        "--tolerance",
        metavar="SHARE",
        type=partial(share, name="tolerance"),
        help="the smallest slowdown that may be called regressed (default: the budget of a case, else 1%%)",
    )
    parser.add_argument(
        "--margin",
        metavar="SHARE",
        type=partial(share, name="margin"),
        default="5%",
        help="the slowdown that unchanged excludes (default: 5%%)",
    )
    parser.add_argument(
        "--accept",
        metavar="'CASE: REASON'",
        type=_acceptance,
        action="append",
        default=[],
        help=f"do not fail over a case, a test, or one of {', '.join(METRICS)}; again: several",
    )
    parser.add_argument(
        "--fail-on", choices=("regressed", "inconclusive"), default="regressed", help="what is not exit status 0"
    )
    parser.add_argument("--report-only", action="store_true", help="exit status 0 whatever the verdicts are")
    add_outlets(parser)
    parser.add_argument("--json", action="store_true", help="print the verdicts for machines; progress goes to stderr")
    return parser


def _add_sides(parser: argparse.ArgumentParser) -> None:
    """Declare what is compared, and where."""
    base = parser.add_mutually_exclusive_group()
    base.add_argument(
        "--base", metavar="REF", help="commit, branch or tag to compare the working tree with: origin/main"
    )
    base.add_argument(
        "--base-python",
        metavar="PYTHON",
        help="Python of another environment, for the same files: .venv-old/bin/python",
    )
    parser.add_argument(
        ON,
        metavar=RAY,
        type=_cluster,
        help=f"on one device of a cluster of Ray: the one that this machine is a node of, or that RAY_ADDRESS names; "
        f"{RAY}://HOST:PORT from a machine that is no node (with --base)",
    )


def _refuse_mistyped(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """End the process for what is nearly an option of the plugin: nobody else would know what was meant."""
    flags = [flag for row in TABLE if row.flag is not None for flag in pytest_options.flags(row)]
    try:
        pytest_options.check_words(words, [word for word in words if word.partition("=")[0] not in flags])
    except OptionError as error:
        parser.error(str(error))


def _refuse_few_rounds(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> None:
    """End the process where no number of processes could lead to a verdict."""
    for word, name in _named(arguments):
        value = word.rpartition("=")[2]
        if name in ("--sd-rounds", "--sd-max-rounds") and value.isdecimal() and int(value) < FEWEST_FOR_ERROR:
            parser.error(f"{word}: a verdict on time needs {FEWEST_FOR_ERROR} rounds of each case or more")


def _named(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each word with the flag that it is, also where that is typed as a key of the configuration."""
    for word, before in zip(words, ("", *words), strict=False):
        typed = word if before in ("-o", "--override-ini") else word.removeprefix("--override-ini=").removeprefix("-o")
        name = typed.partition("=")[0]
        yield word, f"--{name.replace('_', '-')}" if name.startswith("sd_") else word.partition("=")[0]


def relative(word: str) -> str:
    """Return *word*, a path below the current folder as seen from there: each side has such a folder of its own."""
    path, colons, rest = word.partition("::")
    if not Path(path).is_absolute():
        return word
    for at, here in ((Path(path), Path.cwd()), (Path(path).resolve(), Path.cwd().resolve())):
        if at.is_relative_to(here):
            return f"{at.relative_to(here).as_posix()}{colons}{rest}"
    return word


def _cluster(text: str) -> str:
    try:
        return cluster_named(text)
    except OptionError as error:
        raise argparse.ArgumentTypeError(error.line) from None


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if not (math.isfinite(minutes) and minutes > 0):
        raise argparse.ArgumentTypeError(f"{text}: not a number above 0")
    return minutes


def _acceptance(text: str) -> Acceptance:
    what, colon, reason = text.partition(": ")
    if not (colon and what.strip() and reason.strip()):
        raise argparse.ArgumentTypeError(f"{text!r}: write 'CASE: REASON' or 'METRIC: REASON', with a space behind :")
    return Acceptance(what=what.strip(), reason=reason.strip())
