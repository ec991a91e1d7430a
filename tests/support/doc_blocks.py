"""The code blocks of README.md, CONTRIBUTING.md and docs/, and what is noted beside each about how it is tested.

A block runs unless a comment right above it, which no reader sees, says otherwise:

=================================================  ===================================================================
``<!-- not run: REASON -->``                       it is only checked, and listed in tests/docs/test_blocks.py
``<!-- run by tests/PATH.py -->``                  a test that names the page does more with it than is done here
``<!-- run by .ci/run -->``                        CI does
``<!-- run on PAGE, ... -->``                      its commands are, on these pages: the same, showing the same
``<!-- exit status N -->``                         that the last command ends with
``<!-- file PATH -->``                             where a block lies that does not begin with ``# PATH``
``<!-- columns N -->``                             of the terminal that its output is from; 80 unless said
``<!-- with OPTIONS -->``                          that pytest is given besides, so that it ends soon
``<!-- in miniature -->``                          models of the catalog are the tiny ones of their families
``<!-- on a pretended device -->``                 nothing takes time there; ``sdbatch ab`` finds the project changed
``<!-- on a pretended device, in one process -->``  and ``--processes`` is left out
``<!-- after a change -->``                        run files that it reads are of a slower version and the one before
``<!-- slow -->``                                  takes more than a few seconds
=================================================  ===================================================================
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md")),
)
LANGUAGES = {"bash", "console", "python", "toml", "ini", "yaml", "text"}
_NOTES = {
    "not run": r"not run: (?P<reason>.+)",
    "run by": r"run by (?P<path>\S+)",
    "run on": r"run on (?P<pages>.+)",
    "exit status": r"exit status (?P<number>\d+)",
    "with": r"with (?P<options>-.+)",
    "file": r"file (?P<path>\S+)",
    "columns": r"columns (?P<number>\d+)",
    "miniature": r"in miniature",
    "pretended": r"on a pretended device(?:, in one process)?",
    "one process": r"on a pretended device, in one process",
    "change": r"after a change",
    "slow": r"slow",
}
_COMMENT = re.compile(r"<!--\s*(.*?)\s*-->", re.DOTALL)
_FIRST_LINE = re.compile(r"# ((?:[\w.-]+/)*[\w.-]+\.(?:py|toml|ini))\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command of a console block."""

    line: int  # on the page, from 1
    text: str
    words: tuple[str, ...]  # as a shell would split it, without variables that are set before it
    shown: tuple[str, ...]  # the lines below it, up to the next command


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block."""

    page: str  # from the root of the repository
    line: int  # of its fence, from 1
    language: str
    text: str
    notes: tuple[str, ...]  # the comments right above it

    @property
    def at(self) -> str:
        """Where it is, for messages."""
        return f"{self.page}:{self.line}"

    def note(self, kind: str, group: str) -> str | None:
        """Return what the note of a *kind* says, if there is one."""
        found = [match[group] for text in self.notes if (match := re.fullmatch(_NOTES[kind], text, re.DOTALL))]
        return found[0] if found else None

    def has(self, kind: str) -> bool:
        """Whether there is a note of a *kind*."""
        return any(re.fullmatch(_NOTES[kind], text, re.DOTALL) for text in self.notes)

    @property
    def is_run(self) -> bool:
        """Whether it runs here."""
        elsewhere = any(self.has(kind) for kind in ("not run", "run by", "run on"))
        return not elsewhere and self.language not in ("bash", "text", "yaml")

    @property
    def pages(self) -> tuple[str, ...]:
        """Other pages on which its commands are run."""
        return tuple(page.strip() for page in (self.note("run on", "pages") or "").split(",") if page.strip())

    @property
    def file(self) -> str | None:
        """Where the block lies in a reader's project."""
        first = _FIRST_LINE.match(self.text)
        return self.note("file", "path") or (first[1] if first else None)


class PageError(Exception):
    """A page that cannot be tested as it stands."""


def blocks_of(text: str, page: str) -> list[Block]:
    """Return the blocks of a page; PageError where one could not be told what to do with."""
    tokens = MarkdownIt().parse(text)
    found = []
    above: list[str] = []
    for token in tokens:
        line = token.map[0] + 1 if token.map else 0
        if token.type == "html_block":
            above += [" ".join(comment.split()) for comment in _COMMENT.findall(token.content)]
            continue
        if token.type == "code_block":
            raise PageError(f"{page}:{line}: an indented block escapes the tests: fence it, and name its language")
        if token.type == "fence":
            block = Block(page=page, line=line, language=token.info.strip(), text=token.content, notes=tuple(above))
            _check(block)
            found.append(block)
        elif any(_is_note(comment) for comment in above):
            raise PageError(f"{page}:{line}: a note on a block, and no block right below it: {above}")
        above = []
    return found


@cache
def blocks(page: str) -> tuple[Block, ...]:
    """Return the blocks of a *page* of this repository."""
    return tuple(blocks_of((ROOT / page).read_text(encoding="utf-8"), page))


def _is_note(comment: str) -> bool:
    return any(re.fullmatch(pattern, comment, re.DOTALL) for pattern in _NOTES.values())


def _check(block: Block) -> None:
    if block.language not in LANGUAGES:
        raise PageError(f"{block.at}: the language {block.language!r} is none of {', '.join(sorted(LANGUAGES))}")
    for note in block.notes:
        if not _is_note(note):
            raise PageError(f"{block.at}: a comment above a block that is no note on it: {note}")
    is_explained = block.has("not run") or block.has("run by")
    if block.language in ("bash", "yaml") and not is_explained:
        raise PageError(f"{block.at}: {block.language} is for others to run: say why it is not run, or what runs it")
    if block.language == "text" and re.search(r"^\s*(?:\$ |sdbatch |pytest |pip |python )", block.text, re.MULTILINE):
        raise PageError(f"{block.at}: a command in a block of text escapes the tests: make it a console block")
    if block.language == "console":
        commands(block)  # or it is none of commands


def commands(block: Block) -> list[Command]:
    """Return the commands of a console block, those joined by ``&&`` apart."""
    found: list[Command] = []
    lines = block.text.splitlines()
    number = 0
    while number < len(lines):
        if not lines[number].startswith("$ "):
            raise PageError(f"{block.at}: a console block begins with a command: $ ...")
        first, text = number, lines[number][2:]
        while text.endswith("\\"):
            number += 1
            text = text[:-1] + lines[number]
        number += 1
        shown = []
        while number < len(lines) and not lines[number].startswith("$ "):
            shown.append(lines[number])
            number += 1
        parts = list(_split(shlex.split(text, comments=True)))
        for index, words in enumerate(parts):
            below = tuple(shown) if index == len(parts) - 1 else ()
            line = block.line + 1 + first
            found.append(Command(line=line, text=" ".join(words), words=tuple(_without_variables(words)), shown=below))
    return found


def _split(words: Sequence[str]) -> Iterator[list[str]]:
    part: list[str] = []
    for word in words:
        if word == "&&":
            yield part
            part = []
        else:
            part.append(word)
    yield part


def _without_variables(words: Sequence[str]) -> list[str]:
    start = next((index for index, word in enumerate(words) if not re.fullmatch(r"[A-Z_]+=.*", word)), len(words))
    return list(words[start:])
