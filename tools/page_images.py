"""Make docs/images: the page of the runs in docs/results, as pictures: ``python tools/page_images.py``.

It takes Chromium (apt-get install chromium, or SDBATCH_BROWSER=PATH) and measures nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
RUNS, IMAGES = ROOT / "docs" / "results", ROOT / "docs" / "images"
ASKED = ("--images=16", "--price=0.10/h")
WIDTH, MARGIN = 1000, 16
# Name of the picture, whether it is dark, and the first and last element that it shows.
PICTURES = (
    ("report-answers.png", False, "header", ".answers"),
    ("report-throughput.png", True, "#throughput", "#seconds"),
)


def main(words: Sequence[str] | None = None) -> int:
    """Write the pictures and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, help="run files instead of all in docs/results")
    given = parser.parse_args(words)
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from browser import Browser, Tab, find_browser

    from pytest_sdbatch.cli import main as sdbatch

    program = find_browser()
    if program is None:
        print("no Chromium here: apt-get install chromium, or SDBATCH_BROWSER=PATH", file=sys.stderr)
        return 1
    with TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        status = sdbatch(["report", *map(str, given.runs or sorted(RUNS.glob("*.json"))), *ASKED, "-o", str(page)])
        if status:
            return status
        browser = Browser(program, Path(folder) / "profile")
        try:
            for name, dark, first, last in PICTURES:
                tab = Tab(browser, width=WIDTH, dark=dark)
                tab.open(page)
                top = max(tab.run(f"document.querySelector('{first}').getBoundingClientRect().top") - MARGIN, 0)
                bottom = tab.run(f"document.querySelector('{last}').getBoundingClientRect().bottom")
                tab.screenshot(IMAGES / name, top=top, height=bottom + MARGIN - top)
                tab.close()
                print(IMAGES / name)
        finally:
            browser.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
