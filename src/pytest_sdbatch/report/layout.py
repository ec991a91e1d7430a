"""Rows under headings, in as many columns as fit a width: what the tables on screen have in common."""

from __future__ import annotations

import io
import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Protocol, TypeVar

from pytest_sdbatch.report.escape import plain

if TYPE_CHECKING:
    from rich.text import Text

    from pytest_sdbatch.analysis.sides import Place

UNKNOWN = "-"  # a figure that nobody has
GAP = "  "
# What a terminal may lack, and its stand-in.
_ASCII = str.maketrans({"─": "-", "±": "+-"})


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table on screen."""

    key: str
    header: str  # lines divided by newlines
    left: bool = False  # aligned; figures are aligned to the right
    drop: int = 0  # where the width does not do, the column with the highest number goes first; 0: never

    @property
    def title(self) -> str:
        """The header on one line."""
        return self.header.replace("/\n", "/").replace("\n", " ").strip()


@dataclass(frozen=True, slots=True)
class Cell:
    """Text without control characters, and rich's style for it."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of cells by column key, under a heading of any number of lines."""

    heading: tuple[Cell, ...]
    rows: tuple[Mapping[str, Cell], ...]


class Placed(Protocol):
    """A case that stands somewhere."""

    @property
    def place(self) -> Place:
        """Below which test, in which group."""


P = TypeVar("P", bound=Placed)


def by_test(cases: Iterable[P]) -> list[P]:
    """Return *cases* with those of a test together, and in it those of a group: in the order of the first of each."""
    listed = list(cases)
    tests = {test: at for at, test in enumerate(dict.fromkeys(case.place.test for case in listed))}
    groups = {group: at for at, group in enumerate(dict.fromkeys(case.place.group for case in listed))}
    return sorted(listed, key=lambda case: (tests[case.place.test], groups[case.place.group]))


def blocks_by_test(cases: Iterable[P], row: Callable[[P], Mapping[str, Cell]], *, width: int) -> Iterator[Block]:
    """Yield a block for each test and group, in the order of :func:`by_test`; the name of a test stands once."""
    shown = None
    for (test, group), members in groupby(by_test(cases), key=lambda case: (case.place.test, case.place.group)):
        titles = [(plain(test), "cyan")] if test and test != shown else []
        titles += [(plain(group), "bold")] if group else []
        shown = test
        heading = tuple(Cell(line, style) for title, style in titles for line in wrapped(title, width))
        yield Block(heading, tuple(map(row, members)))


def screen_width() -> int:
    """Return the columns of the terminal, or what the environment's ``COLUMNS`` says; 80 where nobody knows."""
    return shutil.get_terminal_size().columns


def wrapped(text: str, width: int) -> list[str]:
    """Return the lines of *text*, those that follow the first indented; names stay in one piece."""
    return textwrap.wrap(text, max(width, 20), subsequent_indent="    ", break_on_hyphens=False)


def lay_out(columns: Sequence[Column], blocks: Sequence[Block], *, width: int, encoding: str = "utf-8") -> list[Text]:
    """Return the lines of a table; columns that do not fit *width* are left out by their ``drop``.

    Args:
        columns: all there are.
        blocks: rows with a cell for every column.
        width: columns of the screen.
        encoding: of the screen; stand-ins for what it lacks are put in before widths are taken.

    """
    from rich.cells import cell_len
    from rich.text import Text

    header, bodies = _header(columns), _spelled(blocks, encoding)
    widths = _widths(columns, [header, *bodies])
    shown = _fitting(columns, widths, width)

    def line(row: Mapping[str, Cell]) -> Text:
        made = Text()
        for column in shown:
            cell = row[column.key]
            room = " " * (widths[column.key] - cell_len(cell.text))
            made.append(GAP if made else "")
            made.append(cell.text + room if column.left else room + cell.text, cell.style)
        made.rstrip()
        return made

    lines = [line(row) for row in header]
    lines.append(Text("─" * min(_total(shown, widths), width), "dim"))
    for block, body in zip(blocks, bodies, strict=True):
        lines.extend(Text(cell.text, cell.style) for cell in block.heading)
        lines.extend(line(row) for row in body)
    return lines


def fitting(
    columns: Sequence[Column], blocks: Sequence[Block], *, width: int, encoding: str = "utf-8"
) -> tuple[Column, ...]:
    """Return those of *columns* that :func:`lay_out` shows, given the same."""
    return tuple(_fitting(columns, _widths(columns, [_header(columns), *_spelled(blocks, encoding)]), width))


def without_room(left_out: Iterable[Column], blocks: Iterable[Block], elsewhere: str) -> list[str]:
    """Return a line that names the columns *left_out* of which a row has the figure; none where there is no such."""
    rows_of_all = [row for block in blocks for row in block.rows]
    known = [column.title for column in left_out if any(row[column.key].text != UNKNOWN for row in rows_of_all)]
    return [f"no room here: {', '.join(known)} (wider screen, {elsewhere})"] if known else []


def to_string(lines: Iterable[Text], *, color: bool, encoding: str = "utf-8") -> str:
    """Return *lines* as one text that *encoding* can express, with ANSI colours where *color* is set."""
    from rich.console import Console

    # Everything that rich would read from the environment is given: whether to colour is the caller's to say.
    console = Console(
        file=io.StringIO(),
        force_terminal=color,
        force_jupyter=False,
        color_system="standard" if color else None,
        no_color=not color,
        legacy_windows=False,
    )
    with console.capture() as captured:
        for line in lines:
            console.print(line, soft_wrap=True, highlight=False)
    return encodable(captured.get().rstrip("\n"), encoding)


def encodable(text: str, encoding: str) -> str:
    """Return *text* with stand-ins for what *encoding* cannot express."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(encoding, "backslashreplace").decode(encoding)
    return text


def _header(columns: Sequence[Column]) -> list[dict[str, Cell]]:
    """Return the rows of the header, each text resting on the lowest."""
    headers = {column.key: column.header.split("\n") for column in columns}
    height = max(map(len, headers.values()))
    padded = {key: [""] * (height - len(lines)) + lines for key, lines in headers.items()}
    return [{key: Cell(lines[at], "bold") for key, lines in padded.items()} for at in range(height)]


def _spelled(blocks: Sequence[Block], encoding: str) -> list[list[dict[str, Cell]]]:
    """Return the rows of each block with stand-ins for what *encoding* lacks."""
    return [
        [{key: Cell(encodable(cell.text, encoding), cell.style) for key, cell in row.items()} for row in block.rows]
        for block in blocks
    ]


def _widths(columns: Sequence[Column], bodies: Sequence[Sequence[Mapping[str, Cell]]]) -> dict[str, int]:
    """Return the places on screen that the widest text of each column takes."""
    from rich.cells import cell_len

    return {column.key: max(cell_len(row[column.key].text) for body in bodies for row in body) for column in columns}


def _fitting(columns: Sequence[Column], widths: Mapping[str, int], width: int) -> list[Column]:
    """Return the columns to show."""
    shown = list(columns)
    while _total(shown, widths) > width and any(column.drop for column in shown):
        shown.remove(max(shown, key=lambda column: column.drop))
    return shown


def _total(columns: Sequence[Column], widths: Mapping[str, int]) -> int:
    return sum(widths[column.key] for column in columns) + len(GAP) * (len(columns) - 1)
