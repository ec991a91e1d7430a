"""Every block of README.md, CONTRIBUTING.md and docs/ is run, or checked as far as that goes without what it needs.

How a block says that it is not run: tests/support/doc_blocks.py.
"""

from __future__ import annotations

import configparser
import re

import pytest
from doc_blocks import PAGES, ROOT, Block, Command, PageError, blocks, commands
from doc_checks import check
from doc_count import CI, CI_PATH, ELSEWHERE, NAMED, NOT_RUN, PLACES, every_block, place, table
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
    for block in every_block():
        if place(block) == NAMED:
            source = (ROOT / (block.note("run by", "path") or "")).read_text(encoding="utf-8")
            assert block.page.rpartition("/")[2] in source, block.at
            options = set(re.findall(r"--[a-z][\w-]*|\bsd_\w+(?==)", block.text)) - _OTHERS
            untried = {option for option in options if option not in source}
            assert ".read_text(" in source or "doc_blocks" in source or not untried, f"{block.at}: {untried}"


def test_what_ci_runs_stands_in_its_script() -> None:
    """Word for word; ``tox`` alone runs each environment of its list."""
    lines = {line.strip() for line in (ROOT / CI_PATH).read_text(encoding="utf-8").splitlines()}
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    listed = {f"tox -e {name.strip()}" for name in tox["tox"]["env_list"].split(",")}
    for block in every_block():
        if place(block) == CI:
            for command in commands(block):
                text = "tox" if command.text in listed else command.text
                assert re.sub(r"^tox\b", "python -m tox", text) in lines, f"{block.at}: {command.text}"


def test_what_is_run_on_another_page_stands_there_to_the_letter() -> None:
    """Commands, and what they show: a page that says less of it leaves lines out."""
    for block in every_block():
        if place(block) == ELSEWHERE:
            there = {command.text: command for page in block.pages for command in _run_on(page)}
            for command in commands(block):
                assert command.text in there, f"{block.at}: {command.text}"
                lines = [*there[command.text].shown, "..."]
                assert [line for line in command.shown if line not in lines] == [], block.at


def _run_on(page: str) -> list[Command]:
    ran = [block for block in blocks(page) if block.language == "console" and (block.is_run or place(block) == NAMED)]
    return [command for block in ran for command in commands(block)]


# Each with its reason. What is added here is a block that nobody notices when it is wrong.
LEFT = {
    "docs/how-to/ab.md": ["is what a change of a real pipeline came to; docs/tutorial.md runs the command"],
    "docs/performance.md": ["takes minutes on a quiet machine"],
}


def test_what_nothing_runs_is_listed() -> None:
    """It cannot grow unseen; ``python tests/support/doc_count.py`` counts the others."""
    found = {page: [block.note("not run", "reason") for block in of(page) if place(block) == NOT_RUN] for page in PAGES}

    assert {page: reasons for page, reasons in found.items() if reasons} == LEFT, "\n".join(table())


def test_the_count_has_a_line_for_each_place() -> None:
    """And one for each block that nothing runs."""
    lines = list(table())

    assert [line.startswith(name) for name, line in zip(PLACES, lines[1:], strict=False)] == [True] * len(PLACES)
    assert len(lines) == 1 + len(PLACES) + sum(map(len, LEFT.values()))
