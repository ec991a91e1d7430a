"""How many blocks of the docs are run, and by what: ``python tests/support/doc_count.py``."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator

from doc_blocks import PAGES, Block, blocks, commands

PAGE_BY_PAGE, NAMED, CI, ELSEWHERE, NOT_RUN = (
    "run page by page, by tests/docs",
    "run by a test that is named",
    "run by .ci/run",
    "run on another page",
    "not run",
)
PLACES = (PAGE_BY_PAGE, NAMED, CI, ELSEWHERE, NOT_RUN)
CI_PATH = ".ci/run"


def place(block: Block) -> str | None:
    """Return what runs *block*; None: it is no code but text."""
    if block.language == "text":
        return None
    if path := block.note("run by", "path"):
        return CI if path == CI_PATH else NAMED
    if block.pages:
        return ELSEWHERE
    return PAGE_BY_PAGE if block.is_run else NOT_RUN


def every_block() -> Iterator[Block]:
    """Yield the blocks of all pages."""
    for page in PAGES:
        yield from blocks(page)


def table() -> Iterator[str]:
    """Yield a line for each place, with its blocks and the commands in them, and one for each block that is not run."""
    found, given = Counter[str | None](), Counter[str | None]()
    for block in every_block():
        found[place(block)] += 1
        given[place(block)] += len(commands(block)) if block.language == "console" else 0
    yield f"{'':32}{'blocks':>8}{'commands':>10}"
    for name in PLACES:
        yield f"{name:32}{found[name]:8}{given[name]:10}"
    for block in every_block():
        if place(block) == NOT_RUN:
            yield f"{block.at}: {block.note('not run', 'reason')}"


if __name__ == "__main__":
    sys.stdout.write("\n".join(table()) + "\n")
