"""The code blocks of README.md, CONTRIBUTING.md and docs/, and what is noted beside each about how it is tested.

A block runs unless a comment right above it, which no reader sees, says otherwise:

=========================================  ==========================================================================
``<!-- not run: REASON -->``               the whole block is only checked
``<!-- not run where WORD, ...: REASON -->``  so are its commands that hold one of the words; the others run
``<!-- run by tests/PATH.py -->``          a test that names the page does more with it than is done here
``<!-- exit status N -->``                 that the last command ends with
``<!-- file PATH -->``                     where a block lies that does not begin with ``# PATH``
``<!-- columns N -->``                     of the terminal that its output is from; 80 unless said
``<!-- in miniature -->``                  models of the catalog are the tiny ones of their families
``<!-- on a pretended device -->``         on which nothing takes time; for ``sdbatch ab`` in a repository with a change
``<!-- on a pretended device, in one process -->``  and ``--processes`` is left out
``<!-- slow -->``                          takes more than a few seconds
=========================================  ==========================================================================
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
    "not run where": r"not run where (?P<words>[^:]+): (?P<reason>.+)",
    "run by": r"run by (?P<path>\S+)",
    "exit status": r"exit status (?P<number>\d+)",
    "file": r"file (?P<path>\S+)",
    "columns": r"columns (?P<number>\d+)",
    "miniature": r"in miniature",
    "pretended": r"on a pretended device(?:, in one process)?",
    "one process": r"on a pretended device, in one process",
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
        """Whether something of it runs here."""
        whole = self.note("not run", "reason") or self.note("run by", "path")
        return whole is None and self.language not in ("bash", "text", "yaml")

    @property
    def not_run_where(self) -> tuple[str, ...]:
        """Words of commands that are only checked."""
        return tuple(word.strip() for word in (self.note("not run where", "words") or "").split(",") if word.strip())

    @property
    def file(self) -> str | None:
        """Where the block lies in a reader's project."""
        first = _FIRST_LINE.match(self.text)
        return self.note("file", "path") or (first[1] if first else None)

    def runs(self, command: Command) -> bool:
        """Whether *command* runs here."""
        return self.is_run and not any(word in command.text for word in self.not_run_where)


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
    is_explained = block.note("not run", "reason") is not None or block.note("run by", "path") is not None
    if block.language in ("bash", "yaml") and not is_explained:
        raise PageError(f"{block.at}: {block.language} is for others to run: say why it is not run, or what runs it")
    if block.language == "text" and re.search(r"^\s*(?:\$ |sdbatch |pytest |pip |python )", block.text, re.MULTILINE):
        raise PageError(f"{block.at}: a command in a block of text escapes the tests: make it a console block")
    if block.language == "console":
        given = [command.text for command in commands(block)]
        for word in block.not_run_where:
            if not any(word in text for text in given):
                raise PageError(f"{block.at}: no command holds {word!r}, which is not run")


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
