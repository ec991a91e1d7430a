"""The command ``sdbatch``: a sweep without a test file, and the list of models."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import metadata


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; that of ``sweep`` is pytest's."""
    parser = argparse.ArgumentParser(
        prog="sdbatch", description="Batch size or batch count? Measure diffusers pipelines and see."
    )
    parser.add_argument("--version", action="version", version=f"pytest-sdbatch {metadata.version('pytest-sdbatch')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    commands.add_parser(
        "sweep",
        add_help=False,
        help="measure a grid; takes every option of pytest, such as --sd-batch-sizes=1,4,8 (see: sdbatch sweep --help)",
    )
    commands.add_parser("models", help="list the models that can be named")
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["sweep"]:  # everything behind it belongs to pytest, -h and --help too
        return sweep(words[1:])
    parser.parse_args(words)
    return models()


def sweep(arguments: Sequence[str]) -> int:
    """Run the shipped suite with pytest, which takes its configuration and writes its files from the current folder."""
    import pytest

    # Unlike a plain pytest this process has imported the package before pytest could rewrite its asserts.
    quiet = "ignore:Module already imported so cannot be rewritten; pytest_sdbatch:pytest.PytestAssertRewriteWarning"
    return int(pytest.main(["--pyargs", "pytest_sdbatch.suite", *arguments, "-W", quiet]))


def models() -> int:
    """Print the catalog."""
    from pytest_sdbatch.pipelines.catalog import ModelCatalog
    from pytest_sdbatch.report.catalog import models_table
    from pytest_sdbatch.report.terminal import screen_width

    print(models_table(ModelCatalog().listing(), width=screen_width()))
    return 0
