"""Where verdicts of ``sdbatch ab`` and ``sdbatch compare`` go besides the screen: a Markdown file, GitHub Actions."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def add_outlets(parser: argparse.ArgumentParser) -> None:
    """Declare ``--report`` and ``--no-github``."""
    parser.add_argument(
        "--report",
        metavar="FILE.md",
        type=_report,
        help="write the verdicts as Markdown, too, small enough for a comment of a pull request",
    )
    parser.add_argument(
        "--no-github",
        dest="github",
        action="store_false",
        help="in a job of GitHub Actions, write no summary of it and no annotations",
    )


def _report(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() != ".md":
        raise argparse.ArgumentTypeError(f"{text}: the report is Markdown; name it .md")
    if not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: there is no folder {path.parent}")
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: this is a folder")
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text}: cannot be written there")
    return path
