"""``sdbatch models``: the models and variants that can be named."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "models", help="list the models and variants that can be named, those of a conftest.py here too"
    )
    parser.add_argument("folders", nargs="*", type=_folder, help="folders whose conftest.py adds some (default: this)")
    parser.set_defaults(run=lambda given: models(given.folders))


def models(folders: Sequence[str] = ()) -> int:
    """Print the models and variants that ship and those that the project adds; 0, or what pytest made of a failure.

    Args:
        folders: whose conftest files are asked, those above them too; none: the current one, as in :func:`sweep`.
    """
    import pytest

    from pytest_sdbatch.commands.catalog_reader import CatalogReader
    from pytest_sdbatch.commands.sweep import QUIET, SUITE
    from pytest_sdbatch.pipelines.catalog import ModelCatalog
    from pytest_sdbatch.report.catalog import models_table, variants_table
    from pytest_sdbatch.report.layout import screen_width

    reader = CatalogReader()
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


def _folder(text: str) -> str:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"no such folder: {text}")
    return text
