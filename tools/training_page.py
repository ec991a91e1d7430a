"""Measure what docs/explanation/training.md shows: ``python tools/training_page.py``.

The study is kept in docs/results; the page shows what it says.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

from pytest_sdbatch.report.study_markdown import study_markdown
from pytest_sdbatch.storage.study_file import read_study

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "explanation" / "training.md"
RESULT = DOCS / "results" / "studies" / "digits.json"
BEGIN, END = "<!-- measured study -->\n", "<!-- end of measured study -->\n"


def main(words: Sequence[str] | None = None) -> int:
    """Run the study unless only the page is to be written; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only-write", action="store_true", help="measure nothing: show the study that is there")
    parser.add_argument("options", nargs="*", help="of sdbatch study, behind --")
    given = parser.parse_args(words)
    status = 0 if given.only_write else measure(given.options)
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return status


def measure(options: Sequence[str]) -> int:
    """Run the study and keep its file; return its exit status."""
    from pytest_sdbatch.cli import main as sdbatch

    with TemporaryDirectory() as folder, chdir(folder):
        status = sdbatch(["study", *options, "-o", "study.json"])
        made = Path("study.json")
        if made.exists():
            RESULT.parent.mkdir(parents=True, exist_ok=True)
            RESULT.write_bytes(made.read_bytes())
    return status


def filled(page: str) -> str:
    """Return *page* with what the study says between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{PAGE.name} lacks {BEGIN.strip()} or {END.strip()}")
    return before + BEGIN + "\n" + section() + "\n" + END + after


def section() -> str:
    """Return what the stored study says, headed by its command and where it ran."""
    if not RESULT.exists():
        return "No study was kept yet.\n"
    study = read_study(RESULT)
    facts = study.facts
    versions = ", ".join(f"{name} {facts[name]}" for name in ("pytest-sdbatch", "torch", "diffusers"))
    command = re.sub(r" (-o|--output[ =])\S*| --resume| \S+\.json", "", study.command)
    return "\n".join(
        [
            f"`{command}` on {facts['device_name']}, {facts['threads']} thread, {study.started_at[:10]}, {versions}; "
            f"all that was measured: [{RESULT.name}](../results/studies/{RESULT.name}), "
            "shown by `sdbatch study --show FILE`.",
            "",
            study_markdown(study),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
