"""The command ``sdbatch``: sweeps without a test file, comparisons, reports, learning, detectable effects, models."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from pytest_sdbatch.commands import compare, merge, models, report, study
from pytest_sdbatch.commands.parser import Parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; that of ``sweep`` is pytest's."""
    try:
        status = _main(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()  # now: what fails while the interpreter ends is printed by it
        return status
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _main(words: list[str]) -> int:
    # pytest is not loaded for the others.
    if words[:1] == ["sweep"]:  # everything behind it belongs to pytest, -h and --help too
        from pytest_sdbatch.commands.sweep import sweep

        return sweep(words[1:])
    if words[:1] == ["ab"]:  # a part of what is behind it does
        from pytest_sdbatch.commands.ab.job import ab

        return ab(words[1:])
    if words[:1] == ["calibrate"]:  # and of its words most
        from pytest_sdbatch.commands.calibrate import calibrate

        return calibrate(words[1:])
    given = command_parser().parse_args(words)
    given.words = words
    return int(given.run(given))


def command_parser() -> argparse.ArgumentParser:
    """Return what reads the command line, but for the words of those commands that hand theirs on to pytest."""
    parser: argparse.ArgumentParser = Parser(
        prog="sdbatch", description="Batch size or batch count? Measure diffusers pipelines and see."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show program's version number and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    commands.add_parser(
        "sweep",
        add_help=False,
        help="measure a grid; takes every option of pytest, such as --sd-batch-sizes=1,4,8 (sdbatch sweep --help); "
        "--processes=K makes K runs of it, --on=ray shares it out to a cluster; behind -- name benchmarks of your own",
    )
    commands.add_parser(
        "ab",
        add_help=False,
        help="is this branch slower? runs base and candidate in turn: sdbatch ab --base origin/main -- benchmarks/ "
        "(sdbatch ab --help)",
    )
    models.add_parser(commands)
    compare.add_parser(commands)
    report.add_parser(commands)
    merge.add_parser(commands)
    study.add_parser(commands)
    commands.add_parser(
        "calibrate",
        add_help=False,
        help="what can this machine detect? Runs the same code in several processes (sdbatch calibrate --help)",
    )
    return parser


class _Version(argparse.Action):
    """Looks the version up once it is asked for: that takes as long as all else before a command begins."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib import metadata

        parser._print_message(f"pytest-sdbatch {metadata.version('pytest-sdbatch')}\n", sys.stdout)  # as its own does
        parser.exit()
