"""The command ``sdbatch``: sweeps without a test file, comparisons, reports, learning, detectable effects, models."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_sdbatch.commands import compare, merge, report, study
from pytest_sdbatch.commands.calibrate import calibrate
from pytest_sdbatch.commands.parser import Parser
from pytest_sdbatch.commands.sweep import QUIET, SUITE, sweep
from pytest_sdbatch.errors import SdbatchError

if TYPE_CHECKING:
    from pytest_sdbatch.pipelines.catalog import ModelCatalog


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
    if words[:1] == ["sweep"]:  # everything behind it belongs to pytest, -h and --help too
        return sweep(words[1:])
    if words[:1] == ["ab"]:  # a part of what is behind it does
        from pytest_sdbatch.commands.ab.job import ab

        return ab(words[1:])
    if words[:1] == ["calibrate"]:  # and of its words most
        return calibrate(words[1:])
    given = command_parser().parse_args(words)
    given.words = words
    return int(given.run(given))


def command_parser() -> argparse.ArgumentParser:
    """Return what reads the command line, but for the words of those commands that hand theirs on to pytest."""
    parser: argparse.ArgumentParser = Parser(
        prog="sdbatch", description="Batch size or batch count? Measure diffusers pipelines and see."
    )
    parser.add_argument("--version", action="version", version=f"pytest-sdbatch {metadata.version('pytest-sdbatch')}")
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
    listing = commands.add_parser(
        "models", help="list the models and variants that can be named, those of a conftest.py here too"
    )
    listing.add_argument("folders", nargs="*", type=_folder, help="folders whose conftest.py adds some (default: this)")
    listing.set_defaults(run=lambda given: models(given.folders))
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


def models(folders: Sequence[str] = ()) -> int:
    """Print the models and variants that ship and those that the project adds; 0, or what pytest made of a failure.

    Args:
        folders: whose conftest files are asked, those above them too; none: the current one, as in :func:`sweep`.
    """
    from pytest_sdbatch.pipelines.catalog import ModelCatalog
    from pytest_sdbatch.report.catalog import models_table, variants_table
    from pytest_sdbatch.report.terminal import screen_width

    reader = _CatalogReader()
    status = int(pytest.main([*(folders or SUITE), *QUIET], plugins=[reader]))
    catalog = reader.catalog or ModelCatalog()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a pipe on Windows has no characters for lines
    print(models_table(catalog.listing(), width=screen_width()))
    print()
    print(variants_table(catalog.variant_listing(), width=screen_width()))
    if status:
        sys.stdout.flush()
        print("\nsdbatch: what the project adds is missing above: see the error", file=sys.stderr)
    return status


class _CatalogReader:
    """Lets pytest read its configuration and its first conftest files, asks them, and ends there."""

    def __init__(self) -> None:
        self.catalog: ModelCatalog | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> int:
        from pytest_sdbatch.host import catalog_of

        try:
            self.catalog = catalog_of(config)
        except SdbatchError as error:
            raise pytest.UsageError(str(error)) from None
        return 0


def _folder(text: str) -> str:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"no such folder: {text}")
    return text
