"""Every block of README.md, CONTRIBUTING.md and docs/ is run, or checked as far as that goes without what it needs.

How a block says that it is not run: tests/support/doc_blocks.py.
"""

from __future__ import annotations

import re
from collections import Counter

import pytest
from doc_blocks import PAGES, ROOT, Block, PageError, blocks, commands
from doc_checks import check
from doc_session import Reader


def of(page: str) -> tuple[Block, ...]:
    """Return the blocks of *page* for a table of tests; what is wrong with them is told by a test, not here."""
    try:
        return blocks(page)
    except PageError:
        return ()


RUN = [
    pytest.param(page, marks=[pytest.mark.slow] if any(block.has("slow") for block in of(page)) else [])
    for page in PAGES
    if any(block.is_run for block in of(page))
]
_OTHERS = {
    "--sd-batch-sizes",
    "--sd-models",
    "--sd-steps",
    "--sd-images",
    "--no-deps",
    "--no-build-isolation",
    "--inplace",
}
CHECKED = [page for page in PAGES if of(page)]


@pytest.fixture
def reader(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """Somebody who follows a page."""
    return Reader(pytester, monkeypatch)


@pytest.mark.parametrize("page", RUN)
def test_a_page_does_what_it_says(reader: Reader, page: str) -> None:
    """Followed from top to bottom its commands end as shown, and print what is shown: words, not figures."""
    reader.follow(page)


@pytest.mark.parametrize("page", CHECKED)
def test_what_is_not_run_could_be(reader: Reader, page: str) -> None:
    """Options exist and their values are accepted, by the parsers that would read them; code compiles."""
    reader.prepare(page)
    for block in blocks(page):
        check(block, reader.run_pytest)
        if block.language == "python" and block.file is not None:
            reader.write(block.file, block.text)


def test_no_block_escapes() -> None:
    """Counted by another rule than that which finds them: every fence of every page is a block that is known here."""
    texts = {page: (ROOT / page).read_text(encoding="utf-8") for page in PAGES}
    fences = {page: len(re.findall(r"^\s*(?:>\s*)*(?:```|~~~)", text, re.MULTILINE)) for page, text in texts.items()}

    assert {page: 2 * len(blocks(page)) for page in PAGES} == fences
    assert len(PAGES) > 30


def test_what_runs_a_block_elsewhere_names_its_page_and_its_options() -> None:
    """The note that another test runs it is no way around this one: that reads the page, or tries its options.

    Sizes, models and steps may be others, and so may the words of other programs.
    """
    for block in (block for page in PAGES for block in blocks(page)):
        if path := block.note("run by", "path"):
            source = (ROOT / path).read_text(encoding="utf-8")
            assert block.page.rpartition("/")[2] in source, block.at
            options = set(re.findall(r"--[a-z][\w-]*|\bsd_\w+(?==)", block.text)) - _OTHERS
            untried = {option for option in options if option not in source}
            assert ".read_text(" in source or not untried, f"{block.at}: {untried}"


def test_most_commands_are_run() -> None:
    """What is only checked stays the smaller part; the message counts it by reason."""
    here, elsewhere, checked = Counter[str](), Counter[str](), Counter[str]()
    for block in (block for page in PAGES for block in blocks(page)):
        if block.language == "text":
            continue
        units = commands(block) if block.language == "console" else [None]
        for unit in units:
            if block.is_run and (unit is None or block.runs(unit)):
                here[block.language] += 1
            elif block.note("run by", "path"):
                elsewhere[block.language] += 1
            else:
                reason = block.note("not run", "reason") or block.note("not run where", "reason") or ""
                checked[reason] += 1

    told = f"run here {dict(here)}, run by other tests {dict(elsewhere)}, only checked {dict(checked)}"
    assert here.total() + elsewhere.total() >= checked.total(), told
